"""Overfitting: of the training (train minus test) and of the tuning (validation minus test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.bootstrap import SeedEffect, sampling_of, seed_effect
from harness.analysis.statistics.pairing import Aligned, align
from harness.analysis.statistics.sampling import Sampling
from harness.analysis.statistics.scores import mean_of
from harness.analysis.statistics.single_arm import item_sample, mean_sampling
from harness.findings import Overfitting
from harness.records import ScoreVector


def assess_overfitting(
    arm: str,
    *,
    train: Sequence[ScoreVector],
    validation: Sequence[ScoreVector],
    test: Sequence[ScoreVector],
    selected: float | None,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Overfitting:
    """Gaps of one arm; positive is worse on test, whatever the metric's direction.

    Args:
        selected: validation score with which the search selected the setting, in the metric's
            own direction.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    gap = gap_sampling(train, test, resamples, generator)
    selection = selection_sampling(selected, validation, test, resamples, generator)
    return Overfitting(
        arm=arm,
        train=mean_of(train),
        validation=mean_of(validation),
        test=mean_of(test),
        generalisation_gap=gap.estimate if gap else None,
        gap_interval=gap.interval(level) if gap else None,
        selected=selected,
        selection_gap=selection[0] if selection else None,
        selection_interval=selection[1].interval(level) if selection and selection[1] else None,
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """Training and held-out items of the same models, and what the seeds did to the gap."""

    train: Aligned
    """Training items as one group, aligned, on the same seeds as ``held_out``."""
    held_out: Aligned
    """Held-out items as one group, aligned, on the same seeds as ``train``."""

    @property
    def seeds(self) -> SeedEffect:
        """Train minus held-out, seed by seed: a seed is one model, answering both."""
        on_train, on_held_out = (
            seed_effect(side.scores[0], side.clusters, side.cluster_count)
            for side in (self.train, self.held_out)
        )
        return SeedEffect(on_train.means - on_held_out.means, on_train.noise + on_held_out.noise)


def gap_of(train: Sequence[ScoreVector], held_out: Sequence[ScoreVector]) -> Gap | None:
    """The two samples on the seeds that have both; None with fewer than two clusters of either.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    seeds = {vector.seed for vector in train} & {vector.seed for vector in held_out}
    sides = [
        align([vector for vector in side if vector.seed in seeds]) for side in (train, held_out)
    ]
    if not seeds or any(side.cluster_count < 2 for side in sides):
        return None
    return Gap(*sides)


def gap_sampling(
    train: Sequence[ScoreVector],
    test: Sequence[ScoreVector],
    resamples: int,
    generator: np.random.Generator,
) -> Sampling | None:
    """Train minus test of the same models: two independent samples of items, shared seeds."""
    gap = gap_of(train, test)
    if gap is None:
        return None
    samples = [item_sample(gap.train), item_sample(gap.held_out, -1.0)]
    return sampling_of(samples, [gap.seeds], resamples, generator)


def selection_sampling(
    selected: float | None,
    validation: Sequence[ScoreVector],
    test: Sequence[ScoreVector],
    resamples: int,
    generator: np.random.Generator,
) -> tuple[float, Sampling | None] | None:
    """Selected validation score minus test score, and its sampling distribution.

    The search keeps no item scores, so the noise of the validation items is taken from the
    retrained finalists' scores on the same items. Without those there is no interval.
    """
    if selected is None or not test:
        return None
    on_test = align(test)
    if not on_test.items:
        return None
    sign = 1.0 if test[0].higher_is_better else -1.0
    gap = sign * selected - float(on_test.scores[0].mean())
    on_validation = align(validation) if validation else None
    if on_validation is None or min(on_test.cluster_count, on_validation.cluster_count) < 2:
        return gap, None
    a = mean_sampling(on_validation, resamples, generator)
    b = mean_sampling(on_test, resamples, generator)
    deviations = generator.permutation(a.deviations) - generator.permutation(b.deviations)
    return gap, Sampling(
        estimate=gap,
        deviations=np.sort(deviations),
        degrees=min(a.degrees, b.degrees),
    )


__all__ = ["Gap", "assess_overfitting", "gap_of", "gap_sampling", "selection_sampling"]
