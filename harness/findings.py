"""What the analysis concluded: the values that the report is written from.

Differences are always ``a - b`` in the metric's own unit and oriented so that positive is
better for ``a``, whatever the metric's direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ContrastOutcome = Literal["better", "worse", "equivalent", "inconclusive"]
ForgettingOutcome = Literal["kept", "forgot", "inconclusive"]
VerdictOutcome = Literal["fine_tune", "prompt", "equivalent", "forgets_too_much", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval at ``level`` (0.95 is 95 %)."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Contrast:
    """Arm ``a`` against arm ``b``, paired item by item.

    difference: mean of a - b, positive when a is better. margin: differences inside
        +-margin count as equivalent. test: the method that gave ``p_value`` (two-sided).
    p_adjusted: Holm-corrected over the secondary contrasts; equals p_value for the primary.
    minimum_detectable: smallest true difference found with 80 % power at this design.
    items_needed: items that would settle the observed difference; None when settled, or when
        no number of items would (observed difference is 0).
    """

    a: str
    b: str
    task: str
    split: str
    metric: str
    primary: bool
    items: int
    clusters: int
    seeds_a: int
    seeds_b: int
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval
    p_value: float
    p_adjusted: float
    test: str
    margin: float
    outcome: ContrastOutcome
    minimum_detectable: float
    items_needed: int | None


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What an arm costs. None where it was not measured or not priced.

    Money in the experiment's currency. search_seconds: all trials of the arm's study.
    train_seconds: one final training run. prompt_tokens, completion_tokens: mean per request.
    latency_p50, latency_p95: seconds per single request on the machine that ran the study.
    per_thousand_requests: serving money. monthly: at the declared request volume.
    upfront: search plus final training money.
    """

    search_seconds: float
    train_seconds: float
    train_tokens: int
    peak_memory_mib: float | None
    peak_device_mib: float | None
    trainable_parameters: int
    total_parameters: int
    artifact_bytes: int
    prompt_tokens: float | None
    completion_tokens: float | None
    latency_p50: float | None
    latency_p95: float | None
    per_thousand_requests: float | None
    monthly: float | None
    upfront: float | None


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One row of the table of arms.

    tuned: False for an arm without a search space, which the report says in words.
    budget_trials: declared; complete, failed: what became of them.
    test: primary metric on test, mean over seeds, with a cluster-bootstrap (or Wilson) interval.
    metrics: every aggregate metric on test, mean over seeds.
    params: the selected setting.
    """

    arm: str
    kind: str
    tuned: bool
    budget_trials: int
    complete: int
    failed: int
    seeds: tuple[int, ...]
    params: dict[str, object]
    validation: float | None
    default_validation: float | None
    test: float | None
    test_interval: Interval | None
    metrics: dict[str, float]
    out_of_domain: dict[str, float]
    cost: CostSummary


@dataclass(frozen=True, slots=True)
class GeneralDelta:
    """One general task of one arm against the untouched base.

    change: arm minus base, positive is better. right_to_wrong, wrong_to_right: mean count of
    items over seeds, for tasks with binary scores; None otherwise.
    kept: the interval's lower bound lies above -margin; None where no margin applies, as for
    bits per byte.
    """

    arm: str
    task: str
    metric: str
    items: int
    base: float
    after: float
    chance: float | None
    change: float
    interval: Interval
    right_to_wrong: float | None
    wrong_to_right: float | None
    margin: float
    kept: bool | None


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The general suite as a whole, for one arm.

    mean_change: unweighted mean over the tasks scored in accuracy, with its interval.
    pooled_p: exact McNemar on flips pooled over tasks, one-sided for "worse than the base".
    outcome: ``kept`` if the mean's lower bound is above -margin, ``forgot`` if its upper bound is
        below -margin, else ``inconclusive``.
    """

    arm: str
    tasks: tuple[GeneralDelta, ...]
    mean_change: float
    interval: Interval
    worst_task: str
    pooled_p: float | None
    margin: float
    outcome: ForgettingOutcome


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Train, validation and test score of the same final candidate (mean over seeds).

    generalisation_gap: train minus test on equal-sized samples; selection_gap: validation score
    that selected the setting minus test score: what the tuning fooled itself by.
    """

    arm: str
    train: float | None
    validation: float | None
    test: float | None
    generalisation_gap: float | None
    gap_interval: Interval | None
    selection_gap: float | None
    selection_interval: Interval | None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Requests after which ``arm``'s upfront money is repaid by cheaper serving than ``against``.

    requests: None when it never is, with the reason in ``sentence``.
    """

    arm: str
    against: str
    requests: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class TradeOffPoint:
    """One candidate in the plane of learning against forgetting.

    domain_gain: primary test metric minus the zero-shot base's. general_change: mean change on
    the general suite. on_front: no other candidate is better in both.
    """

    arm: str
    trial_id: str
    seed: int
    domain_gain: float
    general_change: float
    on_front: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision. ``sentence`` is for a manager; ``reasons`` and ``caveats`` are full sentences.

    winner: arm to use; for ``equivalent`` the cheaper one; for ``inconclusive`` empty.
    """

    outcome: VerdictOutcome
    winner: str
    sentence: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    items_needed: int | None


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything the analysis says of one study."""

    verdict: Verdict
    primary: Contrast | None
    secondary: tuple[Contrast, ...]
    arms: tuple[ArmSummary, ...]
    forgetting: tuple[Forgetting, ...]
    overfitting: tuple[Overfitting, ...]
    break_even: tuple[BreakEven, ...]
    trade_off: tuple[TradeOffPoint, ...]
    general_unscored: tuple[str, ...] = ()


__all__ = [
    "ArmSummary",
    "BreakEven",
    "Contrast",
    "ContrastOutcome",
    "CostSummary",
    "Findings",
    "Forgetting",
    "ForgettingOutcome",
    "GeneralDelta",
    "Interval",
    "Overfitting",
    "TradeOffPoint",
    "Verdict",
    "VerdictOutcome",
]
