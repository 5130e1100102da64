"""The model under trial, and what a trial has found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.data import read_examples_file
from harness.errors import CanaryError, TrialError, UnknownReferenceError
from harness.prompting import PromptRenderer, ShotSelector
from harness.prompting.render import fill
from harness.records import (
    Artifact,
    Canaries,
    Checkpoint,
    Example,
    JsonValue,
    Reply,
    ScoreRecord,
    ScoreRequest,
    StepReport,
    Stopped,
    TrialCost,
    TrialSpec,
    Writing,
)
from harness.spec import TaskSpec
from harness.spec.settings import PromptSettings, Settings, reasoning_of, settings_from

if TYPE_CHECKING:
    from harness.evaluation.divergence import BaseDistributions, Passage
    from harness.evaluation.local.constrained import Constraint
    from harness.models.base_cache import BaseCache
    from harness.models.load import LoadedModel

Announce = Callable[..., None]
Part = Literal["load", "train", "score"]
"""A part of a trial of which the time is noted."""
Marker = Callable[..., list[ScoreRecord]]
"""As :meth:`harness.trial.judging.Bench.marked`."""
# Training examples whose prompts are looked at in every trial.
CANARY_PROMPTS = 32


class Pruned(Exception):  # noqa: N818 - a way out, not a fault
    """The trial is not worth going on with."""

    def __init__(self, stopped: Stopped) -> None:
        self.stopped = stopped
        super().__init__(f"stopped after {stopped.done} of {stopped.total} {stopped.unit}")


@dataclass(slots=True)
class TrialRun:
    """What the trial has so far, which is kept when it fails midway."""

    steps: list[StepReport] = field(default_factory=list)
    """Reports of the optimiser steps."""
    scores: list[ScoreRecord] = field(default_factory=list)
    """What was scored."""
    replies: list[Reply] = field(default_factory=list)
    """What was answered, request by request."""
    artifacts: list[Artifact] = field(default_factory=list)
    """Files that it left in its folder."""
    canaries: Canaries | None = None
    """Its correctness checks; None until one ran."""
    stopped: Stopped | None = None
    """Where it was stopped early; None where it was not."""
    cost: TrialCost = field(default_factory=lambda: TrialCost(0, 0, 0, 0, 0, None, 0, 0, 0))
    """What it took so far."""
    environment: dict[str, str] = field(default_factory=dict)
    """Library -> version, the machine, and notes."""
    kept_mib: float = 0.0
    """Memory of what this process keeps for other trials, MiB."""
    beside_mib: float = 0.0
    """Peak memory of the processes that trained in its place, added up, MiB."""
    beside_device_mib: float | None = None
    """Peak memory of the GPU that needed most among them, MiB; None on a CPU."""
    marked: Marker = lambda scores, only=None: [record for record, _ in scores]
    """Adds the marks of judges to scores; as they are where there is no judge."""
    answering: str = ""
    """The best of the ways of answering, where several were tried; empty elsewhere."""
    checkpoint: Checkpoint | None = None
    """Which of the weights of the training are kept; None before it ended, and where nothing was
    trained or no validation loss measured."""
    writing: Writing | None = None
    """What came of writing an instruction; None until then, and of any other trial."""


@dataclass(slots=True)
class Candidate:
    """The model under trial and what its prompts are made of."""

    spec: TrialSpec
    """The trial."""
    settings: Settings
    """Those of the trial."""
    task: TaskSpec
    """The user's task."""
    split: Sequence[Example]
    """The whole training split, which says what valid answers are and how long."""
    pool: Sequence[Example]
    """The part of it that is trained on, and that shots come from."""
    loaded: LoadedModel
    """The model and its tokenizer."""
    renderer: PromptRenderer
    """What writes its prompts."""
    base: dict[str, BaseDistributions] = field(default_factory=dict)
    """Key of a score -> the base's language that a trained candidate's is compared with; empty
    where that is not asked for."""


@contextmanager
def base_candidate(spec: TrialSpec, bases: BaseCache) -> Iterator[Candidate]:
    """The trial's base, in the form that its arm uses."""
    with bases.lent(spec.model, spec.runtime, settings_from(spec.params)) as loaded:
        yield candidate_of(spec, loaded)


@contextmanager
def trained_candidate(spec: TrialSpec, bases: BaseCache) -> Iterator[Candidate]:
    """The weights that another trial trained, at ``trained_path``.

    Raises:
        TrialError: kind ``weights``: they are gone, are not those of this base, or are not those
            that were planned.
    """
    from harness.models.brought import fingerprint_of
    from harness.models.trained import trained_model

    folder = Path(spec.trained_path)
    if not folder.is_dir():
        raise TrialError("weights", f"the trained weights are gone: there is no folder {folder}")
    # What is not the study's own lies where others may write to it.
    planned = spec.identity.get("weights brought")
    if planned is not None and fingerprint_of(folder) != planned:
        raise TrialError(
            "weights",
            f"{folder} no longer holds what was planned: put that back, or plan the study again "
            "with what is there now",
        )
    settings = settings_from(spec.params)
    opened = trained_model(spec.model, spec.runtime, settings, folder, bases)
    with ExitStack() as stack:
        try:
            loaded = stack.enter_context(opened)
        except UnknownReferenceError as error:
            raise TrialError("weights", str(error)) from error
        yield candidate_of(spec, loaded)


def candidate_of(spec: TrialSpec, loaded: LoadedModel) -> Candidate:
    """The loaded model, asked as the trial asks."""
    settings = settings_from(spec.params)
    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    pool = split[: spec.train_items]
    renderer = make_renderer(spec, task, pool, loaded.tokenizer)
    return Candidate(spec, settings, task, split, pool, loaded, renderer)


def make_renderer(
    spec: TrialSpec, task: TaskSpec, pool: Sequence[Example], tokenizer: Any
) -> PromptRenderer:
    """What writes the trial's prompts, with shots out of ``pool``."""
    return renderer_of(
        settings_from(spec.params),
        spec.seed,
        task,
        pool,
        tokenizer,
        spec.date,
        spec.template_args,
    )


def renderer_of(
    settings: Settings,
    seed: int,
    task: TaskSpec,
    pool: Sequence[Example],
    tokenizer: Any,
    date: str | None = None,
    template_args: Mapping[str, JsonValue] | None = None,
) -> PromptRenderer:
    """What writes prompts under a setting, with shots drawn by ``seed``."""
    template = settings.template or task.template
    if isinstance(settings, PromptSettings) and settings.shows_reasoning:
        # Without any, examples show their answers alone, which the study says.
        pool = [item for item in pool if item.worked] or pool
    selector = ShotSelector(
        pool,
        settings.shots,
        settings.selection,
        lambda item: fill(template, item),
        np.random.default_rng([seed, 1]),
        settings.order,
        lambda item: task.answer.meaning(item.answer),
    )
    return PromptRenderer(
        tokenizer,
        task,
        selector.select,
        settings.instruction,
        template=template,
        chat=settings.chat,
        date=date,
        template_args=template_args,
        reasoning=reasoning_of(settings),
    )


def room_for(longest: int) -> int:
    """Tokens that a generated answer may have, after the longest training answer's."""
    # Half as long again, and room for a code fence or a preface.
    return longest + longest // 2 + 12


def answer_room(renderer: PromptRenderer, split: Sequence[Example]) -> int:
    """Tokens that a generated answer may have, where the task does not say."""
    answers = {item.answer for item in split}
    return room_for(max(len(renderer.encode_answer(answer)) for answer in answers))


def reply_constraint(
    renderer: PromptRenderer,
    tokenizer: Any,
    task: TaskSpec,
    split: Sequence[Example],
    answering: str,
) -> Constraint | None:
    """What replies to the user's task are kept to; None where they are free.

    Args:
        split: the whole training split, whose labels count where the task lists none.

    Raises:
        TrialError: the tokenizer or the schema cannot be followed.
    """
    from harness.evaluation.local.constrained import constraint_of

    if answering != "constrained":
        return None
    answers = task.answer.valid_answers(split)
    return constraint_of(renderer, tokenizer, answers, task.answer.reply_schema())


def reply_room(
    renderer: PromptRenderer,
    task: TaskSpec,
    split: Sequence[Example],
    answering: str,
    constraint: Constraint | None = None,
) -> int:
    """Tokens that must be free behind every prompt of the user's task.

    Args:
        split: the whole training split.
        constraint: what replies are kept to; None where they are free.
    """

    if answering == "choice":
        choices = task.answer.valid_answers(split) or ()
        return max(len(renderer.encode_answer(choice)) for choice in choices)
    room = (task.max_new_tokens or answer_room(renderer, split)) + renderer.reasoning_room
    # A reply that is kept to a closed list always has room to end.
    return room if constraint is None else max(room, constraint.longest or 0)


def check_rendering(candidate: Candidate) -> None:
    """See whether the prompts and training examples are what is meant, before anything is spent.

    Raises:
        CanaryError: they are not; says what is wrong.
    """
    from harness.prompting.rendering_check import rendering_faults, whole_turns

    looked_at = whole_turns(candidate.pool, CANARY_PROMPTS)
    faults = rendering_faults(candidate.renderer, candidate.loaded.tokenizer, looked_at)
    if faults:
        raise CanaryError("; ".join(faults))


def context_of(candidate: Candidate) -> int | None:
    """Tokens that the candidate can read; None where there is no limit."""
    from harness.models.context import context_length

    return context_length(candidate.loaded.model.config)


def measure_base(candidate: Candidate, folder: Path) -> None:
    """Take down the base's language while it is still the base."""
    from harness.evaluation.divergence import BaseDistributions
    from harness.models.packed_weights import packed_weights

    loaded, spec = candidate.loaded, candidate.spec
    for request in spec.scores:
        if request.suite == "divergence" and request.key not in spec.known_scores:
            base_passages = passages_of(
                request, candidate.renderer, loaded.tokenizer, context_of(candidate)
            )
            # As it will be when it is compared, so that rounding is the same.
            with packed_weights(loaded.model, spec.runtime.memory_share, loaded.packed):
                base = BaseDistributions(request, base_passages, loaded.model, folder)
            candidate.base[request.key] = base


def passages_of(
    request: ScoreRequest, renderer: PromptRenderer, tokenizer: Any, context: int | None
) -> Sequence[Passage]:
    """The texts on which a request for divergence compares: the suite's, or the task's items."""
    from harness.evaluation.divergence import passages, task_passages

    if not request.items_path:
        return passages(request, tokenizer)
    items = read_examples_file(Path(request.items_path))[: request.limit]
    return task_passages(items, renderer, context)
