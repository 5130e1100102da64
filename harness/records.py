"""Frozen values that cross from one room to another.

The write half exchanges :class:`TrialSpec` and :class:`TrialRecord`; the read half gets a
:class:`Study`, whose numbers are in :class:`ScoreVector`. All are plain data: they serialise
to JSON (:func:`to_json`, :func:`from_json`) and hold no handle, tensor or connection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

Phase = Literal["search", "finalist", "baseline", "default", "curve"]
Status = Literal["complete", "failed", "pruned"]
SuiteKind = Literal["domain", "general", "out_of_domain", "memorisation", "divergence"]
JsonValue = Any
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the user's task.

    id: unique within the data set.
    inputs: template field -> text.
    answer: the canonical text that a right reply has (for JSON: compact, keys in schema order).
    group: cluster key; examples of one group share a split and are resampled together.
    line: line of the source file, from 1; for the error messages.
    """

    id: str
    inputs: dict[str, str]
    answer: str
    group: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Splits:
    """The audited partition. The search is only ever handed ``train`` and ``validation``."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    out_of_domain: dict[str, tuple[Example, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One set of items to score one candidate on.

    key: content address of the score: everything that can change the answer, hashed.
    task: lm-eval task name, unique within suite and split of the trial. For ``memorisation`` it
        is ``memorisation``; for ``divergence`` the text task of the general suite.
    split: ``train``, ``validation``, ``test`` for the domain; ``train`` and ``validation`` for
        memorisation; ``test`` elsewhere.
    items_path: Parquet of examples (domain, out of domain, memorisation); else empty.
    suite_path: YAML of the suite (general, divergence); empty otherwise.
    limit: at most this many items, the first ones; None for all.
    wave: items asked at a time, in a fixed random order, so that scoring can stop between; None
        asks all at once.
    """

    key: str
    task: str
    suite: SuiteKind
    split: str
    items_path: str = ""
    suite_path: str = ""
    limit: int | None = None
    wave: int | None = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model reference after resolution.

    reference: as the user wrote it. path: local folder, or hub id when a hub serves it.
    fingerprint: SHA-256 over the weight files and tokenizer, or hub id and commit.
    """

    reference: str
    path: str
    fingerprint: str
    revision: str = ""
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where and how a trial computes.

    device: torch device string. dtype: compute type of the weights, e.g. ``bfloat16``.
    score_batch_size: requests per forward pass when scoring, the same for every arm.
    threads: CPU threads; 0 leaves torch's choice.
    memory_share: part of the memory that is free when training begins which a trial may fill.
    """

    device: str
    dtype: str
    score_batch_size: int
    threads: int = 0
    memory_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Course:
    """How an earlier trial of the same search went, as far as a pruner looks at it.

    score: primary metric on validation; None where the trial has none.
    values: (step, value) in order, higher is better. For a fine-tuning trial the step counts the
        checks of validation loss, from 1, and the value is the negative loss; for a prompt trial
        the step is the item's place in the validation file and the value its primary metric.
    """

    number: int
    status: Status
    score: float | None
    values: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a search trial is compared with while it runs, so that a hopeless one stops early.

    It is fixed before the trial begins, which keeps the trial a function of its specification.

    pruner: ``median``, ``halving`` (fine-tuning) or ``wilcoxon`` (prompts).
    past: earlier trials by number; of a prompt arm the best one only.
    level, least_items: significance and warm-up of ``wilcoxon``.
    """

    pruner: Literal["median", "halving", "wilcoxon"]
    past: tuple[Course, ...]
    level: float = 0.05
    least_items: int = 24


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where a pruned trial was stopped.

    unit: ``items`` of the validation set, or ``steps`` of training. done of total were spent.
    value, against: what the trial had reached, and the trial (or median) that it was held
        against, on the same items or at the same step; higher is better (negative loss in nats).
    values: (step, value) so far, as in :class:`Course`. tokens: prompt and completion tokens of
        the items asked; 0 for training, whose tokens the steps count.
    """

    unit: Literal["items", "steps"]
    done: int
    total: int
    value: float
    against: float
    values: tuple[tuple[int, float], ...]
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server to ask in place of a model in memory; fields as in the experiment file.

    currency: of the prices and the cap. ledger: file in which every request's cost is noted, over
    all trials of the study.
    """

    url: str
    model: str
    key_variable: str | None
    concurrency: int
    requests_per_minute: float | None
    timeout_seconds: float
    retries: int
    prompt_price: float
    completion_price: float
    spending_cap: float | None
    currency: str
    ledger: str


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """Everything a trial needs: a trial is a pure function of this value.

    params: every hyperparameter of the arm, resolved; names as in the experiment file.
    task: the task section of the experiment, as plain data.
    train_path: Parquet of training examples: training set and few-shot pool.
    number: trial number within the arm and phase, from 0; 0 of a search is the default setting.
    keep_artifact: whether the trained weights are kept in the trial's folder.
    known_scores: keys of ``scores`` that the store holds already; they are not scored again.
    train_items: only this many examples of the training split, the first ones, are trained on
        (and are the few-shot pool); None for all. Sets of a smaller number nest in larger ones.
    endpoint: the server that is asked; ``model`` then only names it.
    replay_path: Parquet of general texts; empty where the setting uses none.
    checks_per_epoch: how often an epoch measures validation loss.
    pruning: what may stop the trial early; None: nothing.
    date: which day a chat template that writes the date is told, as YYYY-MM-DD: the study's, not
        the trial's.
    """

    trial_id: str
    experiment_id: str
    arm: str
    kind: str
    phase: Phase
    number: int
    seed: int
    params: dict[str, JsonValue]
    model: ResolvedModel
    task: dict[str, JsonValue]
    train_path: str
    scores: tuple[ScoreRequest, ...]
    runtime: Runtime
    validation_path: str = ""
    keep_artifact: bool = False
    known_scores: tuple[str, ...] = ()
    train_items: int | None = None
    endpoint: Endpoint | None = None
    replay_path: str = ""
    checks_per_epoch: int = 1
    pruning: Pruning | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running trial is: ``done`` of ``total`` units of ``stage``.

    stage: ``load``, ``train`` (units are steps) or ``score`` (units are requests of ``task``).
    """

    trial_id: str
    arm: str
    stage: Literal["load", "train", "score"]
    done: int
    total: int
    task: str = ""
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step.

    loss: mean cross-entropy per answer token, nats, lower is better.
    tokens: real (unpadded) tokens seen so far. seconds: since training began.
    validation_loss: the same loss on validation answers, where it was measured.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    seconds: float
    validation_loss: float | None = None


@dataclass(frozen=True, slots=True)
class ItemOutput:
    """What one candidate replied to one item.

    doc_hash: lm-eval's hash of the item, the key by which arms are paired.
    prompt_tokens: tokens a server would be sent for this item, shots and template included.
    text: the item as the task's template renders it; empty for general tasks.
    filtered: what the task's filter took the reply for; None where that is the reply itself.
    """

    doc_hash: str
    item_id: str
    cluster: str
    target: str
    output: str
    prompt_tokens: int
    completion_tokens: int
    text: str = ""
    filtered: str | None = None


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One metric of one item. value is None where the item could not be scored."""

    doc_hash: str
    filter: str
    metric: str
    value: float | None


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """One candidate scored on one task.

    form: what was scored: ``base``, ``base-nf4``, ``adapter-on-bfloat16``, ``adapter-on-nf4``
        (or ``-fp4``), ``full``, ``endpoint``.
    aggregates: metric -> value over all items (corpus metrics have no per-item value).
    higher_is_better: metric -> direction. chance: score of guessing, where the task states it.
    latencies: seconds per request when sent one at a time, on a few items; empty if not measured.
    """

    key: str
    task: str
    suite: SuiteKind
    split: str
    form: str
    seconds: float
    outputs: tuple[ItemOutput, ...]
    item_scores: tuple[ItemScore, ...]
    aggregates: dict[str, float]
    higher_is_better: dict[str, bool]
    chance: float | None = None
    latencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Canaries:
    """Correctness checks of one trial. None: does not apply to this kind of arm.

    before_max_difference: largest |logit difference| between candidate and base before step 0
        (must be 0).
    after_max_difference: the same after training (must be above 0).
    prompt_tokens_equal: training and scoring tokenise the prompts alike.
    """

    before_max_difference: float | None
    after_max_difference: float | None
    prompt_tokens_equal: bool


@dataclass(frozen=True, slots=True)
class TrialCost:
    """What a trial took. Seconds of wall time; memory in MiB; tokens unpadded."""

    load_seconds: float
    train_seconds: float
    score_seconds: float
    train_tokens: int
    peak_memory_mib: float
    peak_device_mib: float | None
    total_parameters: int
    trainable_parameters: int
    artifact_bytes: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file the trial left, relative to its folder."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """What a trial found.

    failure_kind, failure_message: empty unless status is ``failed``. stopped: where a ``pruned``
    trial ended; it has no score.
    """

    spec: TrialSpec
    status: Status
    started_at: str
    ended_at: str
    failure_kind: str = ""
    failure_message: str = ""
    steps: tuple[StepReport, ...] = ()
    scores: tuple[ScoreRecord, ...] = ()
    canaries: Canaries | None = None
    cost: TrialCost | None = None
    artifacts: tuple[Artifact, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    stopped: Stopped | None = None


# --------------------------------------------------------------------------- the read half


@dataclass(frozen=True, slots=True)
class GeneralTask:
    """How one task of the general suite is read.

    metric: its main metric. accuracy: the metric is a share of right answers, 0 to 1, so that
    the forgetting margin applies and flips can be counted (bits per byte is not).
    chance: score of guessing; None where there is none.
    """

    metric: str
    accuracy: bool
    higher_is_better: bool
    chance: float | None


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """The experiment as declared. spec: the resolved experiment file as plain data.

    splits: split name -> number of examples. data: fingerprint and audit summary.
    general_tasks: task of the general suite -> how it is read; empty without a suite.
    """

    experiment_id: str
    name: str
    created_at: str
    spec: dict[str, JsonValue]
    splits: dict[str, int]
    data: dict[str, JsonValue]
    model: ResolvedModel
    environment: dict[str, str]
    general_tasks: dict[str, GeneralTask] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of the study's folder among the results."""
        return study_folder(self.name, self.experiment_id)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One metric of one candidate over one task; tokens are means per item."""

    suite: SuiteKind
    task: str
    split: str
    form: str
    metric: str
    value: float
    items: int
    prompt_tokens: float
    completion_tokens: float
    seconds: float
    reused: bool
    higher_is_better: bool
    chance: float | None
    latencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialSummary:
    """A trial without its items: settings, outcome, cost, and one aggregate per task and metric.

    train_items: training examples it was limited to; None where it had them all.
    stopped: where a pruned trial ended.
    training_memory: how training went into memory, a sentence; empty where nothing was trained.
    train_examples: examples that were trained on, those that are too long not counted; None where
        nothing was trained.
    cut: a sentence for each task whose prompts the model could not read whole, or whose replies
        ended before their answer.
    artifacts: files that it left in its folder, ``trials/TRIAL_ID`` in the study's.
    """

    trial_id: str
    arm: str
    kind: str
    phase: Phase
    number: int
    seed: int
    status: Status
    params: dict[str, JsonValue]
    started_at: str
    ended_at: str
    failure_kind: str
    failure_message: str
    canaries: Canaries | None
    cost: TrialCost | None
    aggregates: tuple[Aggregate, ...]
    steps: tuple[StepReport, ...]
    train_items: int | None = None
    stopped: Stopped | None = None
    training_memory: str = ""
    train_examples: int | None = None
    cut: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreVector:
    """One metric of one candidate on one task, item by item.

    doc_hashes, clusters, item_ids: shape (n,). values: float64, shape (n,); NaN where unscored.
    item_ids: ids in the data set or suite; empty where they are not known.
    """

    trial_id: str
    arm: str
    kind: str
    phase: Phase
    seed: int
    suite: SuiteKind
    task: str
    split: str
    metric: str
    higher_is_better: bool
    chance: float | None
    doc_hashes: tuple[str, ...]
    clusters: tuple[str, ...]
    values: NDArray[np.float64]
    item_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item of one finalist on the primary test, for the report's examples."""

    arm: str
    seed: int
    doc_hash: str
    item_id: str
    target: str
    output: str
    value: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the experiment: ``declared``, ``test_access``, ``resumed``..."""

    at: str
    kind: str
    who: str
    detail: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Study:
    """All that a report is made from: one experiment, read from the store.

    vectors: every complete trial but those of the search, all suites, all per-item metrics; of
    the search trials the general suite only.
    """

    experiment: ExperimentRecord
    trials: tuple[TrialSummary, ...]
    vectors: tuple[ScoreVector, ...]
    items: tuple[ItemRow, ...]
    events: tuple[Event, ...]


# --------------------------------------------------------------------------- serialisation


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # Imported late: most questions to the store need no record.
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> str:
    """Serialise a record to JSON text; :func:`from_json` is its inverse."""
    return _adapter(type(value)).dump_json(value).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read a record of ``kind`` back. Raises ``pydantic.ValidationError`` if it is not one."""
    return cast("T", _adapter(kind).validate_json(text))


def to_plain(value: object) -> dict[str, JsonValue]:
    """The record as nested dictionaries and lists, as in its JSON."""
    return cast("dict[str, JsonValue]", json.loads(to_json(value)))


def flattened(value: JsonValue, prefix: str = "") -> dict[str, JsonValue]:
    """Leaves of nested dictionaries by dotted key; lists and empty dictionaries are leaves."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    leaves: dict[str, JsonValue] = {}
    for name, inner in value.items():
        leaves.update(flattened(inner, f"{prefix}.{name}" if prefix else str(name)))
    return leaves


def utc_now() -> str:
    """The time as ISO 8601 text, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def content_hash(value: Mapping[str, JsonValue] | list[JsonValue] | str, length: int = 64) -> str:
    """SHA-256 of the canonical JSON of plain data, as hex, cut to ``length`` characters."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def study_folder(name: str, experiment_id: str) -> str:
    """Name of a study's folder among the results."""
    return f"{name}-{experiment_id[:8]}"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex; the file need not fit into memory.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
