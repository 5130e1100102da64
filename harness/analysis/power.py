"""What a design can show: the difference it would find, and the items that would settle one."""

from __future__ import annotations

import math

from scipy.stats import norm, t

from harness.analysis.bootstrap import Sampling

POWER = 0.8


def minimum_detectable(sampling: Sampling, level: float) -> float:
    """Smallest true difference found with 80 % power at this number of items and seeds.

    (t(1 - alpha/2) + t(0.8)) standard errors, the standard error being the observed one.
    """
    quantiles = t.ppf((1 + level) / 2, sampling.degrees) + t.ppf(POWER, sampling.degrees)
    return float(quantiles) * sampling.standard_error


def items_needed(sampling: Sampling, items: int, margin: float, level: float) -> int | None:
    """Items with which the observed difference, if true, would be settled with 80 % power.

    Settled as a difference from 0 or as equivalence within the margin, whichever needs fewer. The
    part of the variance that comes from seeds stays; None where it alone is too large.
    """
    observed = abs(sampling.estimate)
    alpha = 1 - level
    targets = []
    if observed > 0:
        targets.append(observed / float(norm.ppf(1 - alpha / 2) + norm.ppf(POWER)))
    if observed < margin:
        both_sides = float(norm.ppf(1 - alpha) + norm.ppf((1 + POWER) / 2))
        targets.append((margin - observed) / both_sides)
    if not targets:
        return None
    spare = max(targets) ** 2 - sampling.seed_variance
    variance = max(sampling.standard_error**2 - sampling.seed_variance, 0.0)
    if spare <= 0:
        return None
    return max(items + 1, math.ceil(items * variance / spare))


__all__ = ["POWER", "items_needed", "minimum_detectable"]
