"""What a trial is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.records.asked import Endpoint, ResolvedModel, Seat
from harness.records.command import CommandCall
from harness.records.plain import JsonValue
from harness.records.writing import WritingTask

Phase = Literal[
    "search", "finalist", "baseline", "default", "curve", "latency", "writing", "bootstrap"
]
# The trials of one search share one seed, which is none of the finalists': finalists are fresh
# draws. An arm's next search has the next one.
SEARCH_SEED = 1_000_003
MOST_SEARCHES = 1000
Status = Literal["complete", "failed", "pruned"]
Place = tuple[str, Phase, int, str]
"""Arm, phase, number within them, and id of a trial that a study names."""
SuiteKind = Literal["domain", "general", "out_of_domain", "memorisation", "divergence", "latency"]
# Folder of all trials among the results, and of the trained weights within a trial's own.
TRIALS = "trials"
ARTIFACT = "artifact"
# Folder, there too, of what a training goes on from; it is gone once the trial has a record.
CHECKPOINT = "checkpoint"
# In that, what a training command of the user's goes on from, which nothing else writes to.
COMMAND_STATE = f"{CHECKPOINT}/command/state"
# File, there too, of what a writing was answered so far; it is gone once the trial has a record.
WRITING_JOURNAL = "writing.jsonl"


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One set of items to score one candidate on, or to time its single requests on."""

    key: str
    """Content address of the score: everything that can change the answer, hashed."""
    task: str
    """Name of the lm-eval task, unique within suite and split of the trial. For ``memorisation`` it
    is ``memorisation``, and with the arm's name behind it where that has texts of its own; for
    ``divergence`` the text task of the general suite, or ``task_inputs``."""
    suite: SuiteKind
    """Suite that the task belongs to."""
    split: str
    """Split of the items: ``train``, ``validation``, ``test`` for the domain; ``train`` and
    ``validation`` for memorisation; ``validation`` for ``task_inputs``; ``test`` elsewhere."""
    items_path: str = ""
    """Parquet of the examples (domain, out of domain, memorisation, latency, ``task_inputs``);
    empty elsewhere."""
    suite_path: str = ""
    """YAML of the suite (general, divergence on its texts); empty elsewhere."""
    limit: int | None = None
    """Number of items that are asked at most, the first ones of those not skipped; None for all."""
    wave: int | None = None
    """Number of items asked at a time, in a fixed random order, so that scoring can stop between;
    None asks all at once."""
    answering: str = ""
    """The way of answering, where a trial tries several; empty for the trial's own."""
    skip: int = 0
    """Number of items left out, the first ones, but never more than half of them."""
    asked: str = ""
    """The part of the key that is neither items nor metrics: who is asked, and how. A reply to the
    same request under the same hash is the same."""
    half: bool = False
    """No more than half of the items are asked, whatever the limit: the other half is left to judge
    by."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where and how a trial computes."""

    device: str
    """Torch device string."""
    dtype: str
    """Compute type of the weights, e.g. ``bfloat16``."""
    score_batch_size: int
    """Number of requests in a forward pass of scoring, the same for every arm."""
    threads: int = 0
    """Number of CPU threads; 0 leaves torch's choice."""
    memory_share: float = 1.0
    """Share of the memory free at the beginning of training that a trial may fill, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TrialCurve:
    """How an earlier trial of the same search went, as far as a pruner looks at it."""

    number: int
    """Number of the trial within its search, from 0."""
    status: Status
    """How the trial ended."""
    score: float | None
    """Primary metric on validation, signed so that higher is better; None where the trial has
    none."""
    values: tuple[tuple[int, float], ...]
    """(step, value) in order, higher is better. For a fine-tuning trial the step counts the checks
    of validation loss, from 1, and the value is the negative loss; for a prompt trial the step is
    the item's place in the validation file and the value its primary metric, signed likewise."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a search trial is compared with while it runs, so that a hopeless one stops early.

    It is fixed before the trial begins, which keeps the trial a function of its specification.
    """

    pruner: Literal["median", "halving", "wilcoxon"]
    """The rule: ``median`` or ``halving`` (fine-tuning), or ``wilcoxon`` (prompts)."""
    past: tuple[TrialCurve, ...]
    """Earlier trials by number; of a prompt arm the best one only."""
    level: float = 0.05
    """Significance level of ``wilcoxon``, 0 to 1."""
    least_items: int = 24
    """Items that ``wilcoxon`` needs before it may stop a trial."""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """Everything a trial needs: a trial is a pure function of this value."""

    trial_id: str
    """Id of the trial: the hash of ``identity``."""
    experiment_id: str
    """Id in the store of the experiment that asks for it; the trial is not its own."""
    arm: str
    """Name of the arm there; ``base`` is the untouched base."""
    kind: str
    """Kind of the arm, as in the experiment file."""
    phase: Phase
    """What the trial is run for there."""
    number: int
    """Number within arm and phase there, from 0; 0 of a search is the default setting."""
    seed: int
    """Seed of data order, initialisation and drawn shots."""
    params: dict[str, JsonValue]
    """Every hyperparameter of the arm, resolved; names as in the experiment file. Of a search trial
    that tries several ways of answering, ``answering`` lists them, until it has run."""
    model: ResolvedModel
    """The base model."""
    task: dict[str, JsonValue]
    """The task section of the experiment, as plain data."""
    train_path: str
    """Parquet of training examples: training set and few-shot pool."""
    scores: tuple[ScoreRequest, ...]
    """What is scored."""
    runtime: Runtime
    """Where and how the trial computes."""
    validation_path: str = ""
    """Parquet of validation examples, for the validation loss; empty where none is measured."""
    keep_artifact: bool = False
    """The trained weights are kept in the trial's folder."""
    known_scores: tuple[str, ...] = ()
    """Keys of ``scores`` that the store holds already; they are not scored again."""
    train_items: int | None = None
    """Number of examples of the training split, the first ones, that are trained on and are the
    few-shot pool; None for all. Sets of a smaller number nest in larger ones."""
    endpoint: Endpoint | None = None
    """The server that is asked, in which case ``model`` only names it; None where the model is in
    memory."""
    replay_path: str = ""
    """Parquet of general texts; empty where the setting uses none."""
    checks_per_epoch: int = 1
    """How often an epoch measures validation loss."""
    pruning: Pruning | None = None
    """What may stop the trial early; None where nothing may."""
    date: str | None = None
    """Day that a chat template which writes the date is told, as YYYY-MM-DD: the study's, not the
    trial's. None where none is told."""
    template_args: dict[str, JsonValue] = field(default_factory=dict)
    """What the model's chat template is told beside the messages; empty: nothing."""
    trained_path: str = ""
    """Folder with the weights that were trained already, by this trial or another, which this one
    takes in place of training; empty where it trains, or where the arm trains nothing."""
    training_path: str = ""
    """File of a :class:`~harness.records.KnownTraining`, that of the weights at ``trained_path``,
    where the trial has not ended before and so has none of its own; empty elsewhere."""
    identity: dict[str, JsonValue] = field(default_factory=dict)
    """All that can change what the trial computes, by name."""
    weights_id: str = ""
    """Hash of the part of ``identity`` that training reads; empty where nothing is trained."""
    replies_path: str = ""
    """File of replies that are known, which are not asked for again; empty where none is."""
    adds: bool = False
    """The trial has ended well before; only the scores that are missing are computed."""
    judges: tuple[Seat, ...] = ()
    """The judges whose marks are metrics of the task."""
    writing: WritingTask | None = None
    """What a trial that writes an instruction is asked to do; None of any other."""
    start_path: str = ""
    """Folder of the adapter that training goes on from; empty where it begins anew."""
    command: CommandCall | None = None
    """The user's own program that trains it; None where none does."""

    @property
    def seats(self) -> tuple[Seat, ...]:
        """All models that it asks beside its own: judges, and one that writes."""
        writer = self.writing and self.writing.reflector
        return (*self.judges, writer) if writer else self.judges

    @property
    def place(self) -> Place:
        """Where it stands in the study that asks for it."""
        return place_of(self.arm, self.phase, self.number, self.trial_id)

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways of answering that the trial tries; none where its setting says which."""
        return ways_of(self.params)

    @property
    def answering(self) -> str:
        """The way of answering; the first of those that the trial tries."""
        return (self.ways or (str(self.params["answering"]),))[0]

    def settled(self, answering: str) -> TrialSpec:
        """The trial with one way of answering, asked for the scores of no other."""
        scores = tuple(score for score in self.scores if score.answering in ("", answering))
        return replace(self, params={**self.params, "answering": answering}, scores=scores)


def place_of(arm: str, phase: Phase, number: int, trial_id: str) -> Place:
    """Where a trial stands in a study: in a search each proposal has a place of its own; elsewhere
    a seed may stand anywhere in its list."""
    return arm, phase, number if phase == "search" else 0, trial_id


def ways_of(params: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The ways of answering that a setting leaves open; none where it has one."""
    answering = params.get("answering")
    return () if isinstance(answering, str | None) else tuple(answering)


__all__ = [
    "ARTIFACT",
    "CHECKPOINT",
    "COMMAND_STATE",
    "MOST_SEARCHES",
    "SEARCH_SEED",
    "TRIALS",
    "WRITING_JOURNAL",
    "Phase",
    "Place",
    "Pruning",
    "Runtime",
    "ScoreRequest",
    "Status",
    "SuiteKind",
    "TrialCurve",
    "TrialSpec",
    "place_of",
    "ways_of",
]
