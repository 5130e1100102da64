"""Two arms compared on the same items: difference, interval, test, and what it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.statistics.difference import difference_sampling
from harness.analysis.statistics.missing import with_worst
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
    as_worst: Comparison | None = None
    """The same with replies that could not be scored counted as the worst; None where all were."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison shows among those of its family, at some margin and level."""

    interval: Interval
    """Interval of the difference."""
    p_adjusted: float
    """P-value against no difference, corrected for the family."""
    outcome: ContrastOutcome
    """What they say of the first arm against the second."""
    rests_on_missing: bool = False
    """Whether that comes out otherwise where replies without a score count as the worst, so that
    it is inconclusive."""


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
    as_worst: Comparison | None = None
    if aligned.unscored:
        as_worst = compare(
            *with_worst(a, b, worst), margin=margin, level=level, resamples=resamples,
            generator=generator,
        )  # fmt: skip
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
        test=test,
        margin=margin,
        level=level,
        label=a[0].label,
        as_worst=as_worst,
    )


def outside(sampling: Sampling | PairedProportions, margin: float) -> float:
    """P-value of two one-sided tests against "the difference is the margin or more"."""
    return max(sampling.p_above(-margin), sampling.p_below(margin))


def family_outcomes(
    comparisons: Sequence[Comparison],
    others: Sequence[float] = (),
    *,
    margin: float,
    level: float,
) -> tuple[Outcome, ...]:
    """What the comparisons of one family show; a family of one is not corrected.

    Both p-values are Holm-corrected over the family, each kind on its own. Nobody wins by replies
    that cannot be scored: counted as the worst, among the same family, they must leave the outcome
    as it is.

    Args:
        others: p-values of differences of the family that are no paired contrasts.
        margin, level: those to judge by, which may differ from what the comparisons were made for.
    """
    plain = _outcomes(comparisons, others, margin, level)
    if all(comparison.as_worst is None for comparison in comparisons):
        return plain
    filled = [comparison.as_worst or comparison for comparison in comparisons]
    return tuple(
        replace(found, outcome="inconclusive", rests_on_missing=True)
        if comparison.as_worst is not None and found.outcome not in ("inconclusive", worst.outcome)
        else found
        for comparison, found, worst in zip(
            comparisons, plain, _outcomes(filled, others, margin, level), strict=True
        )
    )


def _outcomes(
    comparisons: Sequence[Comparison], others: Sequence[float], margin: float, level: float
) -> tuple[Outcome, ...]:
    adjusted = holm([*(comparison.p_value for comparison in comparisons), *others])
    apart = holm([outside(comparison.sampling, margin) for comparison in comparisons])
    found = []
    for comparison, p, p_outside in zip(comparisons, adjusted, apart, strict=False):
        interval = comparison.sampling.interval(level)
        outcome = contrast_outcome(interval, p=p, p_outside=p_outside, level=level)
        found.append(Outcome(interval, p, outcome))
    return tuple(found)


def _conclude(comparison: Comparison, found: Outcome, *, family: int) -> Contrast:
    """The contrast, given what it shows in the family it stands in.

    What could be found and what it would take hold at the strictest level that a contrast of the
    family may have to pass (Bonferroni's).

    Args:
        comparison: the two arms compared.
        found: what it shows.
        family: number of secondary contrasts that are corrected together; 0 for the primary one.
    """
    sampling, level = comparison.sampling, comparison.level
    aligned, as_worst = comparison.aligned, comparison.as_worst
    strictest = 1 - (1 - level) / max(family, 1)
    if isinstance(sampling, PairedProportions):
        detectable = proportions_minimum_detectable(sampling, strictest)
    else:
        detectable = minimum_detectable(sampling, strictest)
    needed = None
    unsettled = found.outcome == "inconclusive" and not found.rests_on_missing
    if unsettled and comparison.settled_by_items:
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
        interval=found.interval,
        p_value=comparison.p_value,
        p_adjusted=found.p_adjusted,
        test=comparison.test,
        margin=comparison.margin,
        outcome=found.outcome,
        minimum_detectable=detectable,
        items_needed=needed,
        equivalence_interval=sampling.interval(2 * level - 1),
        left_out=aligned.left_out,
        unscored=aligned.unscored,
        unscored_as_worst=as_worst.sampling.estimate if as_worst else None,
        rests_on_missing=found.rests_on_missing,
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
    if not comparisons:
        return ()
    first = comparisons[0]
    found = family_outcomes(comparisons, others, margin=first.margin, level=first.level)
    family = len(comparisons) + len(others)
    return tuple(
        _conclude(comparison, one, family=family)
        for comparison, one in zip(comparisons, found, strict=True)
    )


def conclude_primary(comparison: Comparison) -> Contrast:
    """The primary contrast: declared beforehand, so not corrected."""
    (found,) = family_outcomes([comparison], margin=comparison.margin, level=comparison.level)
    return _conclude(comparison, found, family=0)


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
    "Outcome",
    "compare",
    "conclude_family",
    "conclude_primary",
    "contrast_outcome",
    "family_outcomes",
    "holm",
    "outside",
]
