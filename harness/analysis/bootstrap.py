"""The crossed bootstrap: clusters of items and training seeds are both redrawn.

A mean over seeds s and items i varies because other items could have been drawn and because
training could have run with other seeds. Both are redrawn with replacement, crossed: every seed
answers the same redrawn items (Owen 2007, "The pigeonhole bootstrap", which shows the method to
be conservative, never too narrow in expectation, for crossed designs).

Three corrections keep small studies honest:

* redrawing m units gives a variance (m-1)/m times too small, so deviations are scaled by
  sqrt(m/(m-1)), for clusters and for seeds each;
* quantiles are stretched by t/z with Satterthwaite's degrees of freedom, because three seeds
  do not tell their variance well (Hesterberg 2015, "What Teachers Should Know About the
  Bootstrap", on percentile intervals that are too narrow);
* bounded scores get the noise of two more clusters, one for each side, as Bonett and Price (2012)
  add one to each discordant count: twenty items without a difference do not prove none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.analysis.pairing import Codes, Floats
from harness.findings import Interval

CELLS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Variance:
    """A variance of a mean and the degrees of freedom it was estimated with."""

    value: float
    degrees: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sampling distribution of an estimate.

    deviations: sorted, shape (resamples,); redrawn estimate minus estimate.
    degrees: Satterthwaite's degrees of freedom. seed_variance: the part of the variance that
    more items would not remove. low, high: limits of what the estimate can be.
    """

    estimate: float
    deviations: Floats
    degrees: float
    seed_variance: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    @property
    def standard_error(self) -> float:
        """Standard deviation of the redrawn estimates."""
        return float(np.sqrt(np.mean(self.deviations**2)))

    def interval(self, level: float) -> Interval:
        """Two-sided interval: percentiles of the deviations, stretched by t/z."""
        tail = (1 - level) / 2
        return Interval(
            low=float(np.clip(self._lower(tail), self.low, self.high)),
            high=float(np.clip(self._upper(tail), self.low, self.high)),
            level=level,
        )

    def p_above(self, null: float = 0.0) -> float:
        """One-sided p-value against "the truth is ``null`` or less".

        It is the smallest tail whose lower bound is above ``null``, so it agrees with
        :meth:`interval`; never below 1 / (resamples + 1).
        """
        return self._smallest_tail(lambda tail: self._lower(tail) > null)

    def p_below(self, null: float = 0.0) -> float:
        """One-sided p-value against "the truth is ``null`` or more"."""
        return self._smallest_tail(lambda tail: self._upper(tail) < null)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value against "the truth is ``null``"; agrees with :meth:`interval`."""
        return min(1.0, 2 * min(self.p_above(null), self.p_below(null)))

    def negated(self) -> Sampling:
        """The distribution of minus the estimate."""
        return Sampling(
            0.0 - self.estimate,
            -self.deviations[::-1],
            self.degrees,
            self.seed_variance,
            -self.high,
            -self.low,
        )

    def stretch(self, tail: float) -> float:
        """Ratio of Student's to the normal quantile at ``tail`` (below 0.5)."""
        return float(stdtrit(self.degrees, tail) / ndtri(tail))

    def _lower(self, tail: float) -> float:
        return self.estimate + self.stretch(tail) * self._quantile(tail)

    def _upper(self, tail: float) -> float:
        return self.estimate + self.stretch(tail) * self._quantile(1 - tail)

    def _quantile(self, share: float) -> float:
        place = share * (len(self.deviations) - 1)
        below = int(place)
        above = min(below + 1, len(self.deviations) - 1)
        weight = place - below
        return float((1 - weight) * self.deviations[below] + weight * self.deviations[above])

    def _smallest_tail(self, excludes: Callable[[float], bool]) -> float:
        low, high = np.log(1 / (len(self.deviations) + 1)), np.log(0.4999)
        if excludes(float(np.exp(low))):
            return float(np.exp(low))
        if not excludes(float(np.exp(high))):
            return 1.0
        for _ in range(40):
            middle = (low + high) / 2
            if excludes(float(np.exp(middle))):
                high = middle
            else:
                low = middle
        return float(np.exp(high))


def cluster_sums(scores: Floats, clusters: Codes, cluster_count: int) -> Floats:
    """Sum of each row of ``scores`` (k, items) over each cluster: shape (k, clusters)."""
    return np.stack([np.bincount(clusters, row, cluster_count) for row in scores])


def redrawn_means(
    scores: Floats,
    clusters: Codes,
    cluster_count: int,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    """Means of each row over redrawn clusters, the same draw for every row.

    scores: shape (k, items). Returns shape (resamples, k). The mean of a draw is its sum over its
    number of items, as clusters differ in size. Deviations from the observed mean are scaled by
    sqrt(m / (m - 1)) for m clusters.

    Raises:
        ValueError: fewer than two clusters; their variance cannot be known.
    """
    if cluster_count < 2:
        raise ValueError(f"at least 2 clusters are needed to redraw them, not {cluster_count}")
    sizes = np.bincount(clusters, minlength=cluster_count).astype(np.float64)
    columns = np.vstack([cluster_sums(scores, clusters, cluster_count), sizes]).T
    means = np.empty((resamples, len(scores)))
    rows = max(1, CELLS_AT_ONCE // cluster_count)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        totals = _cluster_counts(stop - start, cluster_count, generator) @ columns
        means[start:stop] = totals[:, :-1] / totals[:, -1:]
    observed = scores.mean(axis=1)
    scale = math.sqrt(cluster_count / (cluster_count - 1))
    return np.asarray(observed + scale * (means - observed), dtype=np.float64)


def _cluster_counts(draws: int, cluster_count: int, generator: np.random.Generator) -> Floats:
    # Counting uniform draws is the multinomial, and many times faster than sampling it.
    kind = np.uint16 if cluster_count <= 1 << 16 else np.uint32
    drawn = generator.integers(0, cluster_count, (draws, cluster_count), dtype=kind)
    cells = drawn + np.arange(0, draws * cluster_count, cluster_count, dtype=np.int64)[:, None]
    counts = np.bincount(cells.ravel(), minlength=draws * cluster_count)
    return counts.reshape(draws, cluster_count).astype(np.float64)


def seed_deviations(means: Floats, generator: np.random.Generator) -> Floats:
    """What redrawing the seeds changes, draw by draw.

    means: shape (resamples, seeds). Returns shape (resamples,), scaled by sqrt(s / (s - 1)); zero
    for one seed, whose variance cannot be known.
    """
    resamples, seeds = means.shape
    if seeds < 2:
        return np.zeros(resamples)
    counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    change = ((counts - 1) * means).sum(axis=1) / seeds
    return np.asarray(np.sqrt(seeds / (seeds - 1)) * change, dtype=np.float64)


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


def seed_variance(means: Floats) -> Variance:
    """Variance of the mean over seeds of ``means`` (seeds,); zero for one seed."""
    if len(means) < 2:
        return Variance(0.0, np.inf)
    return Variance(float(means.var(ddof=1)) / len(means), len(means) - 1.0)


def degrees_of_freedom(variances: Sequence[Variance]) -> float:
    """Satterthwaite's degrees of freedom of a sum of independent variances."""
    total = sum(variance.value for variance in variances)
    if total <= 0:
        return max(variance.degrees for variance in variances if np.isfinite(variance.degrees))
    parts = sum((variance.value / total) ** 2 / variance.degrees for variance in variances)
    return float("inf") if parts <= 0 else 1 / parts


def largest_cluster(values: Floats, clusters: Codes, cluster_count: int) -> float:
    """Largest |sum of ``values`` (items,) over a cluster|, in units of a cluster of mean size."""
    sums = np.bincount(clusters, values, cluster_count)
    return float(np.abs(sums).max()) * cluster_count / len(values)


def unseen_variance(largest: float, items: Variance, bounded: bool) -> Variance:
    """Variance of what the sample is too small to have shown.

    Two more clusters, one for each side, of the largest difference seen (of 1 where there was
    none, and of 1 at most) add 2 * largest^2 / (m + 2)^2; for binary scores this is Bonett and
    Price (2012). Zero for unbounded metrics, whose spread the sample itself shows.

    Args:
        largest: see :func:`largest_cluster`.
        items: variance over items; its degrees of freedom are the effective number of clusters
            m, minus 1.
        bounded: every score lies within -1 and 1.
    """
    if not bounded:
        return Variance(0.0, items.degrees)
    return Variance(2 * (min(largest or 1.0, 1.0) / (items.degrees + 3)) ** 2, items.degrees)


__all__ = [
    "Sampling",
    "Variance",
    "cluster_sums",
    "cluster_variance",
    "degrees_of_freedom",
    "largest_cluster",
    "redrawn_means",
    "seed_deviations",
    "seed_variance",
    "unseen_variance",
]
