"""The score of one arm, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from harness.analysis.bootstrap import (
    Sampling,
    Variance,
    cluster_variance,
    degrees_of_freedom,
    largest_cluster,
    redrawn_means,
    seed_deviations,
    seed_variance,
    unseen_variance,
)
from harness.analysis.pairing import Aligned, align
from harness.findings import Interval
from harness.records import ScoreVector


def mean_sampling(aligned: Aligned, resamples: int, generator: np.random.Generator) -> Sampling:
    """Sampling distribution of the mean score of one arm, oriented so that higher is better.

    Raises:
        ValueError: fewer than two clusters.
    """
    (scores,) = aligned.scores
    means = redrawn_means(scores, aligned.clusters, aligned.cluster_count, resamples, generator)
    items = cluster_variance(scores.mean(axis=0), aligned.clusters, aligned.cluster_count)
    unseen = unseen_of_one(aligned, items)
    estimate = float(scores.mean())
    deviations = means.mean(axis=1) - estimate + seed_deviations(means, generator)
    deviations += np.sqrt(unseen.value) * generator.standard_normal(resamples)
    seeds = seed_variance(scores.mean(axis=1))
    bounded = _bounded(aligned)
    return Sampling(
        estimate=estimate,
        deviations=np.sort(deviations),
        degrees=degrees_of_freedom([items, unseen, seeds]),
        seed_variance=seeds.value,
        low=(0.0 if scores.min() >= 0 else -1.0) if bounded else -np.inf,
        high=(0.0 if scores.max() < 0 else 1.0) if bounded else np.inf,
    )


def unseen_of_one(aligned: Aligned, items: Variance) -> Variance:
    """Variance of what one arm's sample is too small to have shown.

    One score, not a difference of two: the two more clusters lie half a range to each side.
    """
    scores = aligned.scores[0].mean(axis=0)
    centred = scores - scores.mean()
    largest = largest_cluster(centred, aligned.clusters, aligned.cluster_count)
    return unseen_variance(largest or 0.5, items, _bounded(aligned))


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
    low, high = proportion_confint(right, items, alpha=1 - level, method="wilson")
    return Interval(float(low), float(high), level)


def _bounded(aligned: Aligned) -> bool:
    return bool((np.abs(aligned.scores[0]) <= 1).all())


__all__ = ["mean_interval", "mean_sampling", "unseen_of_one", "wilson"]
