"""The sampling distribution of an estimate: its interval and its p-values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.analysis.statistics.few_clusters import FewClusters
from harness.analysis.statistics.pairing import Floats
from harness.findings import Interval


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sampling distribution of an estimate."""

    estimate: float
    """The estimate, in the metric's unit."""
    deviations: Floats
    """Redrawn estimate minus estimate, sorted, shape (resamples,)."""
    degrees: float
    """Satterthwaite's degrees of freedom."""
    seed_variance: float = 0.0
    """The part of the variance that more items would not remove."""
    low: float = -np.inf
    """The lowest value that the estimate can have."""
    high: float = np.inf
    """The highest value that the estimate can have."""
    item_degrees: float = np.inf
    """Degrees of freedom of the part of the variance that items make up."""
    seed_degrees: float = np.inf
    """Degrees of freedom of the part that seeds make up."""
    seed_noise: float = 0.0
    """What single answers add to the variance between seeds; it is in that of items."""
    few: FewClusters | None = None
    """The clusters of a difference, where they are too few to be told apart by their spread."""
    standard_error: float = field(init=False)
    """Standard deviation of the redrawn estimates."""
    _tails: dict[tuple[bool, float], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Side and null -> p-value, once found: what a verdict hangs on asks the same again."""

    def __post_init__(self) -> None:
        error = float(np.sqrt(np.mean(self.deviations**2)))
        object.__setattr__(self, "standard_error", error)

    def interval(self, level: float) -> Interval:
        """Two-sided interval: percentiles of the deviations, stretched by t/z.

        Of a few clusters no shorter than they can tell at most.
        """
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
        return self._found(True, null, lambda tail: self._lower(tail) > null)

    def p_below(self, null: float = 0.0) -> float:
        """One-sided p-value against "the truth is ``null`` or more"."""
        return self._found(False, null, lambda tail: self._upper(tail) < null)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value against "the truth is ``null``"; agrees with :meth:`interval`."""
        return min(1.0, 2 * min(self.p_above(null), self.p_below(null)))

    def negated(self) -> Sampling:
        """The distribution of minus the estimate."""
        return replace(
            self,
            estimate=0.0 - self.estimate,
            deviations=-self.deviations[::-1],
            low=-self.high,
            high=-self.low,
            few=self.few and self.few.negated(),
        )

    def quantile(self, tail: float) -> float:
        """Student's quantile at ``tail`` (below 0.5, so negative), in standard errors.

        Where seeds count beside items, between two approximations: Satterthwaite's, too short
        where few seeds make up most of the variance, and that of Cochran and Cox (1950), the
        quantiles of the parts weighed by their variance, too long where they make up half. The
        seeds' share of the standard error says how far from the first to the second; simulation
        shows that this holds its level from three seeds on.
        """
        share = 0.0
        if self.seed_variance > 0:
            share = min(1.0, self.seed_variance / self.standard_error**2)
        return float(
            mixed_quantile(tail, self.degrees, share, self.item_degrees, self.seed_degrees)
        )

    def stretch(self, tail: float) -> float:
        """Ratio of :meth:`quantile` to the normal quantile at ``tail`` (below 0.5)."""
        return self.quantile(tail) / float(ndtri(tail))

    def _lower(self, tail: float) -> float:
        bound = self.estimate + self.stretch(tail) * self._quantile(tail)
        return bound if self.few is None else min(bound, self.few.lower(tail))

    def _upper(self, tail: float) -> float:
        bound = self.estimate + self.stretch(tail) * self._quantile(1 - tail)
        return bound if self.few is None else max(bound, self.few.upper(tail))

    def _quantile(self, share: float) -> float:
        place = share * (len(self.deviations) - 1)
        below = int(place)
        above = min(below + 1, len(self.deviations) - 1)
        weight = place - below
        return float((1 - weight) * self.deviations[below] + weight * self.deviations[above])

    def _found(self, above: bool, null: float, excludes: Callable[[float], bool]) -> float:
        if (above, null) not in self._tails:
            self._tails[above, null] = self._smallest_tail(excludes)
        return self._tails[above, null]

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


def mixed_quantile(
    tail: float,
    degrees: Floats | float,
    share: Floats | float,
    item_degrees: float,
    seed_degrees: float,
) -> Floats:
    """Student's quantile of a variance of two parts; see :meth:`Sampling.quantile`.

    Args:
        tail: probability below the quantile, below 0.5.
        degrees: Satterthwaite's degrees of freedom of the whole.
        share: share of the seeds in the variance, 0 to 1.
        item_degrees, seed_degrees: degrees of freedom of the parts.
    """
    plain = stdtrit(degrees, tail)
    of_items, of_seeds = stdtrit(item_degrees, tail), stdtrit(seed_degrees, tail)
    weighed = (1 - share) * of_items + share * of_seeds
    return np.asarray(plain + np.sqrt(share) * (weighed - plain), dtype=np.float64)


__all__ = ["Sampling", "mixed_quantile"]
