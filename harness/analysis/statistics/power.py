"""What a design can show: the difference it would find, and the items that would settle one.

The spread of the answers is estimated from the study itself: from the variance of the difference,
that of items and that of seeds apart, or, where a difference of two proportions is tested by its
score, from the share of items on which the arms disagree.

A follow-up with more items has the seeds of this one. A few seeds tell little of the variance
between them: it is taken at the upper end of a one-sided interval of 60 %, at which, in simulation,
follow-ups of the size named settle four times in five; and the follow-up's own interval will hang
on its own estimate of it, so the power is the mean over the estimates that it may get.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import bdtr, chdtri, nctdtrinc, ndtr, ndtri

from harness.analysis.statistics.few_clusters import fewest_clusters
from harness.analysis.statistics.paired_proportions import PairedProportions, counted_p
from harness.analysis.statistics.pairing import Floats
from harness.analysis.statistics.sampling import Sampling, mixed_quantile

POWER = 0.8
SEED_CONFIDENCE = 0.6
MOST_ITEMS = 10_000_000
# A critical value beside which the noise of the estimate, 1, does not count.
LARGE = 30.0
# Points at which a distribution of a variance is taken: the middles of as many equal shares.
NODES = (np.arange(12) + 0.5) / 12

Settled = Callable[[float, Callable[[float], Floats]], Floats]


def minimum_detectable(sampling: Sampling, level: float) -> float:
    """Smallest true difference found with 80 % power at this number of items and seeds.

    The noncentrality, in standard errors, at which the t test that the interval implies rejects
    four times in five; no more than the largest difference that there can be, which it is where
    clusters are too few for any.
    """
    tail, few = (1 - level) / 2, sampling.few
    if few is not None and few.clusters < fewest_clusters(tail):
        return min(few.limit, sampling.high)
    critical = -sampling.quantile(tail)
    difference = noncentrality(sampling.degrees, critical) * sampling.standard_error
    return min(difference, sampling.high)


def noncentrality(degrees: float, critical: float) -> float:
    """Standard errors from 0 at which a t test with this critical value has 80 % power."""
    if degrees > 1e4:
        return critical + float(ndtri(POWER))
    if critical > LARGE:
        # The error estimate alone decides; the distribution itself would not converge.
        return critical * math.sqrt(float(chdtri(degrees, 1 - POWER)) / degrees)
    return float(nctdtrinc(degrees, 1 - POWER, critical))


def items_needed(sampling: Sampling, items: int, margin: float, level: float) -> int | None:
    """Items with which the observed difference, if true, would be settled with 80 % power.

    Settled as a difference from 0 or as equivalence within the margin. None where no number of
    items would do, with as many seeds as there are.
    """

    def settled(spread: float, half_width: Callable[[float], Floats]) -> Floats:
        apart, inside = half_width((1 - level) / 2), margin - half_width(1 - level)
        equal = _between(-inside, inside, sampling.estimate, spread)
        differs = 1 - _between(-apart, apart, sampling.estimate, spread)
        # Where the two ranges overlap, every estimate settles it.
        return np.where(inside >= apart, 1.0, np.where(inside > 0, equal, 0.0) + differs)

    return _fewest(sampling, items, settled, (1 - level) / 2)


def items_to_settle(sampling: Sampling, items: float, border: float, level: float) -> int | None:
    """Items with which the observed estimate, if true, would lie clear of ``border``, 80 % power.

    None where no number of items would do, with as many seeds as there are.
    """

    def settled(spread: float, half_width: Callable[[float], Floats]) -> Floats:
        width = half_width((1 - level) / 2)
        return 1 - _between(border - width, border + width, sampling.estimate, spread)

    return _fewest(sampling, items, settled, (1 - level) / 2)


def proportions_items_needed(counts: PairedProportions, margin: float, level: float) -> int | None:
    """Items that would settle a difference of two proportions tested by its score."""
    observed = abs(counts.estimate)
    share = max(counts.discordance, observed)
    one_sided = float(ndtri(level))

    def power(items: int) -> float:
        spread = math.sqrt((share - observed**2) / items)
        inside = margin - one_sided * spread
        equal = float(_between(-inside, inside, observed, spread)) if inside > 0 else 0.0
        differs = proportions_power(observed, share, items, level) if observed > 0 else 0.0
        return min(1.0, equal + differs)

    return _smallest(power, counts.items)


def proportions_minimum_detectable(counts: PairedProportions, level: float) -> float:
    """Smallest true difference that the score test finds with 80 % power; 1 at most."""

    def missing(difference: float) -> float:
        share = max(counts.discordance, difference)
        return proportions_power(difference, share, counts.items, level) - POWER

    if missing(1.0) < 0:
        return 1.0
    from scipy.optimize import brentq

    # The power of a test on counts moves in steps: the root is where they cross.
    return float(brentq(missing, 0.0, 1.0, xtol=1e-5))


def proportions_power(difference: float, discordance: float, items: int, level: float) -> float:
    """Probability that the test of two proportions, two-sided, finds a difference in its direction.

    The number of discordant items is binomial, and the wins among them too (Connor 1987 has the
    normal approximation of it).

    Args:
        discordance: share of items that only one arm has right, at least ``difference``.
    """
    spread = 8 * math.sqrt(items * discordance * (1 - discordance)) + 8
    centre = items * discordance
    counts = np.arange(max(1, int(centre - spread)), min(items, int(centre + spread)) + 1)
    # Wins minus losses must be above the quantile times the root of their sum.
    least = float(ndtri((1 + level) / 2)) * np.sqrt(counts)
    losses = np.ceil((counts - least) / 2) - 1
    # Where the p-value of these counts is too large, that of one loss fewer is small enough.
    losses = np.where(counted_p(losses, counts, items) < 1 - level, losses, losses - 1)
    lose = (discordance - difference) / (2 * discordance)
    rejects = np.where(losses >= 0, bdtr(np.maximum(losses, 0), counts, lose), 0.0)
    likely = bdtr(counts, items, discordance) - bdtr(counts - 1, items, discordance)
    return float((likely * rejects).sum())


def _fewest(sampling: Sampling, items: float, settled: Settled, tail: float) -> int | None:
    """Fewest items, more than now, at which the mean of ``settled`` reaches 80 %.

    Args:
        tail: the one-sided level at which it is settled: the items are no fewer than those of as
            many clusters as that takes.
        settled: probability that a follow-up settles it, given the standard deviation of its
            estimate and, by tail, the half-width of its interval, over the values that this may
            have.
    """
    of_items = max(sampling.standard_error**2 - sampling.seed_variance, 0.0)
    degrees = sampling.seed_degrees
    total = sampling.seed_variance + sampling.seed_noise
    seeded = bool(np.isfinite(degrees)) and total > 0
    factors = chdtri(degrees, NODES) / degrees if seeded else np.ones(1)
    between = 0.0
    if seeded:
        upper = total * degrees / float(chdtri(degrees, SEED_CONFIDENCE))
        between = max(0.0, upper - sampling.seed_noise)

    def power(count: float) -> float:
        ratio = items / count if np.isfinite(count) else 0.0
        noise = sampling.seed_noise * ratio
        between_runs = np.maximum((between + noise) * factors - noise, 0.0)
        spread = math.sqrt(of_items * ratio + between)
        error = np.sqrt(of_items * ratio + between_runs)
        item_degrees = sampling.item_degrees / ratio if ratio else np.inf
        share = between_runs / np.maximum(error**2, 1e-300)
        parts = (of_items * ratio) ** 2 / item_degrees + np.where(
            between_runs > 0, (between_runs + noise) ** 2 / degrees, 0.0
        )
        whole = np.divide(error**4, parts, out=np.full_like(parts, np.inf), where=parts > 0)
        whole = np.maximum(whole, 1.0)

        def half_width(tail: float) -> Floats:
            return -mixed_quantile(tail, whole, share, item_degrees, degrees) * error

        return float(np.mean(settled(spread, half_width)))

    least = items
    if sampling.few is not None:
        clusters = sampling.few.clusters
        least = max(items, items / clusters * fewest_clusters(tail) - 1)
    return _smallest(power, least) if power(np.inf) >= POWER else None


def _smallest(power: Callable[[int], float], items: float) -> int | None:
    """Fewest items above ``items`` with enough power, to within a thousandth; None if too many."""
    low, high = math.floor(items), math.floor(items) + 1
    while power(high) < POWER:
        low, high = high, max(high + 1, math.ceil(high * 1.25))
        if high > MOST_ITEMS:
            return None
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _between(low: Floats | float, high: Floats | float, mean: float, spread: float) -> Floats:
    """Probability that a normal estimate lies between the bounds; its spread may be 0."""
    spread = max(spread, 1e-12)
    probability = ndtr((high - mean) / spread) - ndtr((low - mean) / spread)
    return np.asarray(probability, dtype=np.float64)


__all__ = [
    "POWER",
    "items_needed",
    "items_to_settle",
    "minimum_detectable",
    "noncentrality",
    "proportions_items_needed",
    "proportions_minimum_detectable",
    "proportions_power",
]
