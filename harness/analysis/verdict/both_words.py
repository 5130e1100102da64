"""What is said of an arm trained under the instruction of a prompt arm: against either alone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis import wording
from harness.analysis.verdict.evidence import Evidence
from harness.findings import Contrast
from harness.spec.instruction_sources import each_alone, instruction_source
from harness.spec.kinds import kind_info


def both(e: Evidence, winner: str) -> str:
    """The decision for both, with the contrasts that it rests on."""
    source = instruction_source(e.experiment.arms[winner])
    results = " ".join(wording.result(contrast) for contrast in _against(e, winner))
    return (
        f"Do both: take the instruction that the search of {source} selected, and fine-tune under "
        f"it ({winner}). {results}"
    )


def reasons(e: Evidence, arm: str) -> Iterator[str]:
    """What an arm does against either alone, but for the primary contrast; nothing of others."""
    for contrast in _against(e, arm):
        if contrast is not e.primary:
            yield f"Against either alone: {wording.result(contrast)}"


def untried(e: Evidence, winner: str) -> Iterator[str]:
    """What cannot be known of the arm to use where no arm is trained without the instruction."""
    arms = e.experiment.arms
    source = instruction_source(arms[winner]) if winner else None
    if source is not None and not each_alone(arms, winner):
        yield (
            f"{winner} is trained under the instruction that {source} selected, and no other arm "
            f"of {kind_info(arms[winner].kind).label} under an instruction of its own: what the "
            "instruction adds to training is not known."
        )


def _against(e: Evidence, arm: str) -> list[Contrast]:
    """The contrasts of an arm with what of it there is alone, where these could be compared."""
    alone = each_alone(e.experiment.arms, arm)
    contrasts = [contrast for contrast in (e.primary, *e.secondary) if contrast]
    return [
        contrast
        for other in dict.fromkeys((e.prompt, *alone) if alone else ())
        for contrast in contrasts
        if {contrast.a, contrast.b} == {arm, other}
    ]


__all__ = ["both", "reasons", "untried"]
