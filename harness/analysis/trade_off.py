"""Learning against forgetting: every finalist as a point, and the front of the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.forgetting import GeneralScores
from harness.analysis.pairing import align
from harness.findings import TradeOffPoint
from harness.records import ScoreVector


def trade_off_points(
    arm: str,
    test: Sequence[ScoreVector],
    base: Sequence[ScoreVector],
    general: Sequence[GeneralScores],
    *,
    changes_model: bool,
) -> list[TradeOffPoint]:
    """One point per seed; both coordinates are oriented so that positive is better.

    general: the tasks that count in the mean. A prompt leaves the model as it is, so its
    general change is 0 by construction.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    points = []
    for vector in test:
        aligned = align([vector], base)
        if not aligned.items:
            continue
        change = _general_change(vector.seed, general) if changes_model else 0.0
        if change is None:
            continue
        gain = float(aligned.scores[0].mean() - aligned.scores[1].mean())
        points.append(TradeOffPoint(arm, vector.trial_id, vector.seed, gain, change, False))
    return points


def with_front(points: Sequence[TradeOffPoint]) -> tuple[TradeOffPoint, ...]:
    """Mark the points that no other point beats in one coordinate without losing in the other."""

    def beaten(point: TradeOffPoint) -> bool:
        return any(
            other.domain_gain >= point.domain_gain
            and other.general_change >= point.general_change
            and (other.domain_gain, other.general_change)
            != (point.domain_gain, point.general_change)
            for other in points
        )

    return tuple(replace(point, on_front=not beaten(point)) for point in points)


def _general_change(seed: int, general: Sequence[GeneralScores]) -> float | None:
    changes = []
    for task in general:
        mine = [vector for vector in task.arm if vector.seed == seed]
        aligned = align(mine, task.base)
        if not mine or not aligned.items:
            return None
        changes.append(float(aligned.scores[0].mean() - aligned.scores[1].mean()))
    return float(np.mean(changes)) if changes else None


__all__ = ["trade_off_points", "with_front"]
