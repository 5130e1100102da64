"""Findings as sentences for a reader who is no statistician."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.analysis.arms.cost import total_money, total_range
from harness.answers.metrics import METRICS
from harness.findings import ArmSummary, Contrast, EffortReason, Forgetting, Interval
from harness.records import keeps_abilities
from harness.spec import Experiment
from harness.wording import (
    PER_CENT,
    PLAIN,
    RUN_NEXT,
    Scale,
    agreeing,
    capitalised,
    level,
    money,
    plural,
)


def result(contrast: Contrast) -> str:
    """What was found between two arms, with numbers, unit and interval."""
    a, b = contrast.a, contrast.b
    size = f"on {contrast.items:,} test items"
    metric = METRICS.get(contrast.metric)
    if metric is not None and metric.is_share:
        shown = (
            f"{a} gets {PER_CENT.score(contrast.mean_a)} of {metric.share_of}, "
            f"{b} {PER_CENT.score(contrast.mean_b)}, {size}"
        )
        unit = " percentage points"
        scale = 100.0
    else:
        # Of a metric that the study brings, a difference that was turned tells its direction.
        falls = (contrast.mean_a - contrast.mean_b) * contrast.difference < 0
        lower = ", where lower is better," if falls else ""
        people = ", corrected by people's marks," if contrast.corrected else ""
        shown = (
            f"{a} scores {number(contrast.mean_a, 1)} and {b} {number(contrast.mean_b, 1)} in "
            f"{metric.label if metric else contrast.label or contrast.metric}{lower}{people} {size}"
        )
        unit, scale = "", 1.0
    within = span(contrast.interval, scale)
    gap = f"{number(abs(contrast.difference), scale)}{unit}"
    signed = f"{number(contrast.difference, scale, sign=True)}{unit} ({within})"
    margin = f"{_scale(scale).exact(contrast.margin)}{unit}"
    match contrast.outcome:
        case "better":
            return f"{shown}: {a} is better by {gap} ({within})."
        case "worse":
            return f"{shown}: {a} is worse by {_reversed_gap(contrast, scale, unit)}."
        case "equivalent":
            return f"{shown}: the difference, {signed}, is smaller than the {margin} that matter."
        case _ if contrast.rests_on_missing:
            return (
                f"{shown}: the difference, {signed}, rests on "
                f"{plural(contrast.unscored, 'item')} that could not be scored and are left out: "
                "with the worst value for what is missing it comes out otherwise."
            )
        case _ if not contrast.interval.low <= 0 <= contrast.interval.high:
            return (
                f"{shown}: the difference, {signed}, may be chance, as it is one of "
                f"{contrast.family} that are corrected together."
            )
        case _:
            return f"{shown}: the difference, {signed}, may be chance."


def what_it_takes(contrast: Contrast) -> str:
    """What would settle an open contrast."""
    if contrast.items_needed is not None:
        groups = f" of about {contrast.groups_needed:,} groups" if contrast.groups_needed else ""
        return (
            f"If the observed difference between {contrast.a} and {contrast.b} is the true one, "
            f"about {contrast.items_needed:,} test items{groups} would settle it."
        )
    if contrast.rests_on_missing:
        return (
            f"What could not be scored decides between {contrast.a} and {contrast.b}: a metric, or "
            "a judge, that has a value for every reply would settle it."
        )
    return (
        f"More test items alone would not settle the difference between {contrast.a} and "
        f"{contrast.b}; more seeds or a wider margin would be needed."
    )


def run_next(reasons: Sequence[EffortReason]) -> str:
    """What would show whether an arm that was hardly tried does better."""
    steps = dict.fromkeys(reason.next_step for reason in reasons)
    return f"{RUN_NEXT}{'; '.join(steps)}."


def abilities(forgetting: Forgetting) -> str:
    """What became of the general abilities of one arm, with the task that fared worst."""
    within = span(forgetting.interval, 100)
    change = f"{number(forgetting.mean_change, 100, sign=True)} percentage points"
    allowed = f"with {PER_CENT.margin(forgetting.margin)} of loss allowed"
    worst = worst_task(forgetting)
    match forgetting.outcome:
        case "kept":
            return (
                f"{forgetting.arm} kept what the base could do: {change} on average over the "
                f"general tasks ({within}), {allowed}. {worst}"
            )
        case "forgot" | "lost_ability":
            return given_up(forgetting)
        case _:
            if math.isnan(forgetting.mean_change):
                return f"What {forgetting.arm} forgot could not be measured."
            doubts = "".join(f" {sentence}" for sentence in doubts_on(forgetting))
            return (
                f"Whether {forgetting.arm} kept what the base could do is not settled: {change} on "
                f"average ({within}), {allowed}.{doubts} {worst}"
            )


def worst_task(forgetting: Forgetting) -> str:
    """The task that fared worst, whether or not it was lost."""
    shown = _before_and_after(forgetting, forgetting.worst_task)
    return f"Of the general tasks the worst is {shown}."


def doubts_on(forgetting: Forgetting) -> list[str]:
    """What leaves it open whether abilities were kept, beside the interval of the mean change."""
    lost = [
        f"seed {seed} lost {PER_CENT.margin(-change)}"
        for seed, change in forgetting.seed_changes.items()
        if not keeps_abilities(change, forgetting.margin)
    ]
    doubts = []
    if lost:
        trained = agreeing(len(lost), "that training", "those trainings")
        doubts.append(
            f"{capitalised(', '.join(lost))} on average: {trained} gave up more than is allowed."
        )
    tail = (1 - forgetting.interval.level) / 2
    if forgetting.interval.low > -forgetting.margin and forgetting.p_adjusted >= tail:
        doubts.append(
            "The interval lies within what is allowed, but this is not shown once it is corrected "
            f"for the {len(forgetting.family)} arms that could have claimed it."
        )
    return doubts


def given_up(forgetting: Forgetting) -> str:
    """What an arm lost that forgot, or that lost an ability."""
    named = forgetting.lost_tasks or (forgetting.worst_task,)
    tasks = "; ".join(_before_and_after(forgetting, task) for task in named)
    if forgetting.outcome == "lost_ability":
        change = f"{number(forgetting.mean_change, 100, sign=True)} percentage points"
        ability = agreeing(len(named), "an ability", f"{len(named)} abilities")
        return (
            f"{forgetting.arm} lost {ability} of the base: {tasks}. This does not show in the mean "
            f"over the general tasks ({change}, {span(forgetting.interval, 100)})."
        )
    most = "most in" if named == (forgetting.worst_task,) else "beyond doubt in"
    return (
        f"{forgetting.arm} gives up {number(-forgetting.mean_change, 100)} percentage points of "
        f"what the base could do, on average over the general tasks "
        f"({span(_negated(forgetting.interval), 100)}), and {most} {tasks}."
    )


def _before_and_after(forgetting: Forgetting, task: str) -> str:
    task_delta = next(delta for delta in forgetting.tasks if delta.task == task)
    before, after = PER_CENT.score(task_delta.base), PER_CENT.score(task_delta.after)
    return f"{task}: {before} before, {after} after"


def costs(experiment: Experiment, arms: dict[str, ArmSummary], one: str, other: str) -> str:
    """Money of two arms over the horizon; empty where it was not measured."""
    months, currency = experiment.cost.months, experiment.cost.currency
    a, b = (total_money(arms[name].cost, months) for name in (one, other))
    if a is None or b is None:
        return ""
    volume = f"{experiment.cost.requests_per_month:,} requests a month"
    mine, theirs = (
        money_within(amount, total_range(arms[name].cost, months), currency)
        for name, amount in ((one, a), (other, b))
    )
    return (
        f"Over {months} months at {volume}, {one} costs {mine} and {other} {theirs}, search and "
        "training included."
    )


def money_within(amount: float, within: Interval | None, currency: str) -> str:
    """An amount with its currency, and its range where it has one that can be told from it."""
    shown = money(amount, currency)
    ends = () if within is None else (money(within.low), money(within.high))
    return f"{shown} ({' to '.join(ends)})" if len(set(ends)) > 1 else shown


def span(interval: Interval, scale: float) -> str:
    """The level of an interval and its ends, rounded as :func:`number` does."""
    low, high = number(interval.low, scale), number(interval.high, scale)
    return f"{level(interval)} interval {low} to {high}"


def _reversed_gap(contrast: Contrast, scale: float, unit: str) -> str:
    within = span(_negated(contrast.interval), scale)
    return f"{number(-contrast.difference, scale)}{unit} ({within})"


def _negated(interval: Interval) -> Interval:
    return Interval(-interval.high, -interval.low, interval.level)


def number(value: float, scale: float, *, sign: bool = False) -> str:
    """A score or, with ``sign``, a difference without its unit; ``scale`` 100 is for per cent."""
    written = _scale(scale)
    return written.signed(value) if sign else written.number(value)


def _scale(factor: float) -> Scale:
    return PER_CENT if factor == 100 else PLAIN


__all__ = [
    "abilities",
    "costs",
    "doubts_on",
    "given_up",
    "money_within",
    "number",
    "result",
    "run_next",
    "span",
    "what_it_takes",
    "worst_task",
]
