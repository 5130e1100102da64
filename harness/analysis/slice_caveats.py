"""Where the winner loses, said beside the verdict."""

from __future__ import annotations

from harness.analysis.arms.slices import LENGTH
from harness.analysis.wording import result
from harness.findings import Slice, Slicing


def slice_caveats(slicing: Slicing | None, winner: str) -> list[str]:
    """A sentence for every part of the items on which the winner is worse than what it beat."""
    if slicing is None or winner not in (slicing.a, slicing.b):
        return []
    lost = "worse" if winner == slicing.a else "better"
    return [
        f"{winner} loses on {_name(part)}: of these {part.contrast.items:,} test items "
        f"{result(part.contrast)} (corrected for {len(slicing.slices)} such looks)."
        for part in slicing.slices
        if part.contrast.outcome == lost
    ]


def _name(part: Slice) -> str:
    """What the items of a part have in common, within a sentence."""
    if part.by == LENGTH:
        return f"items of {part.value}"
    return f"items whose {part.by} is {part.value!r}"


__all__ = ["slice_caveats"]
