"""What the store hands to the read half: an experiment, its trials and their scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.records.asked import ResolvedModel
from harness.records.data import DataRecord
from harness.records.plain import JsonValue
from harness.records.trial import (
    MOST_SEARCHES,
    SEARCH_SEED,
    Phase,
    Place,
    Status,
    SuiteKind,
    place_of,
)
from harness.records.trial_record import (
    Artifact,
    Canaries,
    Checkpoint,
    StepReport,
    Stopped,
    TrialCost,
    WayScore,
)
from harness.records.writing import Writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JUDGING_FIELDS = ("contrast", "cost", "constraints", "question", "judges")
"""Fields of the experiment file that judge what was run and change nothing of it. What changes a
judge's marks is in the metric that they are."""


@dataclass(frozen=True, slots=True)
class GeneralTask:
    """How one task of the general suite is read."""

    metric: str
    """The task's main metric."""
    accuracy: bool
    """The metric is a share of right answers, 0 to 1, so that the forgetting margin applies and
    flips can be counted (bits per byte is not)."""
    higher_is_better: bool
    """Direction of the metric."""
    chance: float | None
    """Score of guessing; None where there is none."""


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """The experiment as declared."""

    experiment_id: str
    """Id of the experiment in the store."""
    name: str
    """Name of the experiment, as in its file."""
    created_at: str
    """When it was declared, ISO 8601, UTC."""
    spec: dict[str, JsonValue]
    """The resolved experiment file as plain data: what ``Experiment.plain`` gives."""
    splits: dict[str, int]
    """Split name -> number of examples."""
    data: DataRecord
    """What it is run on, and what the leakage audit found there."""
    model: ResolvedModel
    """The base model."""
    environment: dict[str, str]
    """Library -> version, and device, compute type and threads of the machine that declared it."""
    general_tasks: dict[str, GeneralTask] = field(default_factory=dict)
    """Task of the general suite -> how it is read; empty without a suite."""

    @property
    def folder(self) -> str:
        """Name of the study's folder among the results."""
        return study_folder(self.name, self.experiment_id)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One metric of one candidate over one task.

    Tokens and seconds are NaN where they are not known.
    """

    suite: SuiteKind
    """Suite that the task belongs to."""
    task: str
    """Name of the lm-eval task."""
    split: str
    """Split that was scored."""
    form: str
    """What was scored, as in :class:`~harness.records.ScoreRecord`."""
    metric: str
    """Name of the metric."""
    value: float
    """Value over all items, in the metric's unit."""
    items: int
    """Number of items that were asked."""
    prompt_tokens: float
    """Mean prompt tokens of an item."""
    completion_tokens: float
    """Mean tokens of a reply."""
    seconds: float
    """Wall time of scoring the whole task."""
    reused: bool
    """Another trial computed the score."""
    higher_is_better: bool
    """Direction of the metric."""
    chance: float | None
    """Score of guessing; None where there is none."""
    moved: float | None = None
    """How far an instruction within replies moved a judge's mark, in marks; None where that was not
    tried."""
    latencies: tuple[float, ...] = ()
    """Seconds of each request, sent one at a time; empty but for the suite ``latency``."""
    low: float | None = None
    """Lower end of the 95 % interval of a metric of all items together that the user brings; None
    elsewhere."""
    high: float | None = None
    """Its upper end."""
    unscored: int = 0
    """Number of replies that the metric could not score; ``value`` is of the others."""
    worst: float | None = None
    """The worst value of a reply that it scored; None where it scored all, or none."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """What judges took."""

    seconds: float = 0.0
    """Wall time."""
    tokens: float = 0.0
    """Tokens read and written."""
    money: float = 0.0
    """What servers charged, in the study's currency."""

    def __add__(self, other: Measuring) -> Measuring:
        """Both."""
        return Measuring(
            self.seconds + other.seconds, self.tokens + other.tokens, self.money + other.money
        )


@dataclass(frozen=True, slots=True)
class TrialSummary:
    """A trial without its items: settings, outcome, cost, and one aggregate per task and metric."""

    trial_id: str
    """Id of the trial."""
    arm: str
    """Name of the arm; ``base`` is the untouched base."""
    kind: str
    """Kind of the arm, as in the experiment file."""
    phase: Phase
    """What the trial was run for."""
    number: int
    """Number within arm and phase, from 0; 0 of a search is the default setting."""
    seed: int
    """Seed of data order, initialisation and drawn shots."""
    status: Status
    """How the trial ended."""
    params: dict[str, JsonValue]
    """Every hyperparameter, resolved."""
    started_at: str
    """When it began, ISO 8601, UTC."""
    ended_at: str
    """When it ended, ISO 8601, UTC."""
    failure_kind: str
    """What made it fail, a word such as ``out_of_memory``; empty unless it failed."""
    failure_message: str
    """What happened; empty unless it failed."""
    canaries: Canaries | None
    """Its correctness checks; None where none ran."""
    cost: TrialCost | None
    """What it took; None where it was not noted."""
    aggregates: tuple[Aggregate, ...]
    """One value a task and metric."""
    steps: tuple[StepReport, ...]
    """Its optimiser steps, in order; empty where nothing was trained."""
    train_items: int | None = None
    """Number of training examples that it was limited to; None where it had them all."""
    stopped: Stopped | None = None
    """Where a pruned trial ended; None for any other."""
    training_memory: str = ""
    """How training went into memory, a sentence; empty where nothing was trained."""
    train_examples: int | None = None
    """Number of examples trained on, those that are too long not counted; None where nothing was
    trained."""
    cut: tuple[str, ...] = ()
    """A sentence for each task whose prompts the model could not read whole, or whose replies ended
    before their answer, and on a chat template that brought weights have of their own."""
    unscored: tuple[str, ...] = ()
    """A sentence for each metric of the user's that could not score some replies, and why, with
    task and split."""
    artifacts: tuple[Artifact, ...] = ()
    """Files that it left in its folder, ``trials/TRIAL_ID`` among the results."""
    checkpoint: Checkpoint | None = None
    """Which of the weights of its training were kept; None where nothing was trained, or no
    validation loss was measured."""
    ways: tuple[WayScore, ...] = ()
    """What each way of answering scored, where it tried several; ``params`` has the best one."""
    added_seconds: float = 0.0
    """Wall time of what was done of it after it had ended: more was scored, for whichever study."""
    measuring: Measuring = Measuring()
    """What judges took for it, then and later."""
    writing: Writing | None = None
    """What came of writing an instruction; None of any trial that wrote none."""

    @property
    def place(self) -> Place:
        """Where it stands in its study."""
        return place_of(self.arm, self.phase, self.number, self.trial_id)

    @property
    def tokens_of_other_ways(self) -> int:
        """Prompts and answers of the ways of answering that were tried and not kept."""
        kept = self.params.get("answering")
        return sum(way.tokens for way in self.ways if way.answering != kept)

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """What a pruner looks at; see :class:`~harness.records.TrialCurve`.

        Item by item it is known of stopped prompt trials only.
        """
        if self.stopped is not None:
            return self.stopped.values
        losses = [step.validation_loss for step in self.steps if step.validation_loss is not None]
        return tuple((check, -loss) for check, loss in enumerate(losses, 1))

    @property
    def search_repeat(self) -> int:
        """Which of its arm's searches a search trial belongs to, from 0."""
        repeat = self.seed - SEARCH_SEED
        # An arm whose one setting is trained once is searched with a finalist's seed.
        return repeat if 0 <= repeat < MOST_SEARCHES else 0


@dataclass(frozen=True, slots=True)
class ScoreVector:
    """One metric of one candidate on one task, item by item."""

    trial_id: str
    """Id of the trial."""
    arm: str
    """Name of the arm."""
    kind: str
    """Kind of the arm, as in the experiment file."""
    phase: Phase
    """What the trial was run for."""
    seed: int
    """Seed of the trial."""
    suite: SuiteKind
    """Suite that the task belongs to."""
    task: str
    """Name of the lm-eval task."""
    split: str
    """Split that was scored."""
    metric: str
    """Name of the metric; of a filter after the first, ``metric (filter)``."""
    higher_is_better: bool
    """Direction of the metric."""
    chance: float | None
    """Score of guessing; None where there is none."""
    doc_hashes: tuple[str, ...]
    """The hash of each item that lm-eval gives, the key by which arms are paired, shape (n,)."""
    clusters: tuple[str, ...]
    """The cluster of each item, shape (n,); items of one cluster are resampled together."""
    values: NDArray[np.float64]
    """The metric of each item, float64, shape (n,); NaN where unscored."""
    item_ids: tuple[str, ...] = ()
    """Ids in the data set or suite, shape (n,); empty where they are not known."""
    label: str = ""
    """The metric as a reader sees it, where the study brings it; empty for the product's own."""
    within_unit: bool = True
    """Whether no value can be below 0 or above 1, as far as is declared."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item of one finalist on the primary test, for the report's examples."""

    arm: str
    """Name of the arm."""
    seed: int
    """Seed of the final run."""
    doc_hash: str
    """The hash of the item that lm-eval gives."""
    item_id: str
    """Id in the data set."""
    target: str
    """The right answer."""
    output: str
    """The reply, before any filter."""
    value: float | None
    """Primary metric of the item; None where it could not be scored."""
    text: str = ""
    """The item as the task's template renders it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the experiment: ``declared``, ``test_access``, ``resumed``..."""

    at: str
    """When it was recorded, ISO 8601, UTC."""
    kind: str
    """What happened, in a word."""
    who: str
    """User, machine and process that caused it, as ``ada@laptop:1234``."""
    detail: dict[str, JsonValue]
    """What else is known of it."""


@dataclass(frozen=True, slots=True)
class Study:
    """All that a report is made from: one experiment, read from the store."""

    experiment: ExperimentRecord
    """The experiment as declared."""
    trials: tuple[TrialSummary, ...]
    """Every trial, by arm, phase, number and seed."""
    vectors: tuple[ScoreVector, ...]
    """Every complete trial but those of the search, all suites, all per-item metrics; of the search
    trials the general suite only."""
    items: tuple[ItemRow, ...]
    """Every item of the primary test of every complete finalist."""
    events: tuple[Event, ...]
    """What happened to the experiment, in order."""


def study_folder(name: str, experiment_id: str) -> str:
    """Name of a study's folder among the results."""
    return f"{name}-{experiment_id[:8]}"


__all__ = [
    "JUDGING_FIELDS",
    "Aggregate",
    "Event",
    "ExperimentRecord",
    "GeneralTask",
    "ItemRow",
    "Measuring",
    "ScoreVector",
    "Study",
    "TrialSummary",
    "study_folder",
]
