"""Which settings go with forgetting, over the trials of a search: associations, no experiment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtri

from harness.analysis.statistics.pairing import Floats
from harness.findings import Interval, SettingEffect, TradeOffPoint

FEWEST_TRIALS = 6
FEWEST_VALUES = 3


def setting_effects(
    arm: str,
    points: Sequence[TradeOffPoint],
    parameters: Sequence[str],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[SettingEffect]:
    """One effect for each searched parameter that is a number, over the arm's search trials.

    None for a parameter with fewer than 6 trials or 3 distinct values, or where no trial changed
    the general scores more than another.
    """
    searched = [point for point in points if point.arm == arm and point.phase == "search"]
    for name in parameters:
        numbered = [point for point in searched if _is_number(point.params.get(name))]
        values = np.array([point.params[name] for point in numbered], dtype=np.float64)
        changes = np.array([point.general_change for point in numbered], dtype=np.float64)
        if len(numbered) < FEWEST_TRIALS or len(set(values.tolist())) < FEWEST_VALUES:
            continue
        if len(set(changes.tolist())) < 2:
            continue
        # It takes longer to load than a report of a study without searches to write.
        from scipy.stats import spearmanr

        correlation = float(spearmanr(values, changes).statistic)
        yield SettingEffect(
            arm=arm,
            parameter=name,
            trials=len(numbered),
            correlation=correlation,
            interval=rank_correlation_interval(correlation, len(numbered), level),
            p_value=rank_correlation_p(values, changes, resamples, generator),
        )


def rank_correlation_interval(correlation: float, trials: int, level: float) -> Interval:
    """Fisher's interval of Spearman's correlation with the variance of Bonett and Wright (2000).

    tanh(atanh(r) +- z sqrt((1 + r^2 / 2) / (n - 3))). A perfect correlation is taken for half a
    step of the statistic (6 / (n^3 - n)) less: few ranks agree perfectly often.

    Raises:
        ValueError: fewer than 4 trials.
    """
    if trials < 4:
        raise ValueError(f"an interval of a rank correlation needs 4 trials at least, not {trials}")
    most = 1 - 6 / (trials**3 - trials)
    r = min(max(correlation, -most), most)
    spread = float(ndtri((1 + level) / 2)) * math.sqrt((1 + r**2 / 2) / (trials - 3))
    low, high = (math.tanh(math.atanh(r) + side * spread) for side in (-1, 1))
    return Interval(min(low, correlation), max(high, correlation), level)


def rank_correlation_p(
    values: Floats, changes: Floats, resamples: int, generator: np.random.Generator
) -> float:
    """Two-sided p-value against no association, by permutation: t is no guide with few trials.

    It is exact where all orders are fewer than ``resamples``.

    Args:
        values, changes: shape (trials,).
    """
    from scipy.stats import permutation_test, rankdata

    ranks = rankdata(changes)
    ranks -= ranks.mean()
    test = permutation_test(
        (rankdata(values),),
        lambda drawn, axis: (drawn * ranks).sum(axis=axis),
        permutation_type="pairings",
        vectorized=True,
        n_resamples=resamples,
        rng=generator,
    )
    return float(test.pvalue)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


__all__ = ["rank_correlation_interval", "rank_correlation_p", "setting_effects"]
