"""Two arms compared on the same items: difference, interval, test, and what it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.bootstrap import (
    ItemSample,
    SeedEffect,
    sampling_of,
    seed_effect,
)
from harness.analysis.statistics.missing import CountedAsWorst, with_worst
from harness.analysis.statistics.paired_proportions import PairedProportions
from harness.analysis.statistics.pairing import Aligned, align
from harness.analysis.statistics.power import (
    items_needed,
    minimum_detectable,
    proportions_items_needed,
    proportions_minimum_detectable,
)
from harness.analysis.statistics.sampling import Sampling
from harness.findings import Contrast, ContrastOutcome, Interval
from harness.records import ScoreVector


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contrast before the family of contrasts is known."""

    a: str
    """Name of the first arm."""
    b: str
    """Name of the second arm."""
    task: str
    """Task on which they are compared."""
    split: str
    """Split on which they are compared."""
    metric: str
    """Metric in which they are compared."""
    aligned: Aligned
    """Scores on common items, ``a`` first and ``b`` second."""
    mean_a: float
    """Mean score of ``a``, in the metric's own direction."""
    mean_b: float
    """Mean score of ``b``, in the metric's own direction."""
    sampling: Sampling | PairedProportions
    """Sampling distribution of a - b, positive when a is better; the test is its interval's own
    inversion."""
    p_value: float
    """Two-sided p-value against no difference."""
    p_outside: float
    """P-value of two one-sided tests against "the difference is the margin or more"."""
    test: str
    """The method that gave ``p_value``."""
    margin: float
    """Differences inside +-margin count as equivalent."""
    level: float
    """Confidence level (0.95 is 95 %)."""
    label: str = ""
    """The metric as a reader sees it, where the study brings it; empty for the product's own."""
    settled_by_items: bool = True
    """Whether more test items alone would make the interval shorter in the end."""
    corrected: bool = False
    """Whether people's marks correct those of a judge."""
    as_worst: CountedAsWorst | None = None
    """The same with replies that could not be scored counted as the worst; None where all were."""


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
    """Item by item, mean of a over its seeds minus mean of b.

    Of scores without bounds the largest that was seen says how large a difference may be: twenty
    items that both got equally wrong do not prove that they always will.
    """
    a, b = aligned.scores
    largest = max(float(np.abs(a).max()), float(np.abs(b).max())) if aligned.items else 1.0
    return ItemSample(
        a.mean(axis=0) - b.mean(axis=0),
        aligned.clusters,
        aligned.cluster_count,
        weight,
        size=max(1.0, largest),
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
    worst: float = math.inf,
) -> Comparison | None:
    """Compare two arms, each given as one vector per seed, on their common scored items.

    Swapping the arms flips every sign exactly, because the draws are made in the order of the
    arms' names. None where there are fewer than two clusters of common items.

    Args:
        worst: the worst value that the metric can have, by which items that one arm could not be
            scored for are counted in a second comparison; infinite where there is none.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    if not a or not b:
        return None
    aligned = align(a, b)
    if aligned.cluster_count < 2:
        return None
    sampling: Sampling | PairedProportions | None = _proportions(aligned)
    if sampling is not None:
        test = "McNemar test (score)"
    else:
        test = _bootstrap_name(aligned)
        if a[0].arm <= b[0].arm:
            sampling = difference_sampling(aligned, resamples, generator)
        else:
            sampling = difference_sampling(align(b, a), resamples, generator).negated()
    sign = 1.0 if a[0].higher_is_better else -1.0
    as_worst: CountedAsWorst | None = None
    if aligned.unscored:
        filled = compare(
            *with_worst(a, b, worst), margin=margin, level=level, resamples=resamples,
            generator=generator,
        )  # fmt: skip
        if filled is not None:
            other = conclude_primary(filled)
            as_worst = CountedAsWorst(other.difference, other.outcome)
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
        p_value=sampling.p_value(),
        p_outside=outside(sampling, margin),
        test=test,
        margin=margin,
        level=level,
        label=a[0].label,
        as_worst=as_worst,
    )


def outside(sampling: Sampling | PairedProportions, margin: float) -> float:
    """P-value of two one-sided tests against "the difference is the margin or more"."""
    return max(sampling.p_above(-margin), sampling.p_below(margin))


def conclude(comparison: Comparison, *, family: int, p: float, p_outside: float) -> Contrast:
    """The contrast, given its p-values after correction for the family it stands in.

    What could be found and what it would take hold at the strictest level that a contrast of the
    family may have to pass (Bonferroni's).

    Args:
        comparison: the two arms compared.
        family: number of secondary contrasts that are corrected together; 0 for the primary one.
        p, p_outside: p-values after correction.
    """
    sampling, level = comparison.sampling, comparison.level
    interval = sampling.interval(level)
    outcome = contrast_outcome(interval, p=p, p_outside=p_outside, level=level)
    aligned, as_worst = comparison.aligned, comparison.as_worst
    # Nobody wins by replies that cannot be scored.
    rests_on_missing = (
        outcome != "inconclusive" and as_worst is not None and as_worst.outcome != outcome
    )
    if rests_on_missing:
        outcome = "inconclusive"
    strictest = 1 - (1 - level) / max(family, 1)
    if isinstance(sampling, PairedProportions):
        detectable = proportions_minimum_detectable(sampling, strictest)
    else:
        detectable = minimum_detectable(sampling, strictest)
    needed = None
    if outcome == "inconclusive" and comparison.settled_by_items and not rests_on_missing:
        margin, items = comparison.margin, aligned.items
        needed = (
            proportions_items_needed(sampling, margin, strictest)
            if isinstance(sampling, PairedProportions)
            else items_needed(sampling, items, margin, strictest)
        )
    return Contrast(
        a=comparison.a,
        b=comparison.b,
        task=comparison.task,
        split=comparison.split,
        metric=comparison.metric,
        primary=not family,
        family=family,
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
        items_needed=needed,
        equivalence_interval=sampling.interval(2 * level - 1),
        left_out=aligned.left_out,
        unscored=aligned.unscored,
        unscored_as_worst=as_worst.difference if as_worst else None,
        rests_on_missing=rests_on_missing,
        corrected=comparison.corrected,
        label=comparison.label,
    )


def contrast_outcome(
    interval: Interval, *, p: float, p_outside: float, level: float
) -> ContrastOutcome:
    """What a contrast shows: equivalence is asked first, then a difference, else nothing.

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


def conclude_family(
    comparisons: Sequence[Comparison], others: Sequence[float] = ()
) -> tuple[Contrast, ...]:
    """Secondary contrasts: both p-values Holm-corrected over the family, each kind on its own.

    Args:
        others: p-values of differences of the family that are no paired contrasts.
    """
    count = len(comparisons)
    adjusted = holm([*(comparison.p_value for comparison in comparisons), *others])[:count]
    apart = holm([comparison.p_outside for comparison in comparisons])
    return tuple(
        conclude(comparison, family=count + len(others), p=p, p_outside=p_outside)
        for comparison, p, p_outside in zip(comparisons, adjusted, apart, strict=True)
    )


def conclude_primary(comparison: Comparison) -> Contrast:
    """The primary contrast: declared beforehand, so not corrected."""
    return conclude(comparison, family=0, p=comparison.p_value, p_outside=comparison.p_outside)


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


def _proportions(aligned: Aligned) -> PairedProportions | None:
    """The counts of right-or-wrong answers to independent items that no seed changes; else None."""
    alike = not any((scores != scores[0]).any() for scores in aligned.scores)
    if not (aligned.binary and aligned.independent and alike):
        return None
    a, b = aligned.scores[0][0], aligned.scores[1][0]
    return PairedProportions(int((a > b).sum()), int((a < b).sum()), aligned.items)


def _bootstrap_name(aligned: Aligned) -> str:
    units = "items" if aligned.independent else "clusters of items"
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
    "outside",
]
