"""A sample of items, the variance of its mean, and what it is too small to have shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.pairing import Codes, Floats

# Means that are no further apart are the same: sums of the same numbers in another order.
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Variance:
    """A variance of a mean and the degrees of freedom it was estimated with."""

    value: float
    """The variance, in the metric's unit squared."""
    degrees: float
    """Degrees of freedom."""


@dataclass(frozen=True, slots=True)
class ItemSample:
    """A sample of items of its own, whose mean counts ``weight`` times in the estimate."""

    values: Floats
    """Mean of each item over seeds, shape (items,)."""
    clusters: Codes
    """Which cluster, 0 to ``cluster_count`` - 1, an item belongs to, shape (items,)."""
    cluster_count: int
    """Number of clusters."""
    weight: float = 1.0
    """How many times the sample's mean counts in the estimate."""
    bounded: bool = True
    """Values lie within -``size`` and ``size``."""
    size: float = 1.0
    """How large a value may be, as far as is known."""
    usual: float = 0.0
    """The value from which items are said to differ, which is 0 for differences, where no other is
    that of more clusters."""
    paired: bool = False
    """Values are differences on one item, as likely to be as far above the truth as below it."""


def cluster_sums(scores: Floats, clusters: Codes, cluster_count: int) -> Floats:
    """Sum of each row of ``scores`` (k, items) over each cluster: shape (k, clusters)."""
    return np.stack([np.bincount(clusters, row, cluster_count) for row in scores])


def cluster_variance(values: Floats, clusters: Codes, cluster_count: int) -> Variance:
    """Variance of the mean of ``values`` (items,) over clusters, linearised as a ratio.

    The degrees of freedom are the effective number of clusters, n^2 / sum(n_g^2), minus 1: equal
    to the number of clusters minus 1 where they are of one size.
    """
    sizes = np.bincount(clusters, minlength=cluster_count).astype(np.float64)
    residuals = np.bincount(clusters, values - values.mean(), cluster_count)
    total = sizes.sum()
    correction = cluster_count / (cluster_count - 1)
    effective = total**2 / (sizes**2).sum()
    return Variance(
        float(correction * (residuals**2).sum() / total**2), max(1.0, float(effective) - 1)
    )


def degrees_of_freedom(variances: Sequence[Variance], total: float | None = None) -> float:
    """Satterthwaite's degrees of freedom of a sum of independent variances.

    There are never fewer than 1: where nearly all of a part is taken out again the formula goes to
    0, at which Student's quantiles mean nothing.

    Args:
        total: the variance of the sum, where it is not that of its parts because a part of one is
            counted in another.
    """
    total = sum(variance.value for variance in variances) if total is None else total
    if total <= 0:
        return max(variance.degrees for variance in variances if np.isfinite(variance.degrees))
    parts = sum((variance.value / total) ** 2 / variance.degrees for variance in variances)
    return float("inf") if parts <= 0 else max(1.0, 1 / parts)


def unseen_of(sample: ItemSample, items: Variance) -> Variance:
    """Variance of what a sample of bounded scores is too small to have shown.

    Two more clusters, one for each side, of the size L of those that differ from the usual value
    (their root mean square; as large as may be where none does), weighed by the share H of
    clusters that do not: where every cluster varies, nothing is hidden. 2 H L^2 / (m + 2)^2 for m
    clusters; for rare right-or-wrong flips this is Bonett and Price (2012). Clusters count in H and
    L by the square of their number of items, as they do in the variance of the mean. Zero for
    values of which nothing bounds the size.

    Args:
        items: variance over items; its degrees of freedom are the effective number of clusters
            m, minus 1.
    """
    if not sample.bounded:
        return Variance(0.0, items.degrees)
    sizes = np.bincount(sample.clusters, minlength=sample.cluster_count).astype(np.float64)
    means = np.bincount(sample.clusters, sample.values, sample.cluster_count) / sizes
    weights = sizes**2 / (sizes**2).sum()
    usual = _usual(means, weights, sample.usual)
    apart = means - usual
    differing = np.abs(apart) > TINY
    shown = float(weights[differing].sum())
    largest = sample.size + abs(usual)
    size = math.sqrt(weights[differing] @ apart[differing] ** 2 / shown) if shown else largest
    hidden = max(0.0, 1 - shown)
    return Variance(2 * hidden * (min(size, largest) / (items.degrees + 3)) ** 2, items.degrees)


def _usual(means: Floats, weights: Floats, usual: float) -> float:
    """The value of most clusters by weight, where that is one of several and of more than the
    usual value is."""
    values, place = np.unique(np.round(means / TINY) * TINY, return_inverse=True)
    shares = np.bincount(place, weights)
    best = int(shares.argmax())
    several = int((place == best).sum()) > 1
    has = float(weights[np.abs(means - usual) <= TINY].sum())
    return float(values[best]) if several and shares[best] > has + TINY else usual


__all__ = [
    "ItemSample",
    "Variance",
    "cluster_sums",
    "cluster_variance",
    "degrees_of_freedom",
    "unseen_of",
]
