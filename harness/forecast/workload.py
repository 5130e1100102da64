"""Counts the work of a trial from its texts: its training, and each of its scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.evaluation.divergence import Passage, passages
from harness.evaluation.latency import WARM_UP_TOKENS, timed_again
from harness.forecast.cost_model import Activity, Measure
from harness.forecast.score_load import (
    ITEMS_READ,
    AnswerTokens,
    ScoreLoad,
    Tokens,
    general_ids,
    general_loads,
    generation_load,
    likelihood_load,
    plain_tokens,
    tokenizer_of,
)
from harness.prompting import PromptRenderer
from harness.records import (
    Example,
    ModelWork,
    ResolvedModel,
    ScoreRequest,
    TrialSpec,
    content_hash,
    even_sample,
)
from harness.spec import TaskSpec
from harness.spec.kinds import kind_info
from harness.spec.settings import TrainedSettings, settings_from
from harness.trial.candidate import make_renderer, passages_of, room_for

# Hyperparameters that change what is learnt, and not how long a step or a reply takes.
TIMELESS = frozenset(
    {"learning_rate", "schedule", "warmup", "weight_decay", "max_grad_norm", "alpha_over_rank",
     "dropout", "rslora", "order", "epochs", "keep"}
)  # fmt: skip


Answered = Callable[[str], frozenset[str]]
"""Who is asked, and how (:class:`~harness.records.ScoreRequest`) -> ids of the items of which the
replies are known."""


@dataclass(frozen=True, slots=True)
class TrainingLoad:
    """Work of a trial's training."""

    counted: ModelWork
    """One pass a step, and the tokens of examples over all epochs; general texts are left out."""
    largest_step: int
    """Tokens of a step of the longest examples."""
    checks: int
    """Number of checks on validation rows, over all epochs."""
    check: ModelWork
    """Work of one check: of the loss and, where they are asked for, of the replies to its rows."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Work of one trial."""

    spec: TrialSpec
    """The trial, or one of several that take equally long."""
    speed_signature: str
    """Hash that is equal for settings of one kind that take equally long."""
    scores: tuple[tuple[ScoreRequest, ScoreLoad], ...]
    """Every score of which replies are not known yet, with what these take."""
    training: TrainingLoad | None
    """What training takes; None where nothing is trained."""
    answer: AnswerTokens
    """Tokens of the training answers."""

    @property
    def asks(self) -> bool:
        """Whether anything is left to train or to score."""
        return bool(self.scores or self.training)

    @property
    def loads(self) -> bool:
        """Whether it loads its model, which it does not to score replies that are all known."""
        known = self.spec.known_scores
        return self.asks or all(request.key in known for request in self.spec.scores)

    @property
    def divergence_tokens(self) -> float:
        """Tokens of texts that the base reads once more, before training."""
        return sum(load.counted.read for _, load in self.scores if load.group == "divergence")

    def activity(self, measure: Measure) -> Activity:
        """What the speed of one part of the trial depends on."""
        # Building tasks takes all kinds alike, and those that read no texts beside show how long.
        kind = "any" if measure == "around" else self.spec.kind
        return Activity(self.spec.model.fingerprint, kind, self.speed_signature, measure)

    def scoring(self, load: ScoreLoad) -> Activity:
        """What the speed of a score request of the trial depends on."""
        return replace(
            self.activity(load.measure), group=load.group, writes=bool(load.answer_limit)
        )


def speed_signature(spec: TrialSpec) -> str:
    """Hash of the setting in so far as it can change the speed."""
    params = {name: value for name, value in spec.params.items() if name not in TIMELESS}
    return content_hash([spec.model.fingerprint, spec.kind, params], 16)


def computes_alike(spec: TrialSpec, other: TrialSpec) -> bool:
    """Whether two trials are of one model and one kind, whatever their settings."""
    return (spec.model.fingerprint, spec.kind) == (other.model.fingerprint, other.kind)


def workload(spec: TrialSpec, answered: Answered = lambda asked: frozenset()) -> Workload:
    """Count what a trial takes by making its prompts; no weights are loaded.

    Args:
        answered: what is known of its replies; by default nothing is.

    Raises:
        UnknownReferenceError: the model has no usable tokenizer.
    """
    if not kind_info(spec.kind).language_model:
        return _classified(spec)
    tokenizer = tokenizer_of(spec.model)
    task = TaskSpec.model_validate(spec.task)
    split = _examples(spec.train_path)
    pool = split[: spec.train_items]
    renderer = make_renderer(spec, task, pool, tokenizer)
    lengths = [len(renderer.encode_answer(item.answer)) for item in split]
    answer = AnswerTokens(sum(lengths) / len(lengths), max(lengths))
    counter = _Counter(spec, task, renderer, tokenizer, split, answer, answered)
    kind = kind_info(spec.kind)
    # What a command of the user's computes is not known.
    trains = kind.trains and not kind.commanded and not spec.trained_path
    return Workload(
        spec=spec,
        speed_signature=speed_signature(spec),
        scores=tuple(
            (request, load)
            for request in spec.scores
            if request.key not in spec.known_scores
            for load in counter.loads(request)
        ),
        training=_training(spec, renderer, pool, counter) if trains else None,
        answer=answer,
    )


def _classified(spec: TrialSpec) -> Workload:
    """The work of a trial that fits a classifier: no tokens, and items alone.

    What fitting takes does not grow as a training's work does, and is measured whole.
    """
    loads = []
    for request in spec.scores:
        if request.key not in spec.known_scores:
            items = read_examples_file(Path(request.items_path))
            single = request.suite == "latency"
            # One more is asked, which warms up and is not counted.
            number = len(timed_again(items, request.limit)) + 1 if single else len(items)
            work = ModelWork(passes=1, read=number)
            measure: Measure = "single" if single else "score"
            loads.append((request, ScoreLoad(measure, "classify", number, 0.0, 0.0, work)))
    return Workload(spec, speed_signature(spec), tuple(loads), None, AnswerTokens(0.0, 0))


def _training(
    spec: TrialSpec, renderer: PromptRenderer, pool: Sequence[Example], counter: _Counter
) -> TrainingLoad:
    params = spec.params
    kept = renderer.sequences(pool, params["max_length"])
    lengths = sorted(example.length for example in kept)
    predicted = sum(example.learnt_tokens for example in kept)
    per_epoch = math.ceil(len(lengths) / params["batch_size"])
    checked: Sequence[Example] = ()
    if spec.validation_path:
        checked = read_examples_file(Path(spec.validation_path))
    checks = renderer.sequences(checked)
    check = ModelWork(
        read=sum(example.length for example in checks),
        predicted=sum(example.learnt_tokens for example in checks),
    )
    settings = settings_from(params)
    if checked and isinstance(settings, TrainedSettings) and settings.scores_checks:
        rows = ScoreRequest("", "", "domain", "validation", spec.validation_path)
        check += sum((load.counted for load in counter.loads(rows)), ModelWork())
    return TrainingLoad(
        counted=ModelWork(passes=per_epoch, read=sum(lengths), predicted=predicted)
        * params["epochs"],
        largest_step=sum(lengths[-params["batch_size"] :]),
        checks=min(spec.checks_per_epoch, per_epoch) * params["epochs"] if checked else 0,
        check=check,
    )


@dataclass(frozen=True, slots=True)
class _Counter:
    """Counts the work of a trial's scores."""

    spec: TrialSpec
    """The trial."""
    task: TaskSpec
    """The user's task."""
    renderer: PromptRenderer
    """What writes the trial's prompts."""
    tokenizer: Any
    """The model's tokenizer."""
    split: Sequence[Example]
    """The whole training split."""
    answer: AnswerTokens
    """Tokens of the training answers."""
    answered: Answered
    """What is known of replies."""

    def loads(self, request: ScoreRequest) -> Sequence[ScoreLoad]:
        """What a request takes, a load for each way in which it asks the model."""
        known: frozenset[str] = frozenset()
        if request.asked and (self.spec.adds or not self.spec.weights_id):
            known = self.answered(request.asked)
        if request.suite == "general":
            size = self.spec.runtime.score_batch_size
            loads = general_loads(_whoever(request), self.spec.model, size)
            ids = general_ids(request) if known else [""]
            left = sum(one not in known for one in ids) / len(ids)
            return [load * left for load in loads] if left else []
        if request.suite == "divergence":
            return [self._divergence(request)]
        items = [
            item for item in read_examples_file(Path(request.items_path)) if item.id not in known
        ]
        if not items:
            return []
        if request.suite == "memorisation":
            return [self._memorisation(items)]
        if request.suite == "latency":
            return [self._single(request, timed_again(items, request.limit))]
        prompts = [self.renderer.encode_prompt(item) for item in even_sample(items, ITEMS_READ)]
        return [self._asked(prompts, self._choices(request), len(items) / len(prompts))]

    def _asked(self, prompts: Sequence[Tokens], choices: list[Tokens], share: float) -> ScoreLoad:
        if choices:
            return likelihood_load([(prompt, choices) for prompt in prompts], "choice", share)
        size = self.spec.runtime.score_batch_size
        limit = self.task.max_new_tokens or room_for(self.answer.longest)
        limit += self.renderer.reasoning_room
        return generation_load(prompts, self.answer, size, limit, "generate", share)

    def _single(self, request: ScoreRequest, items: Sequence[Example]) -> ScoreLoad:
        choices = self._choices(request)
        alone = [self._asked([self.renderer.encode_prompt(item)], choices, 1) for item in items]
        # One more, which warms up and is not counted.
        times = 1 + 1 / len(alone)
        warm_up, answer_tokens = alone[0].counted, times * sum(load.answer_tokens for load in alone)
        if not choices and self.spec.endpoint is None:
            # Of a reply that is generated here it is a few tokens.
            few = min(WARM_UP_TOKENS, warm_up.written)
            warm_up = ModelWork(1 + few, warm_up.read, few, 1 + few)
            answer_tokens = few + sum(load.answer_tokens for load in alone)
        return ScoreLoad(
            measure="single",
            group=alone[0].group,
            items=times * len(alone),
            prompt_tokens=times * sum(load.prompt_tokens for load in alone),
            answer_tokens=answer_tokens,
            counted=sum((load.counted for load in alone), warm_up),
            answer_limit=alone[0].answer_limit,
        )

    def _choices(self, request: ScoreRequest) -> list[Tokens]:
        """The answers that the request chooses among; none where it generates."""
        if (request.answering or self.spec.answering) != "choice":
            return []
        answers = self.task.answer.valid_answers(self.split) or ()
        return [self.renderer.encode_answer(answer) for answer in answers]

    def _memorisation(self, items: Sequence[Example]) -> ScoreLoad:
        from harness.evaluation.memorisation import halves
        from harness.prompting.render import render_template

        texts = [halves(render_template(self.task, item)) for item in items]
        return likelihood_load(
            [(plain_tokens(self.tokenizer, text.given), [plain_tokens(self.tokenizer, text.rest)])
             for text in texts if text],
            "memorisation",
        )  # fmt: skip

    def _divergence(self, request: ScoreRequest) -> ScoreLoad:
        texts = (
            passages_of(request, self.renderer, self.tokenizer, None)
            if request.items_path
            else _suite_texts(_whoever(request), self.spec.model)
        )
        tokens = sum(len(text.tokens) for text in texts)
        predicted = sum(len(text.positions) for text in texts)
        counted = ModelWork(passes=len(texts), read=tokens, predicted=predicted)
        return ScoreLoad("score", "divergence", len(texts), tokens, 0.0, counted)


def _whoever(request: ScoreRequest) -> ScoreRequest:
    """The same items, whoever is asked and how."""
    return replace(request, key="", asked="", answering="", wave=None)


@cache
def _suite_texts(request: ScoreRequest, model: ResolvedModel) -> Sequence[Passage]:
    """The texts of a suite on which divergence is measured."""
    return passages(request, tokenizer_of(model))


@cache
def _examples(path: str) -> tuple[Example, ...]:
    return read_examples_file(Path(path))
