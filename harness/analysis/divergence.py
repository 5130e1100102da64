"""How far training moved the model's language from its base, on general text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.scores import mean_of
from harness.analysis.single_arm import mean_interval
from harness.findings import Forgetting
from harness.records import ScoreVector

KL = "kl_to_base"


def with_divergence(
    forgetting: Forgetting,
    vectors: Sequence[ScoreVector],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Forgetting:
    """The same with the mean divergence over seeds and texts, nats per token, and its interval.

    vectors: ``kl_to_base`` of the arm, one per seed. Nothing changes without them.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    mean = mean_of(vectors)
    if mean is None:
        return forgetting
    interval = mean_interval(vectors, level, resamples, generator)
    if interval is not None:
        # A divergence is never negative; the bootstrap of a few small ones may be.
        interval = replace(interval, low=max(0.0, interval.low))
    return replace(forgetting, divergence=mean, divergence_interval=interval)


__all__ = ["KL", "with_divergence"]
