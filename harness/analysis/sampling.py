"""The sampling distribution of an estimate: its interval and its p-values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.analysis.pairing import Floats
from harness.findings import Interval


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


__all__ = ["Sampling"]
