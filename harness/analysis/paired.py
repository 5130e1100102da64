"""Two arms compared on the same items: difference, interval, test, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, permutation_test

from harness.analysis.bootstrap import (
    ItemSample,
    SeedEffect,
    cluster_sums,
    sampling_of,
    seed_effect,
)
from harness.analysis.pairing import Aligned, align
from harness.analysis.power import (
    Flips,
    items_needed,
    mcnemar_items_needed,
    mcnemar_minimum_detectable,
    minimum_detectable,
)
from harness.analysis.sampling import Sampling
from harness.findings import Contrast, ContrastOutcome, Interval
from harness.records import ScoreVector

# Sign flips are held in memory this many cells at a time.
FLIPS_AT_ONCE = 1 << 21


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


def difference_sampling(
    aligned: Aligned, resamples: int, generator: np.random.Generator
) -> Sampling:
    """Sampling distribution of mean(a) - mean(b); both arms' seeds are redrawn independently.

    Raises:
        ValueError: fewer than two clusters.
    """
    limit = 1.0 if aligned.bounded else np.inf
    return sampling_of(
        [difference_sample(aligned)],
        difference_seeds(aligned),
        resamples,
        generator,
        low=-limit,
        high=limit,
    )


def difference_sample(aligned: Aligned, weight: float = 1.0) -> ItemSample:
    """Item by item, mean of a over its seeds minus mean of b."""
    a, b = aligned.scores
    return ItemSample(
        a.mean(axis=0) - b.mean(axis=0),
        aligned.clusters,
        aligned.cluster_count,
        weight,
        bounded=aligned.bounded,
    )


def difference_seeds(aligned: Aligned) -> list[SeedEffect]:
    """The seed effects of both arms on their difference."""
    a, b = (seed_effect(x, aligned.clusters, aligned.cluster_count) for x in aligned.scores)
    return [a, b.negated()]


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
        p_value, test = mcnemar_p(flips.wins_a, flips.wins_b), "exact McNemar test"
    elif _seeds_alike(aligned):
        p_value, test = permutation_p(aligned, resamples, generator), _named("sign-flip", aligned)
    else:
        p_value, test = sampling.p_value(), _named("bootstrap", aligned)
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
    flips = _flips(aligned)
    if flips is not None:
        detectable = mcnemar_minimum_detectable(flips, level)
        needed = mcnemar_items_needed(flips, sampling, comparison.margin, level)
    else:
        detectable = minimum_detectable(sampling, level)
        needed = items_needed(sampling, aligned.items, comparison.margin, level)
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
        minimum_detectable=detectable,
        items_needed=None if settled else needed,
        equivalence_interval=sampling.interval(2 * level - 1),
        left_out=aligned.left_out,
        unscored=aligned.unscored,
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
    """Holm's step-down correction of a family of p-values (Holm 1979).

    Not statsmodels' ``multipletests``, whose garbage collection takes 50 ms a call, which the
    search for what flips a verdict makes hundreds of.
    """
    adjusted, highest = list(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def mcnemar_p(wins_a: int, wins_b: int) -> float:
    """Exact two-sided McNemar p-value from the discordant counts."""
    if wins_a + wins_b == 0:
        return 1.0
    return float(binomtest(wins_a, wins_a + wins_b, 0.5).pvalue)


def permutation_p(aligned: Aligned, resamples: int, generator: np.random.Generator) -> float:
    """Two-sided p-value against "the arms are exchangeable", one seed each, by flipping signs.

    Without a difference, swapping the two arms' answers to a cluster changes nothing in
    distribution: the sums of differences over clusters keep or change their sign with
    probability 1/2 (Fisher's randomisation; scipy's ``permutation_test``, exact where all sign
    patterns are fewer than ``resamples``).
    """
    a, b = aligned.scores
    differences = a.mean(axis=0) - b.mean(axis=0)
    sums = cluster_sums(differences[None], aligned.clusters, aligned.cluster_count)[0]
    if not sums.any():
        return 1.0
    found = permutation_test(
        (sums,),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, FLIPS_AT_ONCE // len(sums)),
        rng=generator,
    )
    return float(found.pvalue)


def _seeds_alike(aligned: Aligned) -> bool:
    # A deterministic arm answers alike under every seed: its seeds count as one.
    return not any((scores != scores[0]).any() for scores in aligned.scores)


def _flips(aligned: Aligned) -> Flips | None:
    if not (aligned.binary and aligned.independent and _seeds_alike(aligned)):
        return None
    a, b = aligned.scores[0][0], aligned.scores[1][0]
    return Flips(int((a > b).sum()), int((a < b).sum()), aligned.items)


def _named(method: str, aligned: Aligned) -> str:
    units = "items" if aligned.independent else "clusters of items"
    if method == "sign-flip":
        return f"permutation test (sign flips of {units})"
    seeds = any(len(scores) > 1 for scores in aligned.scores)
    return f"bootstrap over {'seeds and ' if seeds else ''}{units}"


__all__ = [
    "Comparison",
    "compare",
    "conclude",
    "conclude_family",
    "conclude_primary",
    "contrast_outcome",
    "difference_sample",
    "difference_sampling",
    "difference_seeds",
    "holm",
    "mcnemar_p",
    "permutation_p",
]
