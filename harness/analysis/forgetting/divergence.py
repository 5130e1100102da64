"""How far training moved the model's language from its base, on general text and on the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.statistics.scores import mean_of
from harness.analysis.statistics.single_arm import mean_interval
from harness.findings import Forgetting, Interval, TaskDivergence
from harness.records import ScoreVector


def with_divergence(
    forgetting: Forgetting,
    vectors: Sequence[ScoreVector],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Forgetting:
    """What an arm forgot, with its mean divergence over seeds and texts, nats per token.

    Args:
        vectors: ``kl_to_base`` of the arm on general text, one per seed; without them nothing
            changes.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    divergence = _measured(vectors, level, resamples, generator)
    if divergence is None:
        return forgetting
    return replace(forgetting, divergence=divergence[0], divergence_interval=divergence[1])


def task_divergence(
    arm: str,
    vectors: Sequence[ScoreVector],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> TaskDivergence | None:
    """Mean divergence of an arm on the task's own inputs; None where it was not measured.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    divergence = _measured(vectors, level, resamples, generator)
    return TaskDivergence(arm, *divergence) if divergence else None


def _measured(
    vectors: Sequence[ScoreVector], level: float, resamples: int, generator: np.random.Generator
) -> tuple[float, Interval | None] | None:
    mean = mean_of(vectors)
    if mean is None:
        return None
    interval = mean_interval(vectors, level, resamples, generator, share=False)
    if interval is not None:
        # A divergence is never negative; the bootstrap of a few small ones may be.
        interval = replace(interval, low=max(0.0, interval.low))
    return mean, interval


__all__ = ["task_divergence", "with_divergence"]
