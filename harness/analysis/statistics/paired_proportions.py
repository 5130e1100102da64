"""The difference of two paired proportions by its score: one method for test and interval.

Right-or-wrong answers of two arms to the same independent items are told by four counts, of which
the two discordant ones matter. Tango (1998) inverts the score test of "the true difference is D";
at D = 0 that is McNemar's test. Where few items are discordant that test errs too often, so
McNemar's mid-p (exact below 20 items) must agree, and the interval is drawn up to 0 where it does
not: the interval excludes 0 exactly where the test rejects. The exact test alone errs far less
often than it may, and misses differences for it (Fagerland, Lydersen and Laake 2013 and 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtr, ndtri

from harness.analysis.statistics.pairing import Floats
from harness.findings import Interval

Counts = NDArray[np.int64] | Floats

# With fewer items the mid-p errs in more than one study of twenty.
FEWEST_ITEMS = 20


@dataclass(frozen=True, slots=True)
class PairedProportions:
    """Items that only one of two arms has right."""

    wins_a: int
    """Number of items that only a has right."""
    wins_b: int
    """Number of items that only b has right."""
    items: int
    """Number of all items."""

    @property
    def estimate(self) -> float:
        """Share of right answers of a minus that of b."""
        return (self.wins_a - self.wins_b) / self.items

    @property
    def discordance(self) -> float:
        """Share of items on which the arms disagree, with one more on each side (Bonett, Price)."""
        return (self.wins_a + self.wins_b + 2) / (self.items + 2)

    def score(self, difference: float) -> float:
        """Standard normal deviate against "the true difference is ``difference``"; 0 if none.

        The share of items that only b has right is set to its maximum likelihood value under it.
        """
        n, a, b, d = self.items, self.wins_a, self.wins_b, difference
        linear = (2 * n - a + b) * d - a - b
        root = math.sqrt(max(linear**2 + 8 * n * b * d * (1 - d), 0.0))
        only_b = (root - linear) / (4 * n)
        variance = n * (2 * only_b + d * (1 - d))
        return (a - b - n * d) / math.sqrt(variance) if variance > 1e-12 else 0.0

    def interval(self, level: float) -> Interval:
        """Two-sided interval: the differences that the test does not reject."""
        critical = float(ndtri((1 + level) / 2))
        estimate = self.estimate
        # At the very ends the variance is 0, and the score with it.
        ends = -1 + 1e-9, 1 - 1e-9
        low = _root(lambda d: self.score(d) - critical, min(ends[0], estimate), estimate)
        high = _root(lambda d: self.score(d) + critical, estimate, max(ends[1], estimate))
        if self.p_value() >= 1 - level:
            low, high = min(low, 0.0), max(high, 0.0)
        return Interval(low, high, level)

    def p_above(self, null: float = 0.0) -> float:
        """One-sided p-value against "the truth is ``null`` or less"."""
        return float(ndtr(-self.score(null)))

    def p_below(self, null: float = 0.0) -> float:
        """One-sided p-value against "the truth is ``null`` or more"."""
        return float(ndtr(self.score(null)))

    def p_value(self) -> float:
        """Two-sided p-value against "there is no difference"; agrees with :meth:`interval`."""
        fewer, both = min(self.wins_a, self.wins_b), self.wins_a + self.wins_b
        counted = float(counted_p(fewer, both, self.items))
        return min(1.0, max(2 * float(ndtr(-abs(self.score(0.0)))), counted))


def counted_p(fewer: Counts | int, both: Counts | int, items: int) -> Floats:
    """McNemar's two-sided mid-p, with few items the exact one; not cut at 1.

    Args:
        fewer: number of the ``both`` discordant items that went the rarer way; a number or an
            array.
    """
    share = 1.0 if items < FEWEST_ITEMS else 0.5
    rarer = np.asarray(fewer, dtype=np.float64)
    below = np.where(rarer >= 1, bdtr(np.maximum(rarer - 1, 0), both, 0.5), 0.0)
    up_to = np.where(rarer >= 0, bdtr(np.maximum(rarer, 0), both, 0.5), 0.0)
    return np.asarray(2 * (share * up_to + (1 - share) * below), dtype=np.float64)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0; the end that it comes nearest to, if it does not."""
    if function(low) <= 0:
        return low
    if function(high) >= 0:
        return high
    # It takes longer to load than all else of a report that has no such counts.
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-10))


__all__ = ["PairedProportions", "counted_p"]
