"""What a verdict that rests on a judge's marks is worth, said beside it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.statistics.prediction_powered import FEWEST_MARKED
from harness.analysis.wording import number
from harness.findings import Contrast, JudgeTrust
from harness.wording import plural

# Below, people and judge agree about as well as strangers on a hard question (Landis and Koch 1977
# call 0.41 to 0.60 moderate).
WEAK_KAPPA = 0.4


def trust_caveats(trust: Iterable[JudgeTrust], primary: Contrast | None) -> list[str]:
    """Sentences on the judge that the verdict rests on; none where a metric of another kind does.

    Args:
        trust: the judges of the study.
        primary: the primary contrast.
    """
    return [
        sentence for judge in trust if judge.primary for sentence in _of_primary(judge, primary)
    ]


def _of_primary(judge: JudgeTrust, primary: Contrast | None) -> list[str]:
    said = []
    pair = (primary.a, primary.b) if primary else ("", "")
    corrected = next((one for one in judge.contrasts if (one.a, one.b) == pair), None)
    if judge.marked and corrected is None:
        said.append(
            f"The verdict rests on marks of a model ({judge.metric}). Of {pair[0]} and {pair[1]} "
            f"people marked too few of the same items to correct it; it takes {FEWEST_MARKED} at "
            "least."
        )
    elif corrected is not None:
        within = corrected.interval
        said.append(
            f"Marks of a model ({judge.metric}) were corrected by people's, on "
            f"{plural(corrected.marked, 'item')}: the judge alone says "
            f"{number(corrected.judged, 1, sign=True)}, corrected it is "
            f"{number(corrected.corrected, 1, sign=True)} ({number(within.low, 1, sign=True)} to "
            f"{number(within.high, 1, sign=True)})."
        )
        needed = corrected.marks_needed
        if primary and primary.outcome == "inconclusive" and needed > corrected.marked:
            said.append(
                f"More marks of people would settle more: about {needed} items in place of "
                f"{corrected.marked}."
            )
    if judge.kappa is None and judge.biases:
        said.append(
            f"People gave all replies that they marked the same mark, so nothing tells whether "
            f"{judge.metric} agrees with them."
        )
    if judge.kappa is not None and judge.kappa < WEAK_KAPPA:
        said.append(
            f"People and {judge.metric} agree little (weighted kappa {number(judge.kappa, 1)})."
        )
    if judge.unmatched:
        said.append(
            f"{plural(judge.unmatched, 'mark')} of people belong to no reply of a final run to the "
            "test, and are left out."
        )
    return said


__all__ = ["trust_caveats"]
