"""The sampling distribution of the difference of two arms on their common items."""

from __future__ import annotations

import numpy as np

from harness.analysis.statistics.bootstrap import SeedEffect, sampling_of, seed_effect
from harness.analysis.statistics.item_sample import ItemSample
from harness.analysis.statistics.pairing import Aligned
from harness.analysis.statistics.sampling import Sampling


def difference_sampling(
    aligned: Aligned, resamples: int, generator: np.random.Generator
) -> Sampling:
    """Sampling distribution of mean(a) - mean(b); both arms' seeds are redrawn independently.

    Raises:
        ValueError: fewer than two clusters.
    """
    limit = 1.0 if aligned.bounded else np.inf
    return sampling_of(
        [difference_sample(aligned)],
        difference_seeds(aligned),
        resamples,
        generator,
        low=-limit,
        high=limit,
    )


def difference_sample(aligned: Aligned, weight: float = 1.0) -> ItemSample:
    """Item by item, mean of a over its seeds minus mean of b.

    Of scores without bounds the largest that was seen says how large a difference may be: twenty
    items that both got equally wrong do not prove that they always will.
    """
    a, b = aligned.scores
    largest = max(float(np.abs(a).max()), float(np.abs(b).max())) if aligned.items else 1.0
    return ItemSample(
        a.mean(axis=0) - b.mean(axis=0),
        aligned.clusters,
        aligned.cluster_count,
        weight,
        size=max(1.0, largest),
        paired=True,
    )


def difference_seeds(aligned: Aligned) -> list[SeedEffect]:
    """The seed effects of both arms on their difference."""
    a, b = (seed_effect(x, aligned.clusters, aligned.cluster_count) for x in aligned.scores)
    return [a, b.negated()]


__all__ = ["difference_sample", "difference_sampling", "difference_seeds"]
