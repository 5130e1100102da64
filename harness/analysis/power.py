"""What a design can show: the difference it would find, and the items that would settle one.

The spread of the answers is estimated from the study itself: from the standard error of the
difference, or, for an exact McNemar test, from the share of items on which the arms disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, nct, norm

from harness.analysis.sampling import Sampling

POWER = 0.8
MOST_ITEMS = 10_000_000


@dataclass(frozen=True, slots=True)
class Flips:
    """Items that only one of two arms has right: ``wins_a``, ``wins_b``, of ``items``."""

    wins_a: int
    wins_b: int
    items: int

    @property
    def discordance(self) -> float:
        """Share of items on which the arms disagree, with one more on each side (Bonett, Price)."""
        return (self.wins_a + self.wins_b + 2) / (self.items + 2)


def minimum_detectable(sampling: Sampling, level: float) -> float:
    """Smallest true difference found with 80 % power at this number of items and seeds.

    The noncentrality, in standard errors, at which the t test that the interval implies rejects
    four times in five.
    """
    critical = -sampling.quantile((1 - level) / 2)
    return noncentrality(sampling.degrees, critical) * sampling.standard_error


def noncentrality(degrees: float, critical: float) -> float:
    """Standard errors from 0 at which a t test with this critical value has 80 % power."""
    if degrees > 1e4:
        return critical + float(norm.ppf(POWER))
    return float(
        brentq(lambda shift: float(nct.sf(critical, degrees, shift)) - POWER, 0.1, 50 * critical)
    )


def items_needed(sampling: Sampling, items: int, margin: float, level: float) -> int | None:
    """Items with which the observed difference, if true, would be settled with 80 % power.

    Settled as a difference from 0 or as equivalence within the margin, whichever needs fewer. The
    part of the variance that comes from seeds stays; None where it alone is too large.
    """
    observed = abs(sampling.estimate)
    targets = [_equivalence_target(observed, margin, level)]
    if observed > 0:
        targets.append(observed / float(norm.ppf((1 + level) / 2) + norm.ppf(POWER)))
    return _items_for(max(targets), sampling, items)


def items_to_settle(sampling: Sampling, items: float, border: float, level: float) -> int | None:
    """Items with which the observed estimate, if true, would lie clear of ``border``, 80 % power.

    None where seeds alone leave it open, or where the estimate is the border.
    """
    needed = float(norm.ppf((1 + level) / 2) + norm.ppf(POWER))
    return _items_for(abs(sampling.estimate - border) / needed, sampling, items)


def mcnemar_items_needed(
    flips: Flips, sampling: Sampling, margin: float, level: float
) -> int | None:
    """The same where a difference is tested by McNemar's exact test."""
    observed = abs(sampling.estimate)
    as_equal = _items_for(_equivalence_target(observed, margin, level), sampling, flips.items)
    different = _mcnemar_items(observed, flips, level) if observed > 0 else None
    found = [number for number in (as_equal, different) if number is not None]
    return min(found, default=None)


def mcnemar_minimum_detectable(flips: Flips, level: float) -> float:
    """Smallest true difference that McNemar's exact test finds with 80 % power; 1 at most."""

    def missing(difference: float) -> float:
        share = max(flips.discordance, difference)
        return mcnemar_power(difference, share, flips.items, level) - POWER

    if missing(1.0) < 0:
        return 1.0
    # The power of an exact test moves in steps: the root is where they cross.
    return float(brentq(missing, 0.0, 1.0, xtol=1e-5))


def mcnemar_power(difference: float, discordance: float, items: int, level: float) -> float:
    """Probability that McNemar's exact two-sided test finds a difference in its direction.

    discordance: share of items that only one arm has right, at least ``difference``. The number
    of discordant items is binomial, and the wins among them too (Connor 1987 has the normal
    approximation of it).
    """
    spread = 8 * math.sqrt(items * discordance * (1 - discordance)) + 8
    centre = items * discordance
    counts = np.arange(max(0, int(centre - spread)), min(items, int(centre + spread)) + 1)
    # Largest number of losses that still rejects; -1 where none does.
    tail = (1 - level) / 2
    losses = binom.ppf(tail, counts, 0.5)
    losses = np.where(binom.cdf(losses, counts, 0.5) < tail, losses, losses - 1)
    lose = (discordance - difference) / (2 * discordance)
    rejects = np.where(losses >= 0, binom.cdf(losses, counts, lose), 0.0)
    return float((binom.pmf(counts, items, discordance) * rejects).sum())


def _mcnemar_items(difference: float, flips: Flips, level: float) -> int | None:
    share = max(flips.discordance, difference)

    def enough(items: int) -> bool:
        return mcnemar_power(difference, share, items, level) >= POWER

    low, high = flips.items, flips.items * 2
    while not enough(high):
        low, high = high, high * 2
        if high > MOST_ITEMS:
            return None
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _equivalence_target(observed: float, margin: float, level: float) -> float:
    """Standard error at which equivalence within the margin is shown with 80 % power."""
    both_sides = float(norm.ppf(level) + norm.ppf((1 + POWER) / 2))
    return max(margin - observed, 0.0) / both_sides


def _items_for(target: float, sampling: Sampling, items: float) -> int | None:
    """Items at which the standard error falls to ``target``; seeds stay as many as they are."""
    spare = target**2 - sampling.seed_variance
    variance = max(sampling.standard_error**2 - sampling.seed_variance, 0.0)
    if target <= 0 or spare <= 0:
        return None
    return max(math.floor(items) + 1, math.ceil(items * variance / spare))


__all__ = [
    "POWER",
    "Flips",
    "items_needed",
    "items_to_settle",
    "mcnemar_items_needed",
    "mcnemar_minimum_detectable",
    "mcnemar_power",
    "minimum_detectable",
    "noncentrality",
]
