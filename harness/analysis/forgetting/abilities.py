"""What was measured of an arm's general abilities, before a margin or a level judges it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import bdtrc

from harness.analysis.statistics.bootstrap import SeedEffect, sampling_of, seed_effect
from harness.analysis.statistics.difference import difference_sample, difference_sampling
from harness.analysis.statistics.pairing import Aligned, align
from harness.analysis.statistics.sampling import Sampling
from harness.analysis.statistics.side_by_side import each
from harness.analysis.statistics.single_arm import wilson
from harness.findings import NotCounted
from harness.records import GeneralTask, ScoreVector

Generator = Callable[..., np.random.Generator]


@dataclass(frozen=True, slots=True)
class GeneralScores:
    """One general task of one arm beside the base."""

    task: str
    """Name of the task."""
    reading: GeneralTask
    """How its scores are read."""
    arm: tuple[ScoreVector, ...]
    """The arm's vectors, one a seed."""
    base: tuple[ScoreVector, ...]
    """The untouched base's one vector."""
    left_out: int = 0
    """Number of items that the search looked at and that are not among these."""
    searched: int = 0
    """Number of items that the search looked at and that are among these, as too few others are
    left."""
    runs: tuple[ScoreVector, ...] = ()
    """The runs that the means in ``arm`` were taken over; empty unless the arm's search was
    repeated."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the arm's vectors."""
        return tuple(vector.seed for vector in self.arm)


@dataclass(frozen=True, slots=True)
class MeasuredTask:
    """The change on one task."""

    scores: GeneralScores
    """The scores that were compared."""
    aligned: Aligned
    """The same on common items, the arm first and the base second."""
    sampling: Sampling
    """Sampling distribution of arm minus base, positive is better."""
    flagged: int = 0
    """Number of items that share text with the user's training data."""

    @property
    def chance(self) -> float:
        """Score of guessing; 0 where there is none."""
        return self.scores.reading.chance or 0.0

    @property
    def room(self) -> float:
        """What the base has above chance and so could lose."""
        # Rounded, as a share less a share may be just the margin.
        return round(float(self.aligned.scores[1][0].mean()) - self.chance, 12)

    def not_counted(self, margin: float, level: float) -> NotCounted:
        """Why the task says nothing about a loss of the margin; empty where it does."""
        base = self.aligned.scores[1][0]
        if not self.scores.reading.accuracy:
            return "metric"
        right = round(float(np.clip(base.sum(), 0, self.aligned.items)))
        if wilson(right, self.aligned.items, level).low <= self.chance:
            return "chance"
        return "room" if self.room <= margin else ""


@dataclass(frozen=True, slots=True)
class MeanChange:
    """The unweighted mean change over some tasks."""

    sampling: Sampling
    """Sampling distribution of the mean change, arm minus base, positive is better."""
    by_seed: dict[int, float]
    """Seed -> its own mean change, also where intervals are taken over searches."""
    pooled_p: float | None
    """P-value of :func:`pooled_mcnemar`; None without binary tasks."""
    items: float
    """Number of items of a task, on average."""


@dataclass
class MeasuredAbilities:
    """The general tasks of one arm, and their mean over any of them."""

    arm: str
    """Name of the arm."""
    tasks: Mapping[str, MeasuredTask]
    """Name of a task -> the change on it."""
    seeds: tuple[int, ...]
    """Seeds scored on every task in accuracy; the mean is over them."""
    resamples: int
    """Draws of every bootstrap."""
    generator: Generator
    """Names of a part -> its random numbers."""
    clean: MeasuredAbilities | None = None
    """What was measured without items that share text with training; None where there are none."""
    _means: dict[tuple[str, ...], MeanChange] = field(default_factory=dict, init=False, repr=False)
    """Names of tasks -> their mean change, once drawn."""

    def counted(self, margin: float, level: float) -> tuple[str, ...]:
        """Tasks on which a loss of the margin could be seen."""
        return tuple(
            name for name, task in self.tasks.items() if not task.not_counted(margin, level)
        )

    def mean(self, names: Collection[str]) -> MeanChange | None:
        """The mean change over those of the tasks that were measured, drawn once for each set."""
        known = tuple(name for name in self.tasks if name in names)
        if known and known not in self._means:
            self._means[known] = self._mean([self.tasks[name] for name in known])
        return self._means.get(known)

    def _mean(self, tasks: Sequence[MeasuredTask]) -> MeanChange:
        """The mean change over some tasks, each task's clusters redrawn on their own.

        A seed is one trained model, so one draw of seeds serves all tasks.
        """
        share = 1 / len(tasks)
        samples, by_seed, noise = [], np.zeros(len(self.seeds)), 0.0
        for task in tasks:
            rows = [task.scores.seeds.index(seed) for seed in self.seeds]
            after = task.aligned.scores[0][rows]
            chosen = replace(task.aligned, scores=(after, task.aligned.scores[1]))
            samples.append(difference_sample(chosen, share))
            effect = seed_effect(after, chosen.clusters, chosen.cluster_count)
            by_seed += share * (effect.means - task.aligned.scores[1].mean())
            noise += share**2 * effect.noise
        if len(tasks) == 1 and len(self.seeds) == len(tasks[0].scores.arm):
            sampling = tasks[0].sampling
        else:
            sampling = sampling_of(
                samples,
                [SeedEffect(by_seed, noise)],
                self.resamples,
                self.generator("mean", *(task.scores.task for task in tasks)),
                low=-1.0,
                high=1.0,
            )
        return MeanChange(
            sampling=sampling,
            by_seed=_by_run(tasks) or dict(zip(self.seeds, by_seed.tolist(), strict=True)),
            pooled_p=pooled_mcnemar([task.aligned for task in tasks]),
            items=float(np.mean([task.aligned.items for task in tasks])),
        )


def measure_abilities(
    arm: str, scores: Iterable[GeneralScores], resamples: int, generator: Generator
) -> MeasuredAbilities | None:
    """The general suite of one arm against the base; None where nothing could be compared.

    Raises:
        StoreError: the vectors cannot be paired.
        ValueError: no seed was scored on every task in accuracy.
    """
    asked = list(scores)
    found = each(lambda task: measure_task(task, resamples, generator), asked)
    tasks = {
        task.task: measured
        for task, measured in zip(asked, found, strict=True)
        if measured is not None
    }
    seeds = [
        set(measured.scores.seeds)
        for measured in tasks.values()
        if measured.scores.reading.accuracy
    ]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if seeds and not common:
        raise ValueError("no seed was scored on every general task")
    return MeasuredAbilities(arm, tasks, tuple(common), resamples, generator) if tasks else None


def measure_task(task: GeneralScores, resamples: int, generator: Generator) -> MeasuredTask | None:
    """The change on one task; None with fewer than two clusters of items.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    aligned = align(task.arm, task.base)
    if aligned.cluster_count < 2:
        return None
    sampling = difference_sampling(aligned, resamples, generator("task", task.task))
    return MeasuredTask(task, aligned, sampling)


def _by_run(tasks: Sequence[MeasuredTask]) -> dict[int, float]:
    """Mean change of each run scored on every task; empty where the arm was searched once."""
    changes_by_task = []
    for task in tasks:
        base, changes = float(task.aligned.scores[1].mean()), {}
        for run in task.scores.runs:
            values = dict(zip(run.doc_hashes, run.values.tolist(), strict=True))
            sign = 1.0 if run.higher_is_better else -1.0
            own = [values[item] for item in task.aligned.doc_hashes]
            changes[run.seed] = sign * float(np.mean(own)) - base
        changes_by_task.append(changes)
    common = sorted(set.intersection(*map(set, changes_by_task)))
    return {seed: float(np.mean([changes[seed] for changes in changes_by_task])) for seed in common}


def pooled_mcnemar(tasks: Sequence[Aligned]) -> float | None:
    """Exact one-sided McNemar p-value for "worse than the base", flips pooled over tasks.

    One test per seed, since the same items under two seeds are not two sets of items; of several
    seeds, twice the median p-value, which is valid however they depend on each other (Ruger
    1978). Clusters are not taken into account, so it decides nothing. None without binary tasks.
    """
    binary = [aligned for aligned in tasks if aligned.binary]
    if not binary:
        return None
    count = min(len(aligned.scores[0]) for aligned in binary)
    p_values = []
    for seed in range(count):
        lost = sum(int((a.scores[0][seed] < a.scores[1][0]).sum()) for a in binary)
        won = sum(int((a.scores[0][seed] > a.scores[1][0]).sum()) for a in binary)
        flips = lost + won
        p_values.append(float(bdtrc(lost - 1, flips, 0.5)) if lost else 1.0)
    if count == 1:
        return p_values[0]
    return min(1.0, 2 * float(np.median(p_values)))


__all__ = [
    "GeneralScores",
    "MeanChange",
    "MeasuredAbilities",
    "MeasuredTask",
    "measure_abilities",
    "measure_task",
    "pooled_mcnemar",
]
