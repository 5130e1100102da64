"""What a whole trial takes, in counts that do not depend on the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.data import read_examples_file
from harness.forecast.scoring_work import ScoreWork, ScoringCounter, tokenizer_of
from harness.forecast.training_work import TrainingWork, training_work
from harness.prompting import PromptRenderer
from harness.records import Example, ScoreRequest, TrialSpec, content_hash
from harness.spec import TaskSpec
from harness.trial.candidate import make_renderer, room_for

# Hyperparameters that change what is learnt, and not how long a step or a reply takes.
TIMELESS = frozenset(
    {"learning_rate", "schedule", "warmup", "weight_decay", "max_grad_norm", "alpha_over_rank",
     "dropout", "rslora", "order", "epochs"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """What computes: candidates of one form are as fast as each other at the same work."""

    model: str
    kind: str


@dataclass(frozen=True, slots=True)
class TrialWork:
    """The counts of one trial.

    manner: hash of the setting in so far as it can change the speed.
    scores: every score that is not known, with its work. answer: tokens of a training answer,
    the mean and the greatest, with what ends it.
    """

    spec: TrialSpec
    form: Form
    manner: str
    scores: tuple[tuple[ScoreRequest, ScoreWork], ...]
    training: TrainingWork | None
    answer: tuple[float, int]

    @property
    def asks(self) -> bool:
        """Whether anything is left to train or to score."""
        return bool(self.scores or self.training)

    @property
    def scored_tokens(self) -> float:
        """Tokens of prompts and of answers that are known beforehand."""
        return sum(work.prompt_tokens + work.answer_tokens for _, work in self.scores)

    @property
    def generated_items(self) -> float:
        """Replies that are generated, of unknown length."""
        return sum(work.items for _, work in self.scores if work.room)


def form_of(spec: TrialSpec) -> Form:
    """The form of the trial's candidate."""
    return Form(spec.model.fingerprint, spec.kind)


def manner_of(spec: TrialSpec) -> str:
    """Equal for settings of one form that take equally long."""
    return content_hash(
        [spec.kind, {k: v for k, v in spec.params.items() if k not in TIMELESS}], 16
    )


def trial_work(spec: TrialSpec) -> TrialWork:
    """Count the work of a trial by making its prompts; no weights are loaded.

    Raises:
        UnknownReferenceError: the model has no usable tokenizer.
    """
    tokenizer = tokenizer_of(spec.model)
    task = TaskSpec.model_validate(spec.task)
    split = _examples(spec.train_path)
    pool = split[: spec.train_items]
    renderer = make_renderer(spec, task, pool, tokenizer)
    answer = _answer_tokens(renderer, split)
    room = task.max_new_tokens or room_for(answer[1])
    counter = ScoringCounter(spec, tokenizer, renderer, split, room)
    return TrialWork(
        spec=spec,
        form=form_of(spec),
        manner=manner_of(spec),
        scores=tuple(counter.works()),
        training=None if spec.kind == "prompt" else training_work(spec, renderer, pool),
        answer=answer,
    )


def _answer_tokens(renderer: PromptRenderer, split: Sequence[Example]) -> tuple[float, int]:
    lengths = [len(renderer.encode(item).answer) for item in split]
    return sum(lengths) / len(lengths), max(lengths)


@cache
def _examples(path: str) -> tuple[Example, ...]:
    return read_examples_file(Path(path))
