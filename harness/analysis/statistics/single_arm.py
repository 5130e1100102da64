"""The score of one arm, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from harness.analysis.statistics.bootstrap import sampling_of, seed_effect
from harness.analysis.statistics.item_sample import ItemSample
from harness.analysis.statistics.pairing import Aligned, align
from harness.analysis.statistics.sampling import Sampling
from harness.answers.metrics import METRICS
from harness.findings import Interval
from harness.records import ScoreVector


def mean_sampling(
    aligned: Aligned,
    resamples: int,
    generator: np.random.Generator,
    bounds: tuple[float, float] | None = None,
) -> Sampling:
    """Sampling distribution of the mean score of one arm, oriented so that higher is better.

    Args:
        bounds: the least and the greatest score that the metric has, oriented likewise; as far as
            the scores tell if not given.

    Raises:
        ValueError: fewer than two clusters.
    """
    (scores,) = aligned.scores
    if bounds is None:
        low = 0.0 if scores.min() >= 0 else -1.0
        high = 0.0 if scores.max() < 0 else 1.0
        bounds = (low, high) if aligned.bounded else (-np.inf, np.inf)
    return sampling_of(
        [item_sample(aligned)],
        [seed_effect(scores, aligned.clusters, aligned.cluster_count)],
        resamples,
        generator,
        low=bounds[0],
        high=bounds[1],
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
    vectors: Sequence[ScoreVector],
    level: float,
    resamples: int,
    generator: np.random.Generator,
    *,
    share: bool = True,
) -> Interval | None:
    """Interval of one arm's mean score, in the metric's own direction.

    Wilson's for scores between 0 and 1: at the number of items for right-or-wrong scores of
    independent items under one seed (or seeds that all answer alike), else at the effective number,
    the one that has the bootstrap's standard error (as for surveys; Dean and Pagano 2015). So it
    stays honest near 0 and 1, where percentiles are too short. The bootstrap for other scores.
    None with fewer than two clusters.

    Args:
        vectors: vectors of the arm, one a seed.
        level: level of confidence.
        resamples, generator: draws of the bootstrap, and its random numbers.
        share: False for a metric that may be above 1, whatever the scores seen; of the metrics that
            the product knows this is known.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    aligned = align(vectors)
    if aligned.cluster_count < 2:
        return None
    (scores,) = aligned.scores
    sign = 1.0 if vectors[0].higher_is_better else -1.0
    known = METRICS.get(vectors[0].metric)
    share = share and (known is None or known.highest <= 1)
    if share and aligned.binary and aligned.independent and not (scores != scores[0]).any():
        return wilson(round(float(np.abs(scores[0]).sum())), aligned.items, level)
    if share and aligned.within_unit and (sign * scores >= 0).all() and (sign * scores <= 1).all():
        return _effective_wilson(aligned, sign, level, resamples, generator)
    bounds = None
    if known is not None:
        least, greatest = sorted((sign * known.lowest, sign * known.highest))
        bounds = (least, greatest)
    sampling = mean_sampling(aligned, resamples, generator, bounds)
    return (sampling if sign > 0 else sampling.negated()).interval(level)


def _effective_wilson(
    aligned: Aligned, sign: float, level: float, resamples: int, generator: np.random.Generator
) -> Interval:
    (scores,) = aligned.scores
    # What so few items cannot have shown is in Wilson's interval already.
    sample = replace(item_sample(aligned), bounded=False)
    effect = seed_effect(scores, aligned.clusters, aligned.cluster_count)
    sampling = sampling_of([sample], [effect], resamples, generator)
    mean, error = sign * sampling.estimate, sampling.standard_error
    items = mean * (1 - mean) / error**2 if error > 0 else sampling.item_degrees + 1
    quantile = -sampling.quantile((1 - level) / 2)
    centre = mean + quantile**2 / (2 * items)
    half = quantile * math.sqrt(mean * (1 - mean) / items + (quantile / (2 * items)) ** 2)
    whole = 1 + quantile**2 / items
    return Interval((centre - half) / whole, (centre + half) / whole, level)


def wilson(right: int, items: int, level: float) -> Interval:
    """Wilson's interval of a proportion.

    SciPy has it as a part of its binomial test, which takes a hundred times as long.
    """
    share = right / items
    quantile = float(ndtri(0.5 + 0.5 * level))
    denominator = 2 * (items + quantile**2)
    centre = (2 * items * share + quantile**2) / denominator
    half = quantile / denominator * math.sqrt(4 * items * share * (1 - share) + quantile**2)
    low = centre - half if right > 0 else 0.0
    return Interval(low, centre + half if right < items else 1.0, level)


__all__ = ["item_sample", "mean_interval", "mean_sampling", "wilson"]
