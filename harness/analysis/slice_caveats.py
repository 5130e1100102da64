"""Where the winner loses, said beside the verdict."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.arms.slices import LENGTH
from harness.analysis.wording import result
from harness.findings import JudgeTrust, Slice, Slicing


def slice_caveats(
    slicing: Slicing | None, winner: str, trust: Iterable[JudgeTrust] = ()
) -> list[str]:
    """A sentence for every part of the items on which the winner is worse than what it beat.

    None where people's marks corrected the whole: the parts rest on the judge alone.
    """
    if slicing is None or winner not in (slicing.a, slicing.b) or is_corrected(slicing, trust):
        return []
    lost = "worse" if winner == slicing.a else "better"
    return [
        f"{winner} loses on {_name(part)}: of these {part.contrast.items:,} test items "
        f"{result(part.contrast)} (corrected for {len(slicing.slices)} such looks)."
        for part in slicing.slices
        if part.contrast.outcome == lost
    ]


def is_corrected(slicing: Slicing, trust: Iterable[JudgeTrust]) -> bool:
    """Whether people's marks corrected the contrast that is divided."""
    pair = (slicing.a, slicing.b)
    return any(
        (row.a, row.b) == pair for judge in trust if judge.primary for row in judge.contrasts
    )


def _name(part: Slice) -> str:
    """What the items of a part have in common, within a sentence."""
    if part.by == LENGTH:
        return f"items of {part.value}"
    return f"items whose {part.by} is {part.value!r}"


__all__ = ["slice_caveats"]
