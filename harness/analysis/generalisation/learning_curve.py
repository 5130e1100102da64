"""Score and overfitting against the number of training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.generalisation.overfitting import gap_of, gap_sampling
from harness.analysis.statistics.bootstrap import sampling_of
from harness.analysis.statistics.difference import difference_sample, difference_sampling
from harness.analysis.statistics.pairing import align
from harness.analysis.statistics.sampling import Sampling
from harness.analysis.statistics.scores import mean_of
from harness.analysis.statistics.single_arm import item_sample, mean_interval
from harness.findings import CurvePoint, LearningCurve
from harness.records import ScoreVector


@dataclass(frozen=True, slots=True)
class SizeScores:
    """One training-set size: the primary metric of its models, one vector per seed."""

    train_items: int
    """Number of training examples."""
    train: tuple[ScoreVector, ...]
    """Scores on a sample of the examples trained on."""
    held_out: tuple[ScoreVector, ...]
    """Scores on validation."""
    full: bool = False
    """This is the whole training split."""


def assess_curve(
    arm: str,
    sizes: Sequence[SizeScores],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> LearningCurve | None:
    """The curve over all sizes, smallest first; None with fewer than two sizes.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    ordered = sorted(sizes, key=lambda size: size.train_items)
    if len(ordered) < 2:
        return None
    points = tuple(_point(size, level, resamples, generator) for size in ordered)
    change = gap_change_sampling(ordered[0], ordered[-1], resamples, generator)
    gain = held_out_gain_sampling(ordered[-2], ordered[-1], resamples, generator)
    metrics = [v.metric for size in ordered for v in (*size.held_out, *size.train)]
    return LearningCurve(
        arm=arm,
        metric=metrics[0] if metrics else "",
        points=points,
        gap_change=change.estimate if change else None,
        gap_change_interval=change.interval(level) if change else None,
        last_gain=gain.estimate if gain else None,
        last_gain_interval=gain.interval(level) if gain else None,
    )


def gap_change_sampling(
    small: SizeScores, large: SizeScores, resamples: int, generator: np.random.Generator
) -> Sampling | None:
    """Gap (train minus held-out) of the small size minus that of the large one.

    Both sizes answer the same held-out items, so their difference there is redrawn jointly. The
    training samples are redrawn apart, as if independent: sets nest, so they may share examples,
    and the interval is then too wide rather than too narrow. Models of the two sizes are trained
    apart, and so are their seeds redrawn. None with fewer than two clusters of any sample.
    """
    gaps = [gap_of(size.train, size.held_out) for size in (small, large)]
    of_small, of_large = gaps
    if of_small is None or of_large is None:
        return None
    seeds = [
        {v.seed for v in size.train} & {v.seed for v in size.held_out} for size in (small, large)
    ]
    held_out = align(
        [vector for vector in large.held_out if vector.seed in seeds[1]],
        [vector for vector in small.held_out if vector.seed in seeds[0]],
    )
    if held_out.cluster_count < 2:
        return None
    return sampling_of(
        [
            item_sample(of_small.train),
            item_sample(of_large.train, -1.0),
            difference_sample(held_out),
        ],
        [of_small.seeds, of_large.seeds.negated()],
        resamples,
        generator,
    )


def held_out_gain_sampling(
    before: SizeScores, after: SizeScores, resamples: int, generator: np.random.Generator
) -> Sampling | None:
    """Held-out score at one size minus that at the size before, paired item by item."""
    if not before.held_out or not after.held_out:
        return None
    aligned = align(after.held_out, before.held_out)
    if aligned.cluster_count < 2:
        return None
    return difference_sampling(aligned, resamples, generator)


def _point(
    size: SizeScores, level: float, resamples: int, generator: np.random.Generator
) -> CurvePoint:
    gap = gap_sampling(size.train, size.held_out, resamples, generator)
    return CurvePoint(
        train_items=size.train_items,
        seeds=len({vector.seed for vector in size.held_out or size.train}),
        train=mean_of(size.train),
        held_out=mean_of(size.held_out),
        held_out_interval=mean_interval(size.held_out, level, resamples, generator)
        if size.held_out
        else None,
        gap=gap.estimate if gap else None,
        gap_interval=gap.interval(level) if gap else None,
        full=size.full,
    )


__all__ = ["SizeScores", "assess_curve", "gap_change_sampling", "held_out_gain_sampling"]
