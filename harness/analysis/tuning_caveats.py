"""Whether each side was tried as hard as the other, in full sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.analysis.arms.table import Sides
from harness.analysis.verdict.sensitivity import SHORTFALLS, in_words
from harness.findings import ArmSummary, Effort, Sensitivity, Verdict
from harness.spec.kinds import kind_info
from harness.wording import agreeing, listed, per_cent


def tuning_caveats(arms: Mapping[str, ArmSummary], sides: Sides) -> list[str]:
    """Sentences on a prompt arm that was not tuned, beside fine-tuning."""
    prompt = arms.get(sides.prompt)
    if prompt is None or prompt.tuned:
        return []
    tuned = [name for name, arm in arms.items() if arm.tuned and not kind_info(arm.kind).fine_tuned]
    if tuned:
        return [
            f"The prompt arm {sides.prompt} has nothing to tune; "
            f"prompt arms that were tuned: {', '.join(tuned)}."
        ]
    return [
        f"The prompt arm {sides.prompt} was not tuned: a better prompt may exist, so the gain of "
        "fine-tuning may be overstated."
    ]


def ranked_caveats(arms: Mapping[str, ArmSummary]) -> list[str]:
    """Sentences on arms that were not tuned, in a study of prompts only."""
    untuned = [name for name, arm in arms.items() if not arm.tuned]
    if not untuned:
        return []
    why = agreeing(len(untuned), "was not", "were not")
    return [f"{', '.join(untuned)} {why} tuned and may do better than here."]


def effort_caveats(
    efforts: Sequence[Effort], verdict: Verdict, sensitivity: Sensitivity | None
) -> list[str]:
    """Sentences on fine-tuned arms that were hardly tried, where the verdict does not say so."""
    verdict_words = " ".join([verdict.sentence, *verdict.reasons])
    untold = [
        effort
        for effort in efforts
        if not all(reason.sentence in verdict_words for reason in effort.reasons)
    ]
    caveats = [_hardly_tried(alike) for alike in _of_one_kind(untold)]
    caveats += [
        "If fine-tuning counted as tried hard enough, the verdict would be: "
        f"{in_words(perturbation)}."
        for perturbation in (sensitivity.perturbations if sensitivity else ())
        if perturbation.left_out == SHORTFALLS
    ]
    return caveats


def _of_one_kind(efforts: Sequence[Effort]) -> list[list[Effort]]:
    """The arms by what is said of them: those of which the same is said together.

    By how much a loss was still falling may differ: the least of it, "or more", holds of all.
    """
    alike: dict[tuple[str, ...], list[Effort]] = {}
    for effort in efforts:
        signs = _signs(effort, "each")
        for place, reason in enumerate(effort.reasons):
            if reason.fall is not None:
                signs[place] = signs[place].replace(per_cent(reason.fall, 1), "")
        alike.setdefault(tuple(signs), []).append(effort)
    return list(alike.values())


def _least_fall(effort: Effort) -> float:
    falls = (reason.fall for reason in effort.reasons)
    return min((fall for fall in falls if fall is not None), default=0.0)


def _signs(effort: Effort, name: str) -> list[str]:
    """The signs in words, of an arm that is called by another name."""
    arm = re.compile(rf"(?<![\w.-]){re.escape(effort.arm)}(?![\w-])")
    signs = (arm.sub(lambda _: name, reason.sentence) for reason in effort.reasons)
    return [sign[:1].upper() + sign[1:] if name != effort.arm else sign for sign in signs]


def _hardly_tried(efforts: Sequence[Effort]) -> str:
    """That arms of which the same is said were hardly tried, and why."""
    arms = listed([effort.arm for effort in efforts])
    least = min(efforts, key=_least_fall)
    signs = _signs(least, least.arm if len(efforts) == 1 else "each")
    were = agreeing(len(efforts), "was", "were")
    return (
        f"{arms} {were} hardly tried, so fine-tuning may do better than it did here. "
        f"{' '.join(signs)}"
    )


__all__ = ["effort_caveats", "ranked_caveats", "tuning_caveats"]
