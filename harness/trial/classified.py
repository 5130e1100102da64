"""The branch of a trial that fits a classifier: no language model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.classifier import TextClassifier, fit_classifier
from harness.data import read_examples_file
from harness.errors import TrialError
from harness.evaluation.brought_metrics import BroughtMetrics
from harness.prompting.render import fill
from harness.records import Example, ScoreRecord, ScoreRequest, TrialSpec
from harness.spec import TaskSpec
from harness.spec.settings import ClassifierSettings, settings_from
from harness.trial.candidate import Announce, Part, TrialRun
from harness.trial.scoring import unknown_scores

FORM = "classifier"
Timing = Callable[[Part], AbstractContextManager[None]]


def score_classified(spec: TrialSpec, run: TrialRun, announce: Announce, timing: Timing) -> None:
    """Fit the trial's classifier and score it on everything that the trial asks for.

    Canaries stay None: no prompt is written, and no weights of a language model change.

    Args:
        timing: notes what a part of the trial takes.

    Raises:
        TrialError: kind ``error``: the training texts hold nothing that could be counted.
    """
    settings = settings_from(spec.params)
    if not isinstance(settings, ClassifierSettings):
        raise TrialError("error", f"an arm of kind {spec.kind} has no classifier")
    task = TaskSpec.model_validate(spec.task)
    with timing("load"):
        split = read_examples_file(Path(spec.train_path))
        # Imports are no part of what training takes.
        import sklearn.linear_model
        import sklearn.neighbors  # noqa: F401
    announce("train", 0, 1)
    with timing("train"):
        classifier = fitted(task, settings, spec.seed, split[: spec.train_items])
    announce("train", 1, 1)
    run.environment["train_examples"] = str(len(split[: spec.train_items]))
    run.cost = replace(
        run.cost,
        trainable_parameters=classifier.numbers,
        artifact_bytes=classifier.bytes,
    )
    with timing("score"):
        for request in unknown_scores(spec):
            run.scores.append(_score(task, settings, split, classifier, request, announce))


def fitted(
    task: TaskSpec, settings: ClassifierSettings, seed: int, rows: Sequence[Example]
) -> TextClassifier:
    """The classifier of a setting and a seed: the same whenever it is fitted to the same rows.

    Raises:
        TrialError: kind ``error``: the rows hold nothing that could be counted.
    """
    template = settings.template or task.template
    try:
        return fit_classifier(
            [fill(template, row) for row in rows],
            [task.answer.as_classes(row.answer) for row in rows],
            settings,
            seed,
        )
    except ValueError as error:
        raise TrialError("error", f"no classifier can be fitted to these rows: {error}") from error


def _score(
    task: TaskSpec,
    settings: ClassifierSettings,
    split: Sequence[Example],
    classifier: TextClassifier,
    request: ScoreRequest,
    announce: Announce,
) -> ScoreRecord:
    from harness.evaluation.classifier_lm import ClassifierLM
    from harness.evaluation.domain_task import build_domain_task
    from harness.evaluation.latency import time_requests, timed_again
    from harness.evaluation.score import score_task

    if request.suite not in ("domain", "out_of_domain", "latency"):
        raise TrialError("error", f"a classifier cannot be scored on a {request.suite} task")
    items = read_examples_file(Path(request.items_path))
    if request.suite == "latency":
        items = tuple(timed_again(items, request.limit))
    template = settings.template or task.template

    def answers(texts: Sequence[str]) -> list[str]:
        return [task.answer.of_classes(classes) for classes in classifier.classify(texts)]

    lm = ClassifierLM(answers)
    lm.on_progress = partial(announce, "score", task=request.task)
    brought = BroughtMetrics(task, items)
    domain = build_domain_task(
        request.task,
        task,
        items,
        lambda item: fill(template, item),
        end="",
        max_new_tokens=0,
        labels=task.answer.known_from(split),
        brought=brought,
    )
    if request.suite == "latency":
        return time_requests(lm, domain, request, FORM)
    return score_task(lm, domain, request, FORM, brought=brought)
