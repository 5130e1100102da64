"""Whether each side was tried as hard as the other, in full sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.analysis.arms.table import Sides
from harness.analysis.verdict.sensitivity import SHORTFALLS, in_words
from harness.analysis.wording import run_next
from harness.findings import ArmSummary, Effort, Sensitivity, Verdict
from harness.spec.kinds import kind_info
from harness.wording import agreeing


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
    caveats = [
        f"{effort.arm} was hardly tried, so fine-tuning may do better than it did here. "
        f"{' '.join(reason.sentence for reason in effort.reasons)} {run_next(effort.reasons)}"
        for effort in efforts
        if not all(reason.sentence in verdict_words for reason in effort.reasons)
    ]
    caveats += [
        "If fine-tuning counted as tried hard enough, the verdict would be: "
        f"{in_words(perturbation)}."
        for perturbation in (sensitivity.perturbations if sensitivity else ())
        if perturbation.left_out == SHORTFALLS
    ]
    return caveats


__all__ = ["effort_caveats", "ranked_caveats", "tuning_caveats"]
