"""Two arms compared on the same items: difference, interval, test, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from harness.analysis.bootstrap import (
    Sampling,
    Variance,
    cluster_variance,
    degrees_of_freedom,
    largest_cluster,
    redrawn_means,
    seed_deviations,
    seed_variance,
    unseen_variance,
)
from harness.analysis.pairing import Aligned, Floats, align
from harness.analysis.power import items_needed, minimum_detectable
from harness.findings import Contrast, ContrastOutcome, Interval
from harness.records import ScoreVector


@dataclass(frozen=True, slots=True)
class PairedDraws:
    """Redrawn means of two arms on the same redrawn items.

    a, b: shape (resamples, seeds of the arm). items: variance of the mean difference over items.
    unseen: variance added for a small sample of bounded scores.
    """

    a: Floats
    b: Floats
    items: Variance
    unseen: Variance


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contrast before the family of contrasts is known.

    p_value: two-sided, against no difference. p_outside: of two one-sided tests, against "the
    difference is the margin or more".
    """

    a: str
    b: str
    task: str
    split: str
    metric: str
    aligned: Aligned
    mean_a: float
    mean_b: float
    sampling: Sampling
    p_value: float
    p_outside: float
    test: str
    margin: float
    level: float


def paired_draws(aligned: Aligned, resamples: int, generator: np.random.Generator) -> PairedDraws:
    """Redraw the clusters of two aligned arms, keeping the pairs.

    Raises:
        ValueError: fewer than two clusters.
    """
    a, b = aligned.scores
    means = redrawn_means(
        np.vstack([a, b]), aligned.clusters, aligned.cluster_count, resamples, generator
    )
    differences = a.mean(axis=0) - b.mean(axis=0)
    items = cluster_variance(differences, aligned.clusters, aligned.cluster_count)
    largest = largest_cluster(differences, aligned.clusters, aligned.cluster_count)
    return PairedDraws(
        a=means[:, : len(a)],
        b=means[:, len(a) :],
        items=items,
        unseen=unseen_variance(largest, items, _bounded(aligned)),
    )


def difference_sampling(
    aligned: Aligned, resamples: int, generator: np.random.Generator
) -> Sampling:
    """Sampling distribution of mean(a) - mean(b); both arms' seeds are redrawn independently.

    Raises:
        ValueError: fewer than two clusters.
    """
    a, b = aligned.scores
    draws = paired_draws(aligned, resamples, generator)
    estimate = float(a.mean() - b.mean()) + 0.0  # no negative zero
    deviations = draws.a.mean(axis=1) - draws.b.mean(axis=1) - estimate
    deviations += seed_deviations(draws.a, generator) - seed_deviations(draws.b, generator)
    deviations += np.sqrt(draws.unseen.value) * generator.standard_normal(resamples)
    seeds = [seed_variance(a.mean(axis=1)), seed_variance(b.mean(axis=1))]
    limit = 1.0 if _bounded(aligned) else np.inf
    return Sampling(
        estimate=estimate,
        deviations=np.sort(deviations),
        degrees=degrees_of_freedom([draws.items, draws.unseen, *seeds]),
        seed_variance=sum(variance.value for variance in seeds),
        low=-limit,
        high=limit,
    )


def compare(
    a: Sequence[ScoreVector],
    b: Sequence[ScoreVector],
    *,
    margin: float,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Comparison | None:
    """Compare two arms, each given as one vector per seed, on their common scored items.

    Swapping the arms flips every sign exactly, because the draws are made in the order of the
    arms' names. None where there are fewer than two clusters of common items.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    if not a or not b:
        return None
    aligned = align(a, b)
    if aligned.cluster_count < 2:
        return None
    if a[0].arm <= b[0].arm:
        sampling = difference_sampling(aligned, resamples, generator)
    else:
        sampling = difference_sampling(align(b, a), resamples, generator).negated()
    flips = _flips(aligned)
    if flips is not None:
        p_value, test = mcnemar_p(*flips), "exact McNemar test"
    else:
        p_value, test = sampling.p_value(), _bootstrap_name(aligned)
    sign = 1.0 if a[0].higher_is_better else -1.0
    return Comparison(
        a=a[0].arm,
        b=b[0].arm,
        task=a[0].task,
        split=a[0].split,
        metric=a[0].metric,
        aligned=aligned,
        mean_a=sign * float(aligned.scores[0].mean()),
        mean_b=sign * float(aligned.scores[1].mean()),
        sampling=sampling,
        p_value=p_value,
        p_outside=max(sampling.p_above(-margin), sampling.p_below(margin)),
        test=test,
        margin=margin,
        level=level,
    )


def conclude(comparison: Comparison, *, primary: bool, p: float, p_outside: float) -> Contrast:
    """The contrast, given its p-values after correction for the family it stands in."""
    sampling, level = comparison.sampling, comparison.level
    interval = sampling.interval(level)
    outcome = contrast_outcome(interval, p=p, p_outside=p_outside, level=level)
    aligned = comparison.aligned
    settled = outcome != "inconclusive"
    return Contrast(
        a=comparison.a,
        b=comparison.b,
        task=comparison.task,
        split=comparison.split,
        metric=comparison.metric,
        primary=primary,
        items=aligned.items,
        clusters=aligned.cluster_count,
        seeds_a=len(aligned.scores[0]),
        seeds_b=len(aligned.scores[1]),
        mean_a=comparison.mean_a,
        mean_b=comparison.mean_b,
        difference=sampling.estimate,
        interval=interval,
        p_value=comparison.p_value,
        p_adjusted=p,
        test=comparison.test,
        margin=comparison.margin,
        outcome=outcome,
        minimum_detectable=minimum_detectable(sampling, level),
        items_needed=None
        if settled
        else items_needed(sampling, aligned.items, comparison.margin, level),
    )


def contrast_outcome(
    interval: Interval, *, p: float, p_outside: float, level: float
) -> ContrastOutcome:
    """The rule: equivalence is asked first, then a difference, else nothing is claimed.

    * ``equivalent``: both one-sided tests at 1 - level reject a difference of the margin or more;
      that is, the interval at 1 - 2 (1 - level), 90 % for a level of 95 %, lies inside the margin.
      A real difference that is too small to matter is equivalent too.
    * ``better``, ``worse``: the interval at ``level`` excludes 0 and so does the test.
    """
    alpha = 1 - level
    if p_outside < alpha:
        return "equivalent"
    if p < alpha and interval.low > 0:
        return "better"
    if p < alpha and interval.high < 0:
        return "worse"
    return "inconclusive"


def conclude_family(comparisons: Sequence[Comparison]) -> tuple[Contrast, ...]:
    """Secondary contrasts: both p-values Holm-corrected over the family, each kind on its own."""
    adjusted = holm([comparison.p_value for comparison in comparisons])
    outside = holm([comparison.p_outside for comparison in comparisons])
    return tuple(
        conclude(comparison, primary=False, p=p, p_outside=p_outside)
        for comparison, p, p_outside in zip(comparisons, adjusted, outside, strict=True)
    )


def conclude_primary(comparison: Comparison) -> Contrast:
    """The primary contrast: declared beforehand, so not corrected."""
    return conclude(comparison, primary=True, p=comparison.p_value, p_outside=comparison.p_outside)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p-values."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]


def mcnemar_p(wins_a: int, wins_b: int) -> float:
    """Exact two-sided McNemar p-value from the discordant counts."""
    if wins_a + wins_b == 0:
        return 1.0
    return float(binomtest(wins_a, wins_a + wins_b, 0.5).pvalue)


def _bounded(aligned: Aligned) -> bool:
    return all(bool((np.abs(scores) <= 1).all()) for scores in aligned.scores)


def _flips(aligned: Aligned) -> tuple[int, int] | None:
    # A deterministic arm answers alike under every seed: its seeds count as one.
    if not (aligned.binary and aligned.independent):
        return None
    if any((scores != scores[0]).any() for scores in aligned.scores):
        return None
    a, b = aligned.scores[0][0], aligned.scores[1][0]
    return int((a > b).sum()), int((a < b).sum())


def _bootstrap_name(aligned: Aligned) -> str:
    units = "items" if aligned.independent else "clusters of items"
    seeds = any(len(scores) > 1 for scores in aligned.scores)
    return f"bootstrap over {'seeds and ' if seeds else ''}{units}"


__all__ = [
    "Comparison",
    "PairedDraws",
    "compare",
    "conclude",
    "conclude_family",
    "conclude_primary",
    "contrast_outcome",
    "difference_sampling",
    "holm",
    "mcnemar_p",
    "paired_draws",
]
