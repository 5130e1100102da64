"""Memorisation: does training show in texts that nobody asked the model to learn?

Training examples may be easier to complete than unseen ones for reasons of their own, and any
training moves the model. So what counts is a difference in differences: (arm minus base on
training examples) minus (arm minus base on unseen examples), which is 0 for an arm that learned
the task and no text, whatever the two samples are like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.statistics.bootstrap import SeedEffect, sampling_of, seed_effect
from harness.analysis.statistics.difference import difference_sample
from harness.analysis.statistics.pairing import Aligned, align
from harness.analysis.statistics.sampling import Sampling
from harness.findings import Memorisation
from harness.records import ScoreVector


@dataclass(frozen=True, slots=True)
class Completions:
    """One metric of an arm and of the base on training examples and on unseen ones.

    Each is empty where it was not measured.
    """

    arm_train: tuple[ScoreVector, ...]
    """The arm's vectors on training examples, one a seed."""
    arm_unseen: tuple[ScoreVector, ...]
    """The arm's vectors on unseen examples, one a seed."""
    base_train: tuple[ScoreVector, ...]
    """The base's vector on training examples."""
    base_unseen: tuple[ScoreVector, ...]
    """The base's vector on unseen examples."""

    @property
    def whole(self) -> bool:
        """All four parts were measured."""
        return all((self.arm_train, self.arm_unseen, self.base_train, self.base_unseen))


def assess_memorisation(
    arm: str,
    verbatim: Completions,
    bits: Completions,
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
    rows: str | None = None,
) -> Memorisation | None:
    """What the arm's models know of the texts trained on; None where a part was not measured.

    ``memorised`` rests on either interval, so without any memorisation it is said in up to
    1 - level of studies, half of that for each.

    Args:
        verbatim: 1 where greedy decoding gives the second half of a text.
        bits: bits per byte of the second half.
        rows: as :attr:`~harness.findings.Memorisation.rows`.

    Raises:
        StoreError: the vectors cannot be paired.
        ValueError: fewer than two clusters of common items on a side.
    """
    if not verbatim.whole or not bits.whole:
        return None
    train, unseen = _sides(verbatim)
    excess = _excess(train, unseen, resamples, generator, limit=2.0)
    familiarity = _excess(*_sides(bits), resamples, generator)
    excess_interval = excess.interval(level)
    familiarity_interval = familiarity.interval(level)
    return Memorisation(
        arm=arm,
        items=train.items,
        unseen_items=unseen.items,
        verbatim=float(train.scores[0].mean()),
        verbatim_unseen=float(unseen.scores[0].mean()),
        verbatim_base=float(train.scores[1].mean()),
        excess=excess.estimate,
        excess_interval=excess_interval,
        familiarity=familiarity.estimate,
        familiarity_interval=familiarity_interval,
        memorised=excess_interval.low > 0 or familiarity_interval.low > 0,
        rows=rows,
    )


def excess_sampling(
    scores: Completions, resamples: int, generator: np.random.Generator, limit: float = np.inf
) -> Sampling:
    """(arm minus base) on training examples minus the same on unseen ones, oriented by metric.

    The two samples of examples are redrawn on their own, arm and base paired in each; a seed is
    one model, which answered both.

    Args:
        limit: largest absolute value that the estimate can have.

    Raises:
        StoreError: the vectors cannot be paired.
        ValueError: fewer than two clusters of common items on a side.
    """
    return _excess(*_sides(scores), resamples, generator, limit)


def _excess(
    train: Aligned,
    unseen: Aligned,
    resamples: int,
    generator: np.random.Generator,
    limit: float = np.inf,
) -> Sampling:
    for name, side in (("training", train), ("unseen", unseen)):
        if side.cluster_count < 2:
            raise ValueError(
                f"two independent {name} examples are needed at least, and there "
                f"{'is' if side.cluster_count else 'are'} {side.cluster_count or 'none'}"
            )
    on_train, on_unseen = (
        seed_effect(side.scores[0], side.clusters, side.cluster_count) for side in (train, unseen)
    )
    models = SeedEffect(on_train.means - on_unseen.means, on_train.noise + on_unseen.noise)
    return sampling_of(
        [difference_sample(train), difference_sample(unseen, -1.0)],
        [models],
        resamples,
        generator,
        low=-limit,
        high=limit,
    )


def _sides(scores: Completions) -> tuple[Aligned, Aligned]:
    """Training and unseen items, each (arm, base), on the seeds that have both."""
    common = {v.seed for v in scores.arm_train} & {v.seed for v in scores.arm_unseen}

    def of_common(vectors: Sequence[ScoreVector]) -> list[ScoreVector]:
        return [vector for vector in vectors if vector.seed in common]

    return (
        align(of_common(scores.arm_train), scores.base_train[:1]),
        align(of_common(scores.arm_unseen), scores.base_unseen[:1]),
    )


__all__ = ["Completions", "assess_memorisation", "excess_sampling"]
