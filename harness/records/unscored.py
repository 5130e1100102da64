"""Items that a metric of the user's could not score, and what is told of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unscored:
    """An item that a metric of the user's could not score."""

    metric: str
    """The metric, by the first of its names."""
    item_id: str
    """Id of the item in the data set; empty where the metric is of all items together."""
    line: int
    """Line of the item in its source, from 1; 0 where it has none."""
    why: str
    """What went wrong, with the line of the metric's own file where it did."""


def unscored_notes(unscored: Sequence[Unscored], items: int) -> dict[str, str]:
    """Metric -> a sentence's end on the items that it could not score; none where it scored all.

    Args:
        unscored: of one score.
        items: number of all items of it.
    """
    notes = {}
    for metric in dict.fromkeys(one.metric for one in unscored):
        mine = [one for one in unscored if one.metric == metric]
        first = mine[0]
        if not first.item_id:
            notes[metric] = f"{metric} could not be computed: {first.why}"
            continue
        line = f" (line {first.line} of its source)" if first.line else ""
        which = f"{len(mine)} of the {items} replies could not be scored by {metric}"
        if len(mine) == items:
            which = f"not one of the {items} replies could be scored by {metric}"
        notes[metric] = (
            f"{which}, which is not 0 but no value; the first is to item {first.item_id!r}{line}: "
            f"{first.why}"
        )
    return notes


def filled_mean(value: float, items: int, unscored: int, bound: float, worst: float) -> float:
    """The mean over all items by which settings and arms are chosen.

    A reply that could not be scored counts as the worst that the metric gives: left out, it would
    make whoever fails on the hard items look better than who answers them badly.

    Args:
        value: mean over the items that were scored.
        items: number of all items.
        unscored: number of those without a value.
        bound: the worst value that the metric can have; infinite where there is none.
        worst: the worst value of an item that was scored, which stands for it there; whoever lacks
            values ranks behind all that have every one then (:class:`harness.records.Worth`).
    """
    if not unscored:
        return value
    missing = bound if math.isfinite(bound) else worst
    return (value * (items - unscored) + missing * unscored) / items


__all__ = ["Unscored", "filled_mean", "unscored_notes"]
