"""What training changed of the general abilities."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from harness.findings.contrast import Interval

ForgettingOutcome = Literal["kept", "forgot", "lost_ability", "inconclusive"]
NotCounted = Literal["", "metric", "chance", "room"]


@dataclass(frozen=True, slots=True)
class GeneralDelta:
    """One general task of one arm against the untouched base."""

    arm: str
    """Name of the arm."""
    task: str
    """Task of the general suite."""
    metric: str
    """The task's main metric."""
    items: int
    """Number of items that arm and base both scored."""
    base: float
    """Score of the untouched base, in the metric's own direction."""
    after: float
    """Score of the arm, mean over seeds, in the metric's own direction."""
    chance: float | None
    """Score of guessing; None where there is none."""
    change: float
    """Score of the arm minus that of the base, positive is better whatever the metric's direction.
    """
    interval: Interval
    """Confidence interval of ``change``."""
    right_to_wrong: float | None
    """Items that the base has right and the arm wrong, mean count over seeds; None for tasks
    without binary scores."""
    wrong_to_right: float | None
    """Items that the base has wrong and the arm right, mean count over seeds; None for tasks
    without binary scores."""
    margin: float
    """Loss that is accepted, 0 to 1."""
    kept: bool | None
    """The interval's lower bound lies above -margin; None where the task does not count."""
    flagged: int = 0
    """Number of items that share text with the user's training data."""
    not_counted: NotCounted = ""
    """Why the task does not count, empty where it does: ``metric``, no margin applies, as for bits
    per byte; ``chance``, the base is not clearly above it; ``room``, the base is no more than the
    margin above it."""
    knowledge_lost: float | None = None
    """Items lost less items won, corrected for guessing: (right_to_wrong - wrong_to_right) / (1 -
    chance). None for tasks without binary scores."""
    left_out: int = 0
    """Number of items on which the search looked at forgetting, and which therefore do not judge
    here."""
    searched: int = 0
    """Number of items on which the search looked at forgetting and which judge all the same, as too
    few others are left."""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The general suite as a whole, for one arm."""

    arm: str
    """Name of the arm."""
    tasks: tuple[GeneralDelta, ...]
    """The change on each task, counted or not."""
    mean_change: float
    """Unweighted mean change over the tasks that count, arm minus base, positive is better; NaN
    where no task counts."""
    interval: Interval
    """Confidence interval of ``mean_change``."""
    worst_task: str
    """The counted task with the largest loss; of all tasks where none counts."""
    pooled_p: float | None
    """Exact McNemar p-value on flips pooled over the tasks that count, one-sided for "worse than
    the base"; None where none of them is binary."""
    margin: float
    """Loss that is accepted, 0 to 1."""
    outcome: ForgettingOutcome
    """What is concluded: ``forgot`` if the mean's upper bound is below -margin, else
    ``lost_ability`` if there are ``lost_tasks``; ``kept`` if the lower bound is above -margin,
    ``p_adjusted`` below (1 - level) / 2 and no seed's own mean change below -margin; else
    ``inconclusive``."""
    items_needed: int | None = None
    """Items a task with which the observed mean change would be settled on its side of the margin
    (80 % power); None when settled, or when no number of items would."""
    divergence: float | None = None
    """Kullback-Leibler divergence of the arm's next-token distribution from that of the same base
    before training, nats per token, on general text; 0 is unchanged. None where it was not
    measured."""
    divergence_interval: Interval | None = None
    """Confidence interval of ``divergence``; None where it was not measured or there are too few
    texts."""
    without_flagged: AbilitiesWithoutFlagged | None = None
    """The mean change without items that share text with training; None where there are none."""
    lost_tasks: tuple[str, ...] = ()
    """Counted tasks whose upper bound is below -margin, Holm-corrected over them."""
    p_value: float = math.nan
    """One-sided p-value against "the mean loss is the margin or more"; NaN where no task counts."""
    p_adjusted: float = math.nan
    """``p_value`` Holm-corrected over ``family``; NaN where no task counts."""
    family: tuple[str, ...] = ()
    """Arms that may claim to have kept their abilities, over which the p-value is corrected; empty
    where no task counts."""
    seed_changes: dict[int, float] = field(default_factory=dict)
    """Seed -> mean change of that trained model alone."""


@dataclass(frozen=True, slots=True)
class AbilitiesWithoutFlagged:
    """The mean general change again, on the items that the leakage audit did not flag."""

    mean_change: float
    """Mean change over the tasks that count, arm minus base, positive is better."""
    interval: Interval
    """Confidence interval of ``mean_change``."""
    outcome: ForgettingOutcome
    """What is concluded from it, by the rule of ``Forgetting``."""


@dataclass(frozen=True, slots=True)
class TaskDivergence:
    """How far training moved an arm on the task's own inputs."""

    arm: str
    """Name of the arm."""
    mean: float
    """Kullback-Leibler divergence of its next-token distribution from that of the same base before
    training, nats per token, over validation items with their reference answers; 0 is unchanged."""
    interval: Interval | None
    """Confidence interval of ``mean``; None where there are too few items."""


@dataclass(frozen=True, slots=True)
class TradeOffPoint:
    """One candidate, of the search or final, in the plane of learning against forgetting."""

    arm: str
    """Name of the arm."""
    trial_id: str
    """Id of the trial."""
    seed: int
    """Seed of the trial."""
    domain_gain: float
    """Primary metric on validation minus the zero-shot base's there, positive is better; on test
    where the base was not scored on validation."""
    general_change: float
    """Mean change of the counted general tasks against the base, positive is better; 0 for a
    prompt."""
    on_front: bool
    """No other candidate is better in both."""
    phase: Literal["search", "finalist"] = "finalist"
    """Whether it is a trial of the search or a final run."""
    on_arm_front: bool = False
    """No other candidate of its own arm is better in both."""
    params: dict[str, object] = field(default_factory=dict)
    """The candidate's setting."""


@dataclass(frozen=True, slots=True)
class SettingEffect:
    """How a hyperparameter goes with the general change, over the search trials of an arm."""

    arm: str
    """Name of the arm."""
    parameter: str
    """Name of the hyperparameter."""
    trials: int
    """Number of search trials that the correlation rests on."""
    correlation: float
    """Spearman's rank correlation of the setting's value with the general change; negative means
    that a higher value forgets more. Association over few trials, no experiment."""
    interval: Interval
    """Confidence interval of ``correlation``."""
    p_value: float
    """Two-sided p-value against no association, by permutation."""


__all__ = [
    "AbilitiesWithoutFlagged",
    "Forgetting",
    "ForgettingOutcome",
    "GeneralDelta",
    "NotCounted",
    "SettingEffect",
    "TaskDivergence",
    "TradeOffPoint",
]
