"""What a trial leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.records.model_work import NO_WORK, ModelWork
from harness.records.trial import Status, SuiteKind, TrialSpec
from harness.records.unscored import Unscored
from harness.records.writing import Writing


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where a pruned trial was stopped."""

    unit: Literal["items", "steps"]
    """What is counted: ``items`` of the validation set, or ``steps`` of training."""
    done: int
    """Units that were done."""
    total: int
    """Units that the whole trial would have had."""
    value: float
    """What the trial had reached: the mean of the metric, or of training the validation loss in
    nats."""
    against: float
    """What the trial, or the median of trials, that it was held against had reached on the same
    items or at the same step; in the same unit."""
    values: tuple[tuple[int, float], ...]
    """(step, value) so far, as in :class:`~harness.records.TrialCurve`: higher is better, so that
    losses, and metrics where lower is better, are negative."""
    tokens: int = 0
    """Prompt and completion tokens of the items asked; 0 for training, whose tokens the steps
    count."""


@dataclass(frozen=True, slots=True)
class WayScore:
    """What one way of answering scored in a search trial that tried several."""

    answering: str
    """The way of answering."""
    score: float
    """Primary metric on validation."""
    tokens: int
    """Tokens of all prompts and answers."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running trial is: ``done`` of ``total`` units of ``stage``."""

    trial_id: str
    """Id of the trial."""
    arm: str
    """Name of the arm."""
    stage: Literal["load", "train", "score", "write"]
    """What the trial is at: ``load``, ``train`` (units are steps), ``score`` (units are requests
    of ``task``) or ``write`` (units are rows of its budget)."""
    done: int
    """Units done."""
    total: int
    """Units in all."""
    task: str = ""
    """Task that is scored; empty in other stages."""
    loss: float | None = None
    """Training loss of the last step, nats; None in other stages."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step."""

    step: int
    """Number of the step, from 1."""
    steps: int
    """Number of planned steps."""
    epoch: float | None
    """Passes over the training split so far; None where a training command does not say, as with
    the three that follow."""
    loss: float | None
    """Mean cross-entropy per answer token, nats, lower is better."""
    learning_rate: float | None
    """Learning rate of this step."""
    grad_norm: float | None
    """Norm of the gradient before clipping."""
    tokens: int
    """Real (unpadded) tokens seen so far; 0 where a training command does not say."""
    seconds: float
    """Seconds since training began."""
    validation_loss: float | None = None
    """The same loss on validation answers; None where it was not measured at this step."""
    validation_score: float | None = None
    """Primary metric of replies to the same rows; None where none were asked for at this step."""
    work: ModelWork = NO_WORK
    """What this step by itself computed, each pass forward and back; not kept in the store."""
    check_seconds: float = 0.0
    """Part of ``seconds`` that the check after this step took; not kept in the store."""


@dataclass(frozen=True, slots=True)
class ItemOutput:
    """What one candidate replied to one item."""

    doc_hash: str
    """The hash that lm-eval gives of the item, the key by which arms are paired."""
    item_id: str
    """Id in the data set or suite."""
    cluster: str
    """Cluster of the item; items of one cluster are resampled together."""
    target: str
    """The right answer."""
    output: str
    """The reply, before the task's filter."""
    prompt_tokens: int
    """Tokens a server would be sent for this item, shots and template included."""
    completion_tokens: int
    """Tokens of the reply."""
    text: str = ""
    """The item as the task's template renders it; empty for general tasks."""
    filtered: str | None = None
    """What the task's filter took the reply for; None where that is the reply itself."""


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One metric of one item."""

    doc_hash: str
    """The hash of the item that lm-eval gives."""
    filter: str
    """Filter of the task that read the reply; ``none`` where there is none."""
    metric: str
    """Name of the metric."""
    value: float | None
    """Value in the metric's unit; None where the item could not be scored."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a candidate replied to one request."""

    asked: str
    """Hash of who is asked and how, as in :class:`~harness.records.ScoreRequest`."""
    request: str
    """Hash of the request: its kind, its text, its options."""
    response: str
    """The text, or (log-likelihood, whether greedy decoding gives it), or the log-likelihood of a
    whole text, as JSON."""
    remark: str | None = None
    """What else whoever answered has to say of it, as JSON: tokens that the prompt was cut to, or a
    server's name and counts. None where there is nothing."""


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """One candidate scored on one task."""

    key: str
    """Content address of the score: everything that can change the answer, hashed."""
    task: str
    """Name of the lm-eval task."""
    suite: SuiteKind
    """Suite that the task belongs to."""
    split: str
    """Split that was scored."""
    form: str
    """What was scored: ``base``, ``base-nf4``, ``adapter-on-bfloat16``, ``adapter-on-nf4`` (or
    ``-fp4``), ``full``, ``endpoint``."""
    seconds: float
    """Wall time of scoring."""
    outputs: tuple[ItemOutput, ...]
    """What the candidate replied, item by item, in the order of scoring."""
    item_scores: tuple[ItemScore, ...]
    """Metrics of each item."""
    aggregates: dict[str, float]
    """Metric -> value over all items (corpus metrics have no per-item value)."""
    higher_is_better: dict[str, bool]
    """Metric -> True where higher is better."""
    chance: float | None = None
    """Score of guessing; None where the task does not state it."""
    latencies: tuple[float, ...] = ()
    """Seconds of each request of the suite ``latency``, sent one at a time, whose aggregates are
    ``seconds`` (their mean), ``other_cores`` (processors that other programs kept busy meanwhile,
    on average) and ``cores`` (processors of the machine)."""
    asked: str = ""
    """Who was asked and how, as in :class:`~harness.records.ScoreRequest`."""
    moved: dict[str, float] = field(default_factory=dict)
    """Metric that is a judge's mark -> how far an instruction within replies moved it: the mean
    mark of a few replies with one appended less that without, in marks."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Metric of all items together that the user brings -> its 95 % interval, items drawn anew by
    cluster."""
    unscored: tuple[Unscored, ...] = ()
    """Items that metrics of the user's could not score, which have no value of these. Not kept in
    the store, but for the values that are missing."""
    work: ModelWork = NO_WORK
    """What ``seconds`` went into; nothing where a server was asked. Not kept in the store."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """Correctness checks of one trial."""

    before_max_difference: float | None
    """Largest |logit difference| between candidate and base before step 0, which must be 0; None
    where nothing is trained."""
    after_max_difference: float | None
    """The same after training, which must be above 0; None where nothing is trained, or training
    was not seen through."""
    prompt_tokens_equal: bool
    """Training and scoring tokenise the prompts alike."""


@dataclass(frozen=True, slots=True)
class TrialCost:
    """What a trial took."""

    load_seconds: float
    """Wall time of loading the weights."""
    train_seconds: float
    """Wall time of training."""
    score_seconds: float
    """Wall time of scoring, reused scores not counted."""
    train_tokens: int | None
    """Unpadded tokens trained on; None where the program that trained did not say."""
    peak_memory_mib: float
    """Peak memory of its processes on the host, MiB."""
    peak_device_mib: float | None
    """Peak memory of the GPU that needed most, MiB; None on a CPU."""
    total_parameters: int
    """Parameters of the base model; 0 for a server."""
    trainable_parameters: int
    """Parameters that were trained; 0 for a prompt trial."""
    artifact_bytes: int
    """Size of the trained weights that were kept, bytes; 0 where none were."""
    measure_seconds: float = 0.0
    """Wall time of judges, which none of the times above holds."""
    measure_tokens: int = 0
    """Tokens that judges read and wrote, marks that were known not counted."""
    measure_money: float = 0.0
    """What servers of judges charged, in the study's currency."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that the trial left."""

    path: str
    """Path within the trial's folder."""
    sha256: str
    """SHA-256 of its content, hex."""
    bytes: int
    """Its size in bytes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which of the weights of a training were kept, and what the others are known to be worth."""

    step: int
    """Step after which the weights were as they were kept, from 1."""
    steps: int
    """Steps of the whole training."""
    epoch: float
    """Passes over the training split at ``step``."""
    validation_loss: float | None
    """Mean cross-entropy of the validation answers at ``step``, nats a token, lower is better; None
    where it was not a number."""
    last_validation_loss: float | None
    """The same after the last step."""
    last_score: float | None = None
    """Primary metric on validation with the weights of the last step; None where these are the ones
    that were kept, and in trials that are no finalists."""
    validation_score: float | None = None
    """Primary metric of replies to the rows of that loss at ``step``; None where checks do not
    score."""
    last_validation_score: float | None = None
    """The same after the last step."""

    @property
    def is_last(self) -> bool:
        """Whether the weights of the last step were kept."""
        return self.step == self.steps


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """What a trial found."""

    spec: TrialSpec
    """What was asked; of a search trial that tried several ways of answering, with the one that was
    kept."""
    status: Status
    """How the trial ended."""
    started_at: str
    """When it began, ISO 8601, UTC."""
    ended_at: str
    """When it ended, ISO 8601, UTC."""
    failure_kind: str = ""
    """What made it fail, a word such as ``out_of_memory``; empty unless status is ``failed``."""
    failure_message: str = ""
    """What happened; empty unless status is ``failed``."""
    steps: tuple[StepReport, ...] = ()
    """Its optimiser steps, in order; empty where nothing was trained."""
    scores: tuple[ScoreRecord, ...] = ()
    """What it scored; empty unless status is ``complete``."""
    canaries: Canaries | None = None
    """Its correctness checks; None where none ran."""
    cost: TrialCost | None = None
    """What it took, as far as it came; None where its process ended without saying."""
    artifacts: tuple[Artifact, ...] = ()
    """Files that it left in its folder."""
    environment: dict[str, str] = field(default_factory=dict)
    """Library -> version, the machine, and notes of the process that ran it."""
    stopped: Stopped | None = None
    """Where a ``pruned`` trial ended, which has no score; None for any other."""
    replies: tuple[Reply, ...] = ()
    """What it was answered, request by request; also of scores that it did not come to."""
    checkpoint: Checkpoint | None = None
    """Which of the weights of its training were kept; None where nothing was trained, or no
    validation loss was measured."""
    writing: Writing | None = None
    """What came of writing an instruction; None of any trial that wrote none."""


__all__ = [
    "Artifact",
    "Canaries",
    "Checkpoint",
    "ItemOutput",
    "ItemScore",
    "Progress",
    "Reply",
    "ScoreRecord",
    "StepReport",
    "Stopped",
    "TrialCost",
    "TrialRecord",
    "WayScore",
]
