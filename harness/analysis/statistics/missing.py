"""Replies that a metric could not score, counted as the worst: a comparison must bear both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.records import ScoreVector


def with_worst(
    a: Sequence[ScoreVector], b: Sequence[ScoreVector], bound: float
) -> tuple[list[ScoreVector], list[ScoreVector]]:
    """The vectors with the worst value in place of a missing one.

    Args:
        bound: the worst value that the metric can have; where it is infinite, the worst that either
            arm has stands for it.
    """
    vectors = [*a, *b]
    worst = bound
    if vectors and not math.isfinite(bound):
        values = np.concatenate([vector.values for vector in vectors])
        scored = values[np.isfinite(values)]
        if scored.size:
            worst = float(scored.min() if vectors[0].higher_is_better else scored.max())

    def filled(vector: ScoreVector) -> ScoreVector:
        values = np.where(np.isfinite(vector.values), vector.values, worst)
        return replace(vector, values=values)

    return [filled(vector) for vector in a], [filled(vector) for vector in b]


__all__ = ["with_worst"]
