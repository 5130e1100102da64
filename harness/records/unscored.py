"""Items that a metric of the user's could not score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unscored:
    """An item that a metric of the user's could not score."""

    metric: str
    """The metric, by the first of its names."""
    item_id: str
    """Id of the item in the data set."""
    line: int
    """Line of the item in its source, from 1; 0 where it has none."""
    why: str
    """What went wrong, with the line of the metric's own file where it did."""


__all__ = ["Unscored"]
