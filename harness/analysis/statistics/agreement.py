"""How far a judge agrees with people on the same replies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.analysis.statistics.bootstrap import sampling_of
from harness.analysis.statistics.item_sample import ItemSample
from harness.analysis.statistics.pairing import Codes, Floats
from harness.findings import Interval

Statistic = Callable[[Floats, Floats], float]


def weighted_kappa(human: Floats, judged: Floats) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968), of marks on one scale.

    1 - E (h - j)^2 / E (h - j')^2 with h and j' drawn independently: it holds for whole marks and
    for expected marks between them alike, and is 0 where agreement is that of chance. NaN where
    people's marks never vary, with which no judge could agree more or less.

    Args:
        human, judged: marks of the same replies, shape (replies,).
    """
    if np.ptp(human) <= 0:
        return float("nan")
    by_chance = human.var() + judged.var() + (human.mean() - judged.mean()) ** 2
    return float(1 - np.mean((human - judged) ** 2) / by_chance)


def rank_correlation(human: Floats, judged: Floats) -> float:
    """Spearman's correlation; NaN where one of them never varies."""
    from scipy.stats import rankdata

    ranks: Floats = np.stack([rankdata(human), rankdata(judged)])
    if not ranks.std(axis=1).all():
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def agreement_interval(
    statistic: Statistic,
    human: Floats,
    judged: Floats,
    clusters: Codes,
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Interval | None:
    """Percentiles of a statistic over redrawn clusters; None with fewer than two clusters.

    Args:
        statistic: of marks of people and of the judge.
        human, judged: marks of the same replies, shape (replies,).
        clusters: which cluster each reply belongs to, shape (replies,).
        level: confidence level.
        resamples: draws of the bootstrap.
        generator: source of the draws.
    """
    members = [np.flatnonzero(clusters == code) for code in np.unique(clusters)]
    if len(members) < 2:
        return None
    found = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(members), len(members))
        rows = np.concatenate([members[code] for code in drawn])
        found.append(statistic(human[rows], judged[rows]))
    known = np.array([value for value in found if np.isfinite(value)])
    if len(known) < resamples / 2:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def mean_bias(
    human: Floats,
    judged: Floats,
    clusters: Codes,
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> tuple[float, Interval | None]:
    """Mean of the judge's mark minus that of people, with its interval over clusters."""
    apart = judged - human
    count = int(clusters.max()) + 1
    estimate = float(apart.mean())
    if len(np.unique(clusters)) < 2:
        return estimate, None
    sample = ItemSample(apart, clusters, count, bounded=False)
    return estimate, sampling_of([sample], [], resamples, generator).interval(level)


__all__ = ["agreement_interval", "mean_bias", "rank_correlation", "weighted_kappa"]
