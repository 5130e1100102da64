"""What a fine-tuned arm lost of what the base could do: a question of non-inferiority."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from harness.analysis.forgetting.abilities import MeanChange, MeasuredAbilities, MeasuredTask
from harness.analysis.statistics.paired import holm
from harness.analysis.statistics.power import items_to_settle
from harness.findings import (
    AbilitiesWithoutFlagged,
    Forgetting,
    ForgettingOutcome,
    GeneralDelta,
    Interval,
)
from harness.records import keeps_abilities
from harness.spec import Experiment

Counted = Mapping[str, tuple[str, ...]]


def judge_abilities(
    measured: Mapping[str, MeasuredAbilities], experiment: Experiment
) -> dict[str, Forgetting]:
    """What each arm forgot, under the margin and level of the experiment.

    The mean is over tasks scored in accuracy on which a loss of the margin could be seen: the base
    is clearly above chance there, by more than the margin. Where there is no such task the mean is
    NaN and the outcome ``inconclusive``.
    """
    counted = _counted(measured, experiment)
    judged = _judge(measured, counted, experiment)
    for arm, clean in judge_without_flagged(measured, experiment).items():
        rest = AbilitiesWithoutFlagged(clean.mean_change, clean.interval, clean.outcome)
        judged[arm] = replace(judged[arm], without_flagged=rest)
    return judged


def judge_without_flagged(
    measured: Mapping[str, MeasuredAbilities], experiment: Experiment
) -> dict[str, Forgetting]:
    """What arms forgot without items that share text with training, where this changes it.

    The mean is over the tasks that count with all their items, but for those of which fewer than
    two clusters are left.
    """
    counted = _counted(measured, experiment)
    clean = {
        arm: abilities.clean
        for arm, abilities in measured.items()
        if abilities.clean is not None
        and abilities.clean.mean(counted[arm]) is not None
        and any(abilities.tasks[name].flagged for name in counted[arm])
    }
    judged = _judge({**measured, **clean}, counted, experiment) if clean else {}
    return {arm: judged[arm] for arm in clean}


def forgetting_outcome(
    interval: Interval,
    margin: float,
    *,
    p_adjusted: float,
    lost: Collection[str] = (),
    by_seed: Iterable[float] = (),
) -> ForgettingOutcome:
    """What is concluded of an arm's mean change; NaN is inconclusive.

    * ``forgot``: the interval of the mean change lies below -margin.
    * ``lost_ability``: a task does, after correction over tasks, whatever the mean.
    * ``kept``: the interval lies above -margin, so does the test after correction over the arms
      that may claim it, and no seed's own mean change lies below.
    """
    if interval.high < -margin:
        return "forgot"
    if lost:
        return "lost_ability"
    shown = interval.low > -margin and p_adjusted < (1 - interval.level) / 2
    kept = shown and all(keeps_abilities(change, margin) for change in by_seed)
    return "kept" if kept else "inconclusive"


def families(arms: Collection[str], experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """Arm -> the arms over which its claim to have kept abilities is corrected.

    Where the experiment names its fine-tuned arm only the arms of the primary contrast may claim
    it, and they are corrected over themselves; the others, and where none is named all, over all.
    """
    named = {experiment.contrast.fine_tuned, experiment.contrast.against}
    claiming = tuple(arm for arm in arms if experiment.contrast.fine_tuned and arm in named)
    return {arm: claiming if arm in claiming else tuple(arms) for arm in arms}


def _counted(measured: Mapping[str, MeasuredAbilities], experiment: Experiment) -> Counted:
    if experiment.general is None:
        return dict.fromkeys(measured, ())
    margin, level = experiment.general.margin, experiment.contrast.level
    return {arm: abilities.counted(margin, level) for arm, abilities in measured.items()}


def _judge(
    measured: Mapping[str, MeasuredAbilities], counted: Counted, experiment: Experiment
) -> dict[str, Forgetting]:
    if experiment.general is None:
        return {}
    margin, level = experiment.general.margin, experiment.contrast.level
    means = {arm: abilities.mean(counted[arm]) for arm, abilities in measured.items()}
    p_values = {
        arm: mean.sampling.p_above(-margin) for arm, mean in means.items() if mean is not None
    }
    corrected_over = families(p_values, experiment)
    judged = {}
    for arm, abilities in measured.items():
        mean = means[arm]
        deltas = tuple(_delta(arm, task, margin, level) for task in abilities.tasks.values())
        considered = [delta for delta in deltas if delta.kept is not None] or deltas
        plain = Forgetting(
            arm=arm,
            tasks=deltas,
            mean_change=float("nan"),
            interval=Interval(float("nan"), float("nan"), level),
            worst_task=min(considered, key=lambda delta: delta.change).task,
            pooled_p=None,
            margin=margin,
            outcome="inconclusive",
        )
        if mean is not None:
            family = corrected_over[arm]
            corrected = holm([p_values[name] for name in family])[family.index(arm)]
            judging = [task for name, task in abilities.tasks.items() if name in counted[arm]]
            lost = _lost(judging, margin, level)
            plain = _with_mean(
                replace(
                    plain,
                    lost_tasks=lost,
                    p_value=p_values[arm],
                    p_adjusted=corrected,
                    family=family,
                ),
                mean,
            )
        judged[arm] = plain
    return judged


def _with_mean(forgetting: Forgetting, mean: MeanChange) -> Forgetting:
    level, margin = forgetting.interval.level, forgetting.margin
    interval = mean.sampling.interval(level)
    outcome = forgetting_outcome(
        interval,
        margin,
        p_adjusted=forgetting.p_adjusted,
        lost=forgetting.lost_tasks,
        by_seed=mean.by_seed.values(),
    )
    # More items settle nothing where a seed collapsed.
    open_to_items = outcome == "inconclusive" and all(
        keeps_abilities(change, margin) for change in mean.by_seed.values()
    )
    to_show = mean.sampling.estimate > -margin
    needed_level = 1 - (1 - level) / len(forgetting.family) if to_show else level
    return replace(
        forgetting,
        mean_change=mean.sampling.estimate,
        interval=interval,
        pooled_p=mean.pooled_p,
        outcome=outcome,
        seed_changes=mean.by_seed,
        items_needed=items_to_settle(mean.sampling, mean.items, -margin, needed_level)
        if open_to_items
        else None,
    )


def _lost(tasks: Collection[MeasuredTask], margin: float, level: float) -> tuple[str, ...]:
    """Tasks shown to have lost more than the margin, Holm-corrected over those that count."""
    # A p-value above the level is never among those that are rejected, so it need not be exact.
    p_values = holm(
        [
            task.sampling.p_below(-margin) if task.sampling.interval(level).high < -margin else 1.0
            for task in tasks
        ]
    )
    return tuple(
        task.scores.task for task, p in zip(tasks, p_values, strict=True) if p < (1 - level) / 2
    )


def _delta(arm: str, task: MeasuredTask, margin: float, level: float) -> GeneralDelta:
    after, base = task.aligned.scores
    reading, interval = task.scores.reading, task.sampling.interval(level)
    not_counted = task.not_counted(margin, level)
    flips = reading.accuracy and task.aligned.binary
    lost = float((after < base).sum(axis=1).mean()) if flips else None
    won = float((after > base).sum(axis=1).mean()) if flips else None
    sign = 1.0 if task.scores.base[0].higher_is_better else -1.0
    return GeneralDelta(
        arm=arm,
        task=task.scores.task,
        metric=reading.metric,
        items=task.aligned.items,
        base=sign * float(base.mean()),
        after=sign * float(after.mean()),
        chance=reading.chance,
        change=task.sampling.estimate,
        interval=interval,
        right_to_wrong=lost,
        wrong_to_right=won,
        margin=margin,
        kept=None if not_counted else interval.low > -margin,
        flagged=task.flagged,
        not_counted=not_counted,
        # What was known and is guessed stays right with the probability of chance.
        knowledge_lost=None if lost is None or won is None else (lost - won) / (1 - task.chance),
        left_out=task.scores.left_out,
        searched=task.scores.searched,
    )


__all__ = [
    "families",
    "forgetting_outcome",
    "judge_abilities",
    "judge_without_flagged",
]
