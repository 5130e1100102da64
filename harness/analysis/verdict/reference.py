"""Arms without a language model beside the verdict: whether one does the task as well.

They are no candidates, and change neither the outcome nor its winner. That a classifier of a few
megabytes does as well as a language model is nonetheless the first thing to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.analysis import wording
from harness.analysis.verdict.evidence import Evidence
from harness.findings import ArmSummary, Contrast, Verdict
from harness.records import Worth
from harness.wording import file_size

RULE = "reference_not_beaten"
TEXT = (
    "Beside the rule that decides: an arm without a language model that the arm to use (or, where "
    "none is named, the better of the two on validation) is not shown to beat, after correction "
    "over all such arms, is named with the decision and in the first reason."
)


def reference_pairs(
    references: Mapping[str, ArmSummary],
    evidence: Evidence,
    verdict: Verdict,
    worths: Mapping[str, Worth],
) -> tuple[tuple[str, str], ...]:
    """The arm that the verdict is about, with every tested reference.

    Args:
        worths: arm -> its worth on validation.
    """
    sides = [arm for arm in (evidence.fine_tuned, evidence.against) if arm]
    best = verdict.winner or max(sides, key=lambda arm: worths[arm], default="")
    tested = (name for name, arm in references.items() if arm.test is not None)
    return tuple((best, name) for name in tested if best)


def beside_references(
    verdict: Verdict, contrasts: Sequence[Contrast], references: Mapping[str, ArmSummary]
) -> Verdict:
    """The verdict, with what each reference does in its reasons: first of those not beaten.

    That one is not beaten is told with the decision, too.
    """
    told = {one.b: _as_good(one, references[one.b]) for one in contrasts}
    sentences = {one.b: f"{told[one.b]} {wording.result(one)}" for one in contrasts}
    beaten = [contrast.b for contrast in contrasts if contrast.outcome == "better"]
    unbeaten = [sentence for arm, sentence in told.items() if arm not in beaten]
    return replace(
        verdict,
        sentence=" ".join([verdict.sentence, *unbeaten]),
        reasons=(
            *(sentence for arm, sentence in sentences.items() if arm not in beaten),
            *verdict.reasons,
            *map(sentences.__getitem__, beaten),
        ),
    )


def _as_good(contrast: Contrast, reference: ArmSummary) -> str:
    what = f"{contrast.b}, a classifier of {file_size(reference.cost.artifact_bytes)}"
    match contrast.outcome:
        case "better":
            return f"A language model is worth it: {what}, does this less well."
        case "worse":
            return f"No language model is needed: {what}, does this better."
        case "equivalent":
            return f"No language model is needed: {what}, does this as well."
        case _:
            return f"A language model may not be needed: {what}, is not shown to be beaten."


__all__ = ["RULE", "TEXT", "beside_references", "reference_pairs"]
