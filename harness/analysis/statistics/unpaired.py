"""Two arms that answered different items: each a sample of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.bootstrap import sampling_of, seed_effect
from harness.analysis.statistics.pairing import align
from harness.analysis.statistics.sampling import Sampling
from harness.analysis.statistics.single_arm import item_sample
from harness.records import ScoreVector


@dataclass(frozen=True, slots=True)
class Unpaired:
    """The difference of two means over different items."""

    items_a: int
    """Number of scored items of a."""
    items_b: int
    """Number of scored items of b."""
    mean_a: float
    """Mean score of a, in the metric's own direction."""
    mean_b: float
    """Mean score of b, in the metric's own direction."""
    sampling: Sampling
    """Sampling distribution of a - b, oriented so that positive is better for a."""


def compare_unpaired(
    a: Sequence[ScoreVector],
    b: Sequence[ScoreVector],
    resamples: int,
    generator: np.random.Generator,
) -> Unpaired | None:
    """Compare two arms, each given as one vector per seed; items and seeds are redrawn apart.

    Items that both answered count as different ones, which errs towards a wide interval. None
    where either has fewer than two clusters of scored items.

    Raises:
        StoreError: the vectors of one arm cannot be put on common items.
    """
    if not a or not b:
        return None
    one, other = align(a), align(b)
    if min(one.cluster_count, other.cluster_count) < 2:
        return None
    limit = 1.0 if one.bounded and other.bounded else np.inf
    effects = [seed_effect(x.scores[0], x.clusters, x.cluster_count) for x in (one, other)]
    sampling = sampling_of(
        [item_sample(one), item_sample(other, -1.0)],
        [effects[0], effects[1].negated()],
        resamples,
        generator,
        low=-limit,
        high=limit,
    )
    sign = 1.0 if a[0].higher_is_better else -1.0
    means = [sign * float(x.scores[0].mean()) for x in (one, other)]
    return Unpaired(one.items, other.items, means[0], means[1], sampling)


__all__ = ["Unpaired", "compare_unpaired"]
