"""What a few clusters can tell at most, whatever lies within them.

Between the means over parts of m independent differences the truth lies in each gap equally often,
if they are symmetric about it (Hartigan 1969, "Using subsample values as typical values"): 2^m gaps
between 2^m - 1 means. That is the inversion of the exact test by random signs (Fisher 1935), whose
one-sided p-value is never below 1 / 2^m. So five clusters cannot exclude anything at 95 %, however
alike they are, where an interval from the spread between them would have no width at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.analysis.statistics.item_sample import ItemSample, cluster_sums
from harness.analysis.statistics.pairing import Floats

MOST_CLUSTERS = 12
"""With more the bootstrap holds its level, and the parts are too many to be gone through."""


@dataclass(frozen=True, slots=True)
class FewClusters:
    """The estimate over every part of a few clusters."""

    sums: Floats
    """What each cluster adds to the estimate, shape (m,)."""
    weights: Floats
    """What each would add if all of its differences were 1, shape (m,)."""
    limit: float
    """How large the estimate may be on either side, as far as is known."""
    _typical: list[Floats] = field(default_factory=list, init=False, repr=False, compare=False)
    """The means over all parts, sorted, once asked for."""

    @property
    def clusters(self) -> int:
        """Number of clusters, m."""
        return len(self.sums)

    def lower(self, tail: float) -> float:
        """The bound that the truth is below with probability ``tail`` at most."""
        skipped = int(tail * 2**self.clusters)
        return float(self._means()[skipped - 1]) if skipped else -self.limit

    def upper(self, tail: float) -> float:
        """The bound that the truth is above with probability ``tail`` at most."""
        skipped = int(tail * 2**self.clusters)
        return float(self._means()[-skipped]) if skipped else self.limit

    def negated(self) -> FewClusters:
        """The same of minus the estimate."""
        return FewClusters(-self.sums, self.weights, self.limit)

    def _means(self) -> Floats:
        if not self._typical:
            sums, weights = np.zeros(1), np.zeros(1)
            for one, weight in zip(self.sums, self.weights, strict=True):
                sums = np.concatenate([sums, sums + one])
                weights = np.concatenate([weights, weights + weight])
            self._typical.append(np.sort(sums[1:] / weights[1:]))
        return self._typical[0]


def few_clusters(samples: Sequence[ItemSample]) -> FewClusters | None:
    """The clusters of all samples, where they are few and each is a difference that adds up."""
    count = sum(sample.cluster_count for sample in samples)
    if count > MOST_CLUSTERS or not all(one.paired and one.weight > 0 for one in samples):
        return None
    sums, weights = [], []
    for sample in samples:
        share = sample.weight / len(sample.values)
        sizes = np.bincount(sample.clusters, minlength=sample.cluster_count)
        (totals,) = cluster_sums(sample.values[None], sample.clusters, sample.cluster_count)
        sums.append(share * totals)
        weights.append(share * sizes)
    limit = sum(sample.weight * sample.size for sample in samples)
    return FewClusters(np.concatenate(sums), np.concatenate(weights), limit)


def fewest_clusters(tail: float) -> int:
    """The least number of clusters with which anything can be excluded at a one-sided ``tail``."""
    return int(np.ceil(-np.log2(tail) - 1e-9))


__all__ = ["MOST_CLUSTERS", "FewClusters", "few_clusters", "fewest_clusters"]
