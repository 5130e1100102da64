"""The hierarchical bootstrap: training seeds and clusters of items are both redrawn.

A mean over seeds s and items i varies because training could have run with other seeds and
because other items could have been drawn. Clusters are redrawn with replacement, the same draw
for all that answered them. Seeds are redrawn by the wild bootstrap (Liu 1988): their deviations
from the mean times normal numbers, as three values are too few to draw from.

What a seed's mean owes to single answers that come out now so, now so is in the draw of items
already; redrawing raw seed means would count it again. So the seeds' deviations are shrunk to the
variance between seeds that is left without it, as in the bootstrap of reflated random effects
(Carpenter, Goldstein and Rasbash 2003).

Three corrections keep small studies honest:

* redrawing m units gives a variance (m-1)/m times too small, so deviations are scaled by
  sqrt(m/(m-1)), for clusters and for seeds each;
* quantiles are stretched by t/z, because three seeds do not tell their variance well (Hesterberg
  2015, "What Teachers Should Know About the Bootstrap", on percentile intervals that are too
  narrow; :meth:`~harness.analysis.statistics.sampling.Sampling.quantile` has the degrees of
  freedom);
* bounded scores get the noise of two more clusters, one for each side, as Bonett and Price (2012)
  add one to each discordant count: twenty items without a difference do not prove none, nor do
  seven with the same one prove that the next has it too;
* a difference of few clusters is never told more exactly than their number allows
  (:mod:`~harness.analysis.statistics.few_clusters`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.few_clusters import few_clusters
from harness.analysis.statistics.item_sample import (
    ItemSample,
    Variance,
    cluster_sums,
    cluster_variance,
    degrees_of_freedom,
    unseen_of,
)
from harness.analysis.statistics.pairing import Codes, Floats
from harness.analysis.statistics.sampling import Sampling

CELLS_AT_ONCE = 1 << 16  # small enough to stay in the cache
# To draw how often one kind of cluster comes takes as long as to draw so many clusters.
CLUSTERS_A_KIND = 32


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers of one quantity: the same in every run, and whatever else is drawn before."""
    return np.random.default_rng([seed, zlib.crc32("\0".join(names).encode())])


def redrawn_means(
    scores: Floats,
    clusters: Codes,
    cluster_count: int,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    """Means of each row over redrawn clusters, the same draw for every row.

    The mean of a draw is its sum over its number of items, as clusters differ in size. Deviations
    from the observed mean are scaled by sqrt(m / (m - 1)) for m clusters.

    Args:
        scores: rows of scores, shape (k, items).

    Returns:
        The means, shape (resamples, k).

    Raises:
        ValueError: fewer than two clusters; their variance cannot be known.
    """
    if cluster_count < 2:
        raise ValueError(f"at least 2 clusters are needed to redraw them, not {cluster_count}")
    sums = cluster_sums(scores, clusters, cluster_count)
    sizes = np.bincount(clusters, minlength=cluster_count)
    kinds, count_of = np.unique(np.vstack([sums, sizes]), axis=1, return_counts=True)
    redrawn = (
        _redrawn_counts(kinds, count_of, resamples, generator)
        if len(count_of) * CLUSTERS_A_KIND < cluster_count
        else _redrawn_clusters(sums, sizes, resamples, generator)
    )
    means = redrawn[:, :-1] / redrawn[:, -1:]
    observed = scores.mean(axis=1)
    scale = math.sqrt(cluster_count / (cluster_count - 1))
    return np.asarray(observed + scale * (means - observed), dtype=np.float64)


def _redrawn_clusters(
    sums: Floats, sizes: Codes, resamples: int, generator: np.random.Generator
) -> Floats:
    """Sums of each row, and numbers of items, over clusters drawn one by one.

    Returns:
        Shape (resamples, k + 1).
    """
    count = len(sizes)
    even = bool((sizes == sizes[0]).all())
    kind = np.uint16 if count <= 1 << 16 else np.uint32
    redrawn = np.empty((resamples, len(sums) + 1))
    rows = max(1, CELLS_AT_ONCE // count)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        drawn = generator.integers(0, count, (stop - start, count), dtype=kind)
        for row, values in enumerate(sums):
            redrawn[start:stop, row] = values[drawn].sum(axis=1)
        redrawn[start:stop, -1] = count * sizes[0] if even else sizes[drawn].sum(axis=1)
    return redrawn


def _redrawn_counts(
    kinds: Floats, count_of: Codes, resamples: int, generator: np.random.Generator
) -> Floats:
    """The same, by how often each kind of cluster is drawn: most scores have few values.

    Args:
        kinds: sums and number of items of each kind of cluster, shape (k + 1, kinds).
        count_of: number of clusters of each kind.
    """
    total = int(count_of.sum())
    drawn = generator.multinomial(total, count_of / total, size=resamples)
    return np.asarray(drawn @ kinds.T, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SeedEffect:
    """What training with one seed or another did to a mean."""

    means: Floats
    """The mean of each seed, shape (seeds,)."""
    noise: float
    """The part of the variance of their mean that comes from single answers, not from the seed as a
    whole."""

    def negated(self) -> SeedEffect:
        """The effect on minus the mean."""
        return SeedEffect(-self.means, self.noise)

    @property
    def variance(self) -> Variance:
        """Variance of the mean over seeds, noise included; zero for one seed."""
        return seed_variance(self.means)


def seed_effect(scores: Floats, clusters: Codes, cluster_count: int) -> SeedEffect:
    """The seed effect of one arm on one sample of items.

    Args:
        scores: scores of the arm, shape (seeds, items).
    """
    seeds, items = scores.shape
    means = scores.mean(axis=1)
    if seeds < 2 or cluster_count < 2:
        return SeedEffect(means, 0.0)
    rest = scores - scores.mean(axis=0) - (means - means.mean())[:, None]
    sums = cluster_sums(rest, clusters, cluster_count)
    variances = cluster_count / (cluster_count - 1) * (sums**2).sum(axis=1) / items**2
    return SeedEffect(means, float(variances.sum()) / (seeds - 1) / seeds)


def sampling_of(
    samples: Sequence[ItemSample],
    seeds: Sequence[SeedEffect],
    resamples: int,
    generator: np.random.Generator,
    *,
    low: float = -np.inf,
    high: float = np.inf,
) -> Sampling:
    """Sampling distribution of the weighted sum of the samples' means.

    Args:
        samples: samples of items, independent of each other, each redrawn on its own.
        seeds: effects of the seeds of each group of trained models; groups are redrawn
            independently.
        low, high: limits of what the estimate can be.

    Raises:
        ValueError: a sample has fewer than two clusters.
    """
    estimate = float(sum(sample.weight * sample.values.mean() for sample in samples)) + 0.0
    deviations = np.zeros(resamples)
    variances, unseen = [], []
    for sample in samples:
        drawn = redrawn_means(
            sample.values[None], sample.clusters, sample.cluster_count, resamples, generator
        )[:, 0]
        deviations += sample.weight * (drawn - sample.values.mean())
        items = cluster_variance(sample.values, sample.clusters, sample.cluster_count)
        variances.append(Variance(items.value * sample.weight**2, items.degrees))
        hidden = unseen_of(sample, items)
        unseen.append(Variance(hidden.value * sample.weight**2, hidden.degrees))
    total = sum(effect.variance.value for effect in seeds)
    noise = sum(effect.noise for effect in seeds)
    between = max(0.0, total - noise)
    of_seeds = [effect.variance for effect in seeds] if between > 0 else []
    repeated = [effect.variance for effect in seeds if effect.variance.value > 0]
    if between > 0:
        shrink = math.sqrt(between / total)
        for effect in seeds:
            deviations += shrink * seed_deviations(effect.means, resamples, generator)
    # Two more clusters over all samples, not over each.
    spread = math.sqrt(sum(variance.value for variance in unseen) / len(samples))
    deviations += spread * generator.standard_normal(resamples)
    of_items = sum(variance.value for variance in variances) + spread**2
    return Sampling(
        estimate=estimate,
        deviations=np.sort(deviations),
        degrees=degrees_of_freedom([*variances, *unseen, *of_seeds], of_items + between),
        seed_variance=between,
        low=low,
        high=high,
        item_degrees=degrees_of_freedom([*variances, *unseen], of_items),
        seed_degrees=degrees_of_freedom(repeated) if repeated else np.inf,
        seed_noise=noise,
        few=few_clusters(samples),
    )


def seed_deviations(means: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Redrawn mean over seeds minus the mean; shape (resamples,).

    The wild bootstrap: each seed's deviation is multiplied by a standard normal of its own, which
    keeps the variance, s^2 / n, and has no steps, where redrawing three seeds gives ten values.
    One seed, whose variance cannot be known, gives zeros.

    Args:
        means: the mean of each seed, shape (seeds,).
    """
    seeds = len(means)
    if seeds < 2:
        return np.zeros(resamples)
    scale = math.sqrt(seeds / (seeds - 1)) / seeds
    multipliers = generator.standard_normal((resamples, seeds))
    return np.asarray(scale * (multipliers @ (means - means.mean())), dtype=np.float64)


def seed_variance(means: Floats) -> Variance:
    """Variance of the mean over seeds of ``means`` (seeds,); zero for one seed."""
    if len(means) < 2:
        return Variance(0.0, np.inf)
    return Variance(float(means.var(ddof=1)) / len(means), len(means) - 1.0)


__all__ = [
    "SeedEffect",
    "named_generator",
    "redrawn_means",
    "sampling_of",
    "seed_deviations",
    "seed_effect",
    "seed_variance",
]
