"""What a fine-tuned arm lost of what the base could do: a question of non-inferiority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binomtest

from harness.analysis.bootstrap import SeedEffect, sampling_of, seed_effect
from harness.analysis.paired import difference_sample, difference_sampling
from harness.analysis.pairing import Aligned, align
from harness.analysis.power import items_to_settle
from harness.analysis.sampling import Sampling
from harness.analysis.single_arm import wilson
from harness.findings import Forgetting, ForgettingOutcome, GeneralDelta, Interval
from harness.records import GeneralTask, ScoreVector


@dataclass(frozen=True, slots=True)
class GeneralScores:
    """One general task of one arm beside the base: the arm's seeds, and the base's vector."""

    task: str
    reading: GeneralTask
    arm: tuple[ScoreVector, ...]
    base: tuple[ScoreVector, ...]


def assess_forgetting(
    arm: str,
    scores: Sequence[GeneralScores],
    *,
    margin: float,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Forgetting | None:
    """The general suite of one arm against the base; None where nothing could be compared.

    The mean is over tasks scored in accuracy on which the base is clearly above chance: what the
    base cannot do, it cannot forget. Where there is no such task the mean is NaN and the outcome
    ``inconclusive``.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    deltas: list[GeneralDelta] = []
    counted: dict[str, tuple[GeneralScores, Aligned]] = {}
    for task in scores:
        aligned = align(task.arm, task.base)
        if aligned.cluster_count < 2:
            continue
        sampling = difference_sampling(aligned, resamples, generator)
        delta = _delta(arm, task, aligned, sampling, margin=margin, level=level)
        deltas.append(delta)
        if delta.kept is not None:
            counted[task.task] = (task, aligned)
    if not deltas:
        return None
    if counted:
        mean = mean_change_sampling(counted, resamples, generator)
        mean_change, interval = mean.estimate, mean.interval(level)
        items = float(np.mean([aligned.items for _, aligned in counted.values()]))
        needed = items_to_settle(mean, items, -margin, level)
    else:
        mean_change, interval = float("nan"), Interval(float("nan"), float("nan"), level)
        needed = None
    outcome = forgetting_outcome(interval, margin)
    considered = [delta for delta in deltas if delta.kept is not None] or deltas
    return Forgetting(
        arm=arm,
        tasks=tuple(deltas),
        mean_change=mean_change,
        interval=interval,
        worst_task=min(considered, key=lambda delta: delta.change).task,
        pooled_p=pooled_mcnemar([aligned for _, aligned in counted.values()]),
        margin=margin,
        outcome=outcome,
        items_needed=needed if outcome == "inconclusive" else None,
    )


def forgetting_outcome(interval: Interval, margin: float) -> ForgettingOutcome:
    """``kept`` above -margin, ``forgot`` below it, else ``inconclusive``; NaN is inconclusive."""
    if interval.low > -margin:
        return "kept"
    if interval.high < -margin:
        return "forgot"
    return "inconclusive"


def mean_change_sampling(
    counted: Mapping[str, tuple[GeneralScores, Aligned]],
    resamples: int,
    generator: np.random.Generator,
) -> Sampling:
    """Sampling distribution of the unweighted mean change over tasks.

    Each task's clusters are redrawn on their own; a seed is one trained model, so one draw of
    seeds serves all tasks. Seeds that lack a task are left out of the mean.

    Raises:
        ValueError: no task, or no seed that has every task.
    """
    seeds = [{vector.seed for vector in task.arm} for task, _ in counted.values()]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if not common:
        raise ValueError("no seed was scored on every general task")
    share = 1 / len(counted)
    samples, by_seed, noise = [], np.zeros(len(common)), 0.0
    for task, aligned in counted.values():
        rows = [row for row, vector in enumerate(task.arm) if vector.seed in common]
        after = aligned.scores[0][rows]
        chosen = replace(aligned, scores=(after, aligned.scores[1]))
        samples.append(difference_sample(chosen, share))
        effect = seed_effect(after, aligned.clusters, aligned.cluster_count)
        by_seed += share * effect.means
        noise += share**2 * effect.noise
    effects = [SeedEffect(by_seed, noise)]
    return sampling_of(samples, effects, resamples, generator, low=-1.0, high=1.0)


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
        test = binomtest(lost, flips, 0.5, alternative="greater") if flips else None
        p_values.append(float(test.pvalue) if test else 1.0)
    if count == 1:
        return p_values[0]
    return min(1.0, 2 * float(np.median(p_values)))


def above_chance(aligned: Aligned, chance: float | None, level: float) -> bool:
    """Whether the base is clearly above chance: Wilson's lower bound is (0 if no chance given)."""
    base = aligned.scores[1][0]
    right = float(np.clip(base.sum(), 0, aligned.items))
    return wilson(round(right), aligned.items, level).low > (chance or 0.0)


def _delta(
    arm: str,
    task: GeneralScores,
    aligned: Aligned,
    sampling: Sampling,
    *,
    margin: float,
    level: float,
) -> GeneralDelta:
    after, base = aligned.scores
    interval = sampling.interval(level)
    counts = task.reading.accuracy and above_chance(aligned, task.reading.chance, level)
    flips = task.reading.accuracy and aligned.binary
    sign = 1.0 if task.base[0].higher_is_better else -1.0
    return GeneralDelta(
        arm=arm,
        task=task.task,
        metric=task.reading.metric,
        items=aligned.items,
        base=sign * float(base.mean()),
        after=sign * float(after.mean()),
        chance=task.reading.chance,
        change=sampling.estimate,
        interval=interval,
        right_to_wrong=float((after < base).sum(axis=1).mean()) if flips else None,
        wrong_to_right=float((after > base).sum(axis=1).mean()) if flips else None,
        margin=margin,
        kept=interval.low > -margin if counts else None,
    )


__all__ = [
    "GeneralScores",
    "above_chance",
    "assess_forgetting",
    "forgetting_outcome",
    "mean_change_sampling",
    "pooled_mcnemar",
]
