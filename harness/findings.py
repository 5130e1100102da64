"""What the analysis concluded: the values that the report is written from.

Differences are always ``a - b`` in the metric's own unit and oriented so that positive is
better for ``a``, whatever the metric's direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    equivalence_interval: the interval at 1 - 2 (1 - level), 90 % for a level of 95 %; the arms are
        equivalent where it lies within +-margin.
    left_out: test items that one of the arms lacks. unscored: items that one of them could not
        score. Neither kind is in the comparison.
    flagged: items compared that share text with training. without_flagged: the difference and its
        interval without them; None where there are none, or too few items are left.
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
    equivalence_interval: Interval | None = None
    left_out: int = 0
    unscored: int = 0
    flagged: int = 0
    without_flagged: WithoutFlagged | None = None


@dataclass(frozen=True, slots=True)
class WithoutFlagged:
    """A contrast again, on the items that the leakage audit did not flag."""

    items: int
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval
    outcome: ContrastOutcome


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What an arm costs. None where it was not measured or not priced.

    Money in the experiment's currency. search_seconds: all trials of the arm's study.
    train_seconds: one final training run. train_examples: that the final runs were trained on, the
    fewest of any. prompt_tokens, completion_tokens: mean per request.
    latency_p50, latency_p95: seconds per single request on the machine that ran the study.
    per_thousand_requests: serving money. monthly: at the declared request volume.
    upfront: search plus final training money. by_token: a server charges for tokens; the money
    does not hang on the price of the machine, and the memory is not known.
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
    by_token: bool = False
    train_examples: int | None = None


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One row of the table of arms.

    tuned: False for an arm without a search space, which the report says in words.
    budget_trials: declared; complete, failed, pruned (stopped early): what became of them.
    test: primary metric on test, mean over seeds, with a cluster-bootstrap (or Wilson) interval.
    metrics: every aggregate metric on test, mean over seeds.
    params: the selected setting.
    search_tokens: tokens trained on over all trials of the search; 0 for a prompt arm.
    short_of_budget: a tuned arm that saw fewer trials through than declared, while another tuned
        arm saw all of its own through: the two were not tried equally hard.
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
    search_tokens: int = 0
    short_of_budget: bool = False
    pruned: int = 0


@dataclass(frozen=True, slots=True)
class GeneralDelta:
    """One general task of one arm against the untouched base.

    change: arm minus base, positive is better. right_to_wrong, wrong_to_right: mean count of
    items over seeds, for tasks with binary scores; None otherwise.
    kept: the interval's lower bound lies above -margin; None where no margin applies, as for
    bits per byte. flagged: items that share text with the user's training data.
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
    flagged: int = 0


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The general suite as a whole, for one arm.

    mean_change: unweighted mean over the tasks scored in accuracy, with its interval.
    pooled_p: exact McNemar on flips pooled over tasks, one-sided for "worse than the base".
    outcome: ``kept`` if the mean's lower bound is above -margin, ``forgot`` if its upper bound is
        below -margin, else ``inconclusive``.
    items_needed: items a task with which the observed mean change would be settled on its side of
        the margin (80 % power); None when settled, or when no number of items would.
    divergence: Kullback-Leibler divergence of the arm's next-token distribution from that of the
        same base before training, nats per token, on general text; 0 is unchanged. None where it
        was not measured.
    without_flagged: (mean change, interval) without items that share text with training; None
        where there are none.
    """

    arm: str
    tasks: tuple[GeneralDelta, ...]
    mean_change: float
    interval: Interval
    worst_task: str
    pooled_p: float | None
    margin: float
    outcome: ForgettingOutcome
    items_needed: int | None = None
    divergence: float | None = None
    divergence_interval: Interval | None = None
    without_flagged: tuple[float, Interval] | None = None


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
class TuningGain:
    """What tuning gained over the default setting (trial 0), both on test, on the same seeds.

    kept_default: validation selected the default itself, so the gain is 0 by construction.
    gain: selected minus default, positive is better, with a paired interval; None where the
    default was not tested.
    """

    arm: str
    kept_default: bool
    default_params: dict[str, object]
    selected_params: dict[str, object]
    default_test: float | None
    selected_test: float | None
    gain: float | None
    interval: Interval | None
    outcome: ContrastOutcome | None
    seeds: int


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One training-set size of an arm's learning curve, means over seeds.

    train: score on training examples of that set. held_out: score on validation. gap: train minus
    held-out, positive is overfitting. full: the whole training split (the finalists).
    """

    train_items: int
    seeds: int
    train: float | None
    held_out: float | None
    held_out_interval: Interval | None
    gap: float | None
    gap_interval: Interval | None
    full: bool


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """An arm trained on nested sets of growing size, smallest first.

    gap_change: gap at the smallest size minus gap at the largest; positive: less overfitting with
    more data. last_gain: held-out score at the largest size minus that at the size before;
    positive: more data would probably help. None, with their intervals, where not measured.
    """

    arm: str
    metric: str
    points: tuple[CurvePoint, ...]
    gap_change: float | None
    gap_change_interval: Interval | None
    last_gain: float | None
    last_gain_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Does the arm complete the text of training examples that it has no business knowing?

    The second half of an example's input is asked for after the first. verbatim_*: share of items
    whose second half greedy decoding reproduces token by token: on training examples, on unseen
    (validation) ones, and the untouched base on training ones. excess: verbatim on training minus
    unseen, less the same of the base; with interval. familiarity: how much likelier training
    made the second halves of training examples than those of unseen ones, bits per byte (drop
    on training minus drop on unseen, both against the base); positive is memorised.
    memorised: the interval of ``excess`` or of ``familiarity`` lies above 0.
    """

    arm: str
    items: int
    unseen_items: int
    verbatim: float
    verbatim_unseen: float
    verbatim_base: float
    excess: float
    excess_interval: Interval
    familiarity: float
    familiarity_interval: Interval
    memorised: bool


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
    """One candidate, of the search or final, in the plane of learning against forgetting.

    domain_gain: primary metric on validation minus the zero-shot base's there. general_change:
    mean change on the general suite. on_front: no other candidate is better in both.
    on_arm_front: none of its own arm is.
    """

    arm: str
    trial_id: str
    seed: int
    domain_gain: float
    general_change: float
    on_front: bool
    phase: Literal["search", "finalist"] = "finalist"
    on_arm_front: bool = False
    params: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SettingEffect:
    """How a hyperparameter goes with the general change, over the search trials of an arm.

    correlation: Spearman's rank correlation of the setting's value with the general change;
    negative means that a higher value forgets more. Association over few trials, no experiment.
    """

    arm: str
    parameter: str
    trials: int
    correlation: float
    interval: Interval
    p_value: float


SearchEnd = Literal["budget_spent", "settings_exhausted", ""]


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """What stopping trials early saved: ``total`` less ``done`` units, over ``trials`` trials.

    unit: ``items`` of the validation set, or ``steps`` of training.
    """

    unit: Literal["items", "steps"]
    trials: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """The search trial that was selected, beside the one with the best validation score.

    number, best_number: trial numbers. score, best_score: primary metric on validation.
    general_change, best_change: mean change of the general tasks against the base on the search's
        items, 0 to 1, positive is better; None where it was not measured or plays no part.
    margin: loss that the search accepts; None where it does not look at it.
    candidates: trials to choose among. kept: those not known to lose more than the margin.
    """

    number: int
    score: float
    general_change: float | None
    best_number: int
    best_score: float
    best_change: float | None
    margin: float | None
    kept: int
    candidates: int


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """The search of one arm: what it was given, what it took, why it ended, what it chose.

    asked: trials that were run; complete, pruned, failed: what became of them.
    pruner: what could stop a trial early; ``none`` where nothing could.
    budget_trials, budget_tokens, budget_minutes: declared; None is no limit.
    tokens: processed, trained on or scored; None where it was not noted. minutes: wall time, its
        trials added up.
    ended: empty where it was not noted. limit: ``trials``, ``tokens`` or ``minutes``, whichever
        was reached first; empty unless a budget was spent.
    stopped: what early stopping saved, by unit.
    """

    arm: str
    asked: int
    complete: int
    pruned: int
    failed: int
    sampler: str
    pruner: str
    budget_trials: int
    budget_tokens: int | None
    budget_minutes: float | None
    tokens: int | None
    minutes: float | None
    ended: SearchEnd
    limit: str
    stopped: tuple[EarlyStop, ...]
    choice: SearchChoice | None


@dataclass(frozen=True, slots=True)
class SearchPicture:
    """What Optuna makes of one arm's search: importances, and drawings as SVG.

    trials: complete ones that it rests on. evaluator: how importances were computed.
    importances: setting -> share of the variation of the score that goes with it, the largest
        first; empty where it cannot be told. forgetting: the same of the general change.
    drawn: settings that ``parallel`` shows.
    history, parallel: SVG with the placeholder colours of the report's charts.
    """

    arm: str
    trials: int
    evaluator: str
    importances: dict[str, float]
    forgetting: dict[str, float]
    drawn: tuple[str, ...]
    history: str
    parallel: str


@dataclass(frozen=True, slots=True)
class Flip:
    """How far one assumption must move for the verdict to change.

    assumption: field of the experiment file. value: as declared; None where it was not declared.
    at: the nearest value, in that direction, with another verdict; None where none was found up to
    ``searched``. outcome, winner: the other verdict.
    """

    assumption: str
    direction: Literal["down", "up"]
    value: float | None
    at: float | None
    searched: float
    outcome: VerdictOutcome | None
    winner: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Perturbation:
    """The verdict again with a part of the evidence left out, such as one seed."""

    left_out: str
    outcome: VerdictOutcome
    winner: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the verdict hangs on."""

    flips: tuple[Flip, ...]
    perturbations: tuple[Perturbation, ...]


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Analytic estimate of what weights, gradients and optimiser take in training, MiB.

    Activations are not in it. parameters: of the whole model.
    """

    kind: str
    parameters: int
    mib: float


ClaimStatus = Literal["held", "not_held", "inconclusive", "not_tested"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that guides to fine-tuning make, checked on this task.

    measured: what was measured here, with unit and, where there is one, interval; empty where
    nothing was. why: the rule that gave the status, or why it was not tested.
    """

    key: str
    claim: str
    measured: str
    interval: Interval | None
    status: ClaimStatus
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision. ``sentence`` is for a manager; ``reasons`` and ``caveats`` are full sentences.

    winner: arm to use; for ``equivalent`` the cheaper one; for ``inconclusive`` empty.
    rule: name of the rule that decided.
    """

    outcome: VerdictOutcome
    winner: str
    sentence: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    items_needed: int | None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class RunSamples:
    """What one run of an arm replied to each item; the three have shape (n,).

    outputs: None where no reply was kept. scores: None where the item was not scored. valid:
    whether the task allows the reply; None where that was not judged.
    """

    seed: int
    outputs: tuple[str | None, ...]
    scores: tuple[float | None, ...]
    valid: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True)
class ArmSamples:
    """The runs of one arm, by seed, and what they come to item by item.

    scores: mean over the runs; None where one of them has none. valid: every run's reply is.
    """

    arm: str
    runs: tuple[RunSamples, ...]
    scores: tuple[float | None, ...]
    valid: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Every item of the primary test with what the final candidates replied.

    doc_hashes, item_ids, texts, targets: shape (n,), as are the columns of ``arms``.
    full: the score of a wholly right answer; None where the metric has no such score.
    """

    doc_hashes: tuple[str, ...]
    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    targets: tuple[str, ...]
    arms: tuple[ArmSamples, ...]
    higher_is_better: bool
    full: float | None

    def gain(self, score: float | None, other: float | None) -> float | None:
        """How much better the first score is than the other; None where either is missing."""
        if score is None or other is None:
            return None
        return score - other if self.higher_is_better else other - score


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
    tuning: tuple[TuningGain, ...] = ()
    curves: tuple[LearningCurve, ...] = ()
    memorisation: tuple[Memorisation, ...] = ()
    effects: tuple[SettingEffect, ...] = ()
    sensitivity: Sensitivity | None = None
    memory: tuple[MemoryEstimate, ...] = ()
    claims: tuple[Claim, ...] = ()
    searches: tuple[SearchSummary, ...] = ()


# ------------------------------------------------------------------- several studies together

Part = Literal["model", "data", "task", "arms", "search", "measuring", "judging", "machine"]
RefusalReason = Literal[
    "unfinished", "metric", "task", "test_items", "scores", "general_unmeasured", "general_suite"
]


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting, or a fact about what was used, that is not the same in all studies.

    values: one a study, in their order; None where a study has no such setting.
    """

    part: Part
    setting: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One of several studies.

    label: its name; with the start of its id where two share a name. metric: its primary one.
    fine_tuned, prompt: its best arm of either kind, picked on validation; empty where it has none
    that was tested. untested: arms without a test result. items: test items that were scored.
    forgetting: of its fine-tuned arms, each against the study's own base.
    """

    label: str
    name: str
    experiment_id: str
    created_at: str
    metric: str
    verdict: Verdict
    arms: tuple[ArmSummary, ...]
    fine_tuned: str
    prompt: str
    untested: tuple[str, ...]
    items: int
    forgetting: tuple[Forgetting, ...]


@dataclass(frozen=True, slots=True)
class PairedAcross:
    """An arm of one study against an arm of the reference, on the test items that both answered.

    contrast: with positive for ``study``; its p-values are Holm-corrected over all such
        differences, as none was declared beforehand. leading: both are what their study picked as
        the best of a kind.
    """

    study: str
    reference: str
    arm: str
    reference_arm: str
    leading: bool
    contrast: Contrast


@dataclass(frozen=True, slots=True)
class UnpairedAcross:
    """The same where the two were tested on different items: each on a sample of its own.

    The difference holds what the items changed along with what the settings changed.
    items, reference_items: of the two samples; common_items: those in both, which count as
    different ones here and so widen the interval. mean, reference_mean: in the metric's own
    direction. difference: positive is better for ``study``.
    """

    study: str
    reference: str
    arm: str
    reference_arm: str
    leading: bool
    metric: str
    items: int
    reference_items: int
    common_items: int
    mean: float
    reference_mean: float
    difference: float
    interval: Interval
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is not compared, why, and what would make it comparable.

    studies: one that is compared with none, or two. what: ``scores`` are not compared at all;
    ``pairing``: only unpaired; ``general``: what was forgotten is not set side by side.
    """

    studies: tuple[str, ...]
    what: Literal["scores", "pairing", "general"]
    reason: RefusalReason
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class StudyComparison:
    """Several studies: what differs in the setting, and what in the score where that can be said.

    The first study is the reference that the others are compared with. margin, level: the
    reference's. general: labels of the studies whose general suite is the reference's.
    """

    studies: tuple[ComparedStudy, ...]
    settings: tuple[SettingDifference, ...]
    paired: tuple[PairedAcross, ...]
    unpaired: tuple[UnpairedAcross, ...]
    refusals: tuple[Refusal, ...]
    general: tuple[str, ...]
    margin: float
    level: float


__all__ = [
    "ArmSamples",
    "ArmSummary",
    "BreakEven",
    "Claim",
    "ClaimStatus",
    "ComparedStudy",
    "Contrast",
    "ContrastOutcome",
    "CostSummary",
    "CurvePoint",
    "EarlyStop",
    "Findings",
    "Flip",
    "Forgetting",
    "ForgettingOutcome",
    "GeneralDelta",
    "Interval",
    "LearningCurve",
    "Memorisation",
    "MemoryEstimate",
    "Overfitting",
    "PairedAcross",
    "Part",
    "Perturbation",
    "Refusal",
    "RefusalReason",
    "RunSamples",
    "Samples",
    "SearchChoice",
    "SearchEnd",
    "SearchPicture",
    "SearchSummary",
    "Sensitivity",
    "SettingDifference",
    "SettingEffect",
    "StudyComparison",
    "TradeOffPoint",
    "TuningGain",
    "UnpairedAcross",
    "Verdict",
    "VerdictOutcome",
    "WithoutFlagged",
]
