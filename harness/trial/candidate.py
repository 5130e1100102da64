"""The model under trial, and what a trial has found so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data import read_examples_file
from harness.errors import CanaryError
from harness.prompting import PromptRenderer, ShotSelector
from harness.prompting.render import fill
from harness.records import (
    Artifact,
    Canaries,
    Example,
    ScoreRecord,
    StepReport,
    Stopped,
    TrialCost,
    TrialSpec,
)
from harness.spec import JsonAnswer, TaskSpec

if TYPE_CHECKING:
    from harness.evaluation.constrained import Constraint
    from harness.evaluation.divergence import BaseDistributions
    from harness.models.load import LoadedModel

Announce = Callable[..., None]
# Training examples whose prompts are looked at in every trial.
CANARY_PROMPTS = 32


class Pruned(Exception):  # noqa: N818 - a way out, not a fault
    """The trial is not worth going on with."""

    def __init__(self, stopped: Stopped) -> None:
        self.stopped = stopped
        super().__init__(f"stopped after {stopped.done} of {stopped.total} {stopped.unit}")


@dataclass(slots=True)
class TrialRun:
    """What the trial has so far: kept when it fails midway.

    beside_mib, beside_device_mib: peak memory of processes that trained in its place, added up,
    and of the GPU that needed most.
    """

    steps: list[StepReport] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    canaries: Canaries | None = None
    stopped: Stopped | None = None
    cost: TrialCost = field(default_factory=lambda: TrialCost(0, 0, 0, 0, 0, None, 0, 0, 0))
    environment: dict[str, str] = field(default_factory=dict)
    beside_mib: float = 0.0
    beside_device_mib: float | None = None


@dataclass(slots=True)
class Candidate:
    """The model under trial and what its prompts are made of.

    split: the whole training split, which says what valid answers are and how long. pool: the
    part of it that is trained on, and that shots come from. base: what a trained candidate's
    language is compared with, where that was asked for.
    """

    spec: TrialSpec
    task: TaskSpec
    split: Sequence[Example]
    pool: Sequence[Example]
    loaded: LoadedModel
    renderer: PromptRenderer
    base: BaseDistributions | None = None


def load_candidate(spec: TrialSpec) -> Candidate:
    from harness.models.load import load_arms_base

    task = TaskSpec.model_validate(spec.task)
    split = read_examples_file(Path(spec.train_path))
    pool = split[: spec.train_items]
    loaded = load_arms_base(spec.model, spec.runtime, spec.kind, spec.params)
    renderer = make_renderer(spec, task, pool, loaded.tokenizer)
    return Candidate(spec, task, split, pool, loaded, renderer)


def make_renderer(
    spec: TrialSpec, task: TaskSpec, pool: Sequence[Example], tokenizer: Any
) -> PromptRenderer:
    """What writes the trial's prompts, with shots out of ``pool``."""
    return renderer_of(spec.params, spec.seed, task, pool, tokenizer, spec.date)


def renderer_of(
    params: Mapping[str, Any],
    seed: int,
    task: TaskSpec,
    pool: Sequence[Example],
    tokenizer: Any,
    date: str | None = None,
) -> PromptRenderer:
    """What writes prompts under a setting (every hyperparameter), with shots drawn by ``seed``."""
    template = params["template"] or task.template
    selector = ShotSelector(
        pool,
        params["shots"],
        params["selection"],
        lambda item: fill(template, item),
        np.random.default_rng([seed, 1]),
        params["order"],
    )
    return PromptRenderer(
        tokenizer,
        task,
        selector.select,
        params["instruction"],
        template=template,
        chat=params["chat"],
        date=date,
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
    from harness.evaluation.constrained import constraint_of
    from harness.evaluation.domain_task import valid_answers

    if answering != "constrained":
        return None
    schema = task.answer.schema_ if isinstance(task.answer, JsonAnswer) else None
    return constraint_of(renderer, tokenizer, valid_answers(task, split), schema)


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
        constraint: what replies are kept to, where they are constrained.
    """
    from harness.evaluation.domain_task import valid_answers

    if answering == "choice":
        choices = valid_answers(task, split) or ()
        return max(len(renderer.encode_answer(choice)) for choice in choices)
    room = task.max_new_tokens or answer_room(renderer, split)
    # A reply that is kept to a closed list always has room to end.
    return room if constraint is None else max(room, constraint.longest or 0)


def check_rendering(candidate: Candidate) -> None:
    """See whether the prompts and training examples are what is meant, before anything is spent.

    Raises:
        CanaryError: they are not; says what is wrong.
    """
    from harness.prompting.rendering_check import rendering_faults

    faults = rendering_faults(
        candidate.renderer, candidate.loaded.tokenizer, candidate.pool[:CANARY_PROMPTS]
    )
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
            # As it will be when it is compared, so that rounding is the same.
            with packed_weights(loaded.model, spec.runtime.memory_share):
                candidate.base = BaseDistributions(request, loaded.model, loaded.tokenizer, folder)
