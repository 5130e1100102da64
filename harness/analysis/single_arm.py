"""The score of one arm, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from harness.analysis.bootstrap import ItemSample, sampling_of, seed_effect
from harness.analysis.pairing import Aligned, align
from harness.analysis.sampling import Sampling
from harness.findings import Interval
from harness.records import ScoreVector


def mean_sampling(aligned: Aligned, resamples: int, generator: np.random.Generator) -> Sampling:
    """Sampling distribution of the mean score of one arm, oriented so that higher is better.

    Raises:
        ValueError: fewer than two clusters.
    """
    (scores,) = aligned.scores
    return sampling_of(
        [item_sample(aligned)],
        [seed_effect(scores, aligned.clusters, aligned.cluster_count)],
        resamples,
        generator,
        low=(0.0 if scores.min() >= 0 else -1.0) if aligned.bounded else -np.inf,
        high=(0.0 if scores.max() < 0 else 1.0) if aligned.bounded else np.inf,
    )


def item_sample(aligned: Aligned, weight: float = 1.0) -> ItemSample:
    """The items of one arm; what most of them score is the usual value."""
    scores = aligned.scores[0].mean(axis=0)
    return ItemSample(
        scores,
        aligned.clusters,
        aligned.cluster_count,
        weight,
        bounded=aligned.bounded,
        usual=float(np.median(scores)),
    )


def mean_interval(
    vectors: Sequence[ScoreVector], level: float, resamples: int, generator: np.random.Generator
) -> Interval | None:
    """Interval of one arm's mean score, in the metric's own direction.

    Wilson's for right-or-wrong scores of independent items under one seed (or under seeds that
    all answer alike); the bootstrap otherwise. None with fewer than two clusters.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    aligned = align(vectors)
    if aligned.cluster_count < 2:
        return None
    (scores,) = aligned.scores
    sign = 1.0 if vectors[0].higher_is_better else -1.0
    if aligned.binary and aligned.independent and not (scores != scores[0]).any():
        return wilson(round(float(np.abs(scores[0]).sum())), aligned.items, level)
    sampling = mean_sampling(aligned, resamples, generator)
    return (sampling if sign > 0 else sampling.negated()).interval(level)


def wilson(right: int, items: int, level: float) -> Interval:
    """Wilson's interval of a proportion."""
    found = binomtest(right, items).proportion_ci(level, method="wilson")
    return Interval(float(found.low), float(found.high), level)


__all__ = ["item_sample", "mean_interval", "mean_sampling", "wilson"]
