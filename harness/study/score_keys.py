"""Which scores a trial asks for, each under a key that holds all that can change the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harness import versions
from harness.answers.reasoning import NOT_ASKED
from harness.evaluation.suites.find import Suite
from harness.records import JsonValue, Runtime, ScoreRequest, content_hash, to_plain
from harness.spec import TaskSpec
from harness.spec.settings import Settings, reasoning_of
from harness.study.item_sets import ItemSet

TASK_INPUTS = "task_inputs"
# Items of the task on which divergence from the base is measured.
TASK_ITEMS = 32
# Raised when scoring changes in a way that changes numbers.
SCORING_VERSION = 18


@dataclass(frozen=True, slots=True)
class ScoringContext:
    """Who is asked, and how: what all scores of one trial have in common."""

    weights: str
    """Fingerprint of an untouched model, identity of a trained one, or address of a server."""
    runtime: Runtime
    """Where and how the trial computes."""
    settings: Settings
    """Settings of the trial."""
    seed: int
    """Seed of the trial, by which shots may be drawn."""
    pool: str
    """Fingerprint of the training split."""
    train_items: int | None = None
    """Number of training examples that the trial is limited to; None where it has them all."""
    rendering: str = ""
    """What the model's chat template makes of a small conversation, on the study's day; empty where
    it has none."""

    def candidate(self) -> dict[str, Any]:
        """What is asked: weights, form, machine arithmetic, libraries; all but the prompt."""
        return {
            "weights": self.weights,
            "device": self.runtime.device.partition(":")[0],
            "dtype": self.runtime.dtype,
            "batch": self.runtime.score_batch_size,
            "versions": library_versions(),
        }

    def prompt(self, task: TaskSpec) -> dict[str, Any]:
        """How it is asked, in so far as the setting makes a difference."""
        settings = self.settings
        shots = {
            "shots": settings.shots,
            "selection": settings.selection,
            "order": settings.order,
        }
        reasoning = reasoning_of(settings)
        drawn = settings.selection in ("random", "balanced") or settings.order == "shuffled"
        return {
            "task": task.model_dump(mode="json", by_alias=True, exclude={"metrics", "answer"}),
            "answer": task.answer.as_asked(),
            "instruction": settings.instruction,
            "template": settings.template,
            "chat": settings.chat,
            "rendering": self.rendering if settings.chat else "",
            "answering": settings.answering,
            **({"reasoning": to_plain(reasoning)} if reasoning != NOT_ASKED else {}),
            **(shots if settings.shots else {}),
            "seed": self.seed if settings.shots and drawn else None,
            # Shots, label lists and the room for an answer all come from the training split.
            "pool": self.pool if self.train_items is None else [self.pool, self.train_items],
        }


def domain_requests(asked: ScoringContext, task: TaskSpec, items: ItemSet) -> list[ScoreRequest]:
    """Requests for the user's task, once in each of several ways of answering."""
    if not asked.settings.ways:
        return [domain_request(asked, task, items)]
    return [
        replace(
            domain_request(
                replace(asked, settings=replace(asked.settings, answering=way)), task, items
            ),
            answering=way,
        )
        for way in asked.settings.ways
    ]


def domain_request(asked: ScoringContext, task: TaskSpec, items: ItemSet) -> ScoreRequest:
    """A request for the user's task, on one of its splits or on a set from elsewhere."""
    same = content_hash({"candidate": asked.candidate(), "prompt": asked.prompt(task)}, 40)
    return request_of(same, task, items)


def request_of(same: str, task: TaskSpec, items: ItemSet) -> ScoreRequest:
    """A request for the user's task of who is asked, and how, as ``same`` says."""
    scored = [same, sorted(task.metric_names), task.answer.as_scored(), items.fingerprint]
    return ScoreRequest(
        key=content_hash([*scored, *_brought(task, items)], 40),
        task=items.task,
        suite=items.suite,
        split=items.split,
        items_path=str(items.path),
        asked=same,
    )


def _brought(task: TaskSpec, items: ItemSet) -> list[JsonValue]:
    """What the values of metrics that the user brings depend on beside replies; none if none."""
    if not task.measures:
        return []
    identities = sorted((measure.identity() for measure in task.measures), key=content_hash)
    return [identities, items.columns]


def memorisation_request(asked: ScoringContext, task: TaskSpec, items: ItemSet) -> ScoreRequest:
    """A request to complete texts that were, or were not, trained on."""
    same = content_hash({"candidate": asked.candidate(), "completed": task.template}, 40)
    return ScoreRequest(
        key=content_hash([same, items.fingerprint], 40),
        task=items.task,
        suite=items.suite,
        split=items.split,
        items_path=str(items.path),
        asked=same,
    )


def general_request(
    asked: ScoringContext,
    suite: Suite,
    task: str,
    limit: int | None,
    *,
    skip: int = 0,
    half: bool = False,
) -> ScoreRequest:
    """A request for one task of the general suite; arguments as of :class:`ScoreRequest`."""
    content = {
        "candidate": asked.candidate(),
        "suite": suite.fingerprint,
        "task": task,
        "rendering": asked.rendering if suite.task(task).chat else "",
    }
    same = content_hash(content, 40)
    return ScoreRequest(
        key=content_hash([same, limit, skip, half], 40),
        task=task,
        suite="general",
        split="test",
        suite_path=str(suite.path),
        limit=limit,
        skip=skip,
        half=half,
        asked=same,
    )


def divergence_requests(
    asked: ScoringContext, suite: Suite, limit: int | None
) -> list[ScoreRequest]:
    """A request on the first text task of the suite; none where it has no text."""
    text = suite.text_task()
    if text is None:
        return []
    general = general_request(asked, suite, text, limit)
    key = content_hash([general.key, "divergence"], 40)
    return [replace(general, key=key, asked="", suite="divergence")]


def task_divergence_request(asked: ScoringContext, task: TaskSpec, items: ItemSet) -> ScoreRequest:
    """A request for the divergence from the base on the first of the task's own ``items``."""
    same = domain_request(asked, task, items).asked
    key = content_hash([same, items.fingerprint, "divergence", TASK_ITEMS], 40)
    return ScoreRequest(
        key=key,
        task=TASK_INPUTS,
        suite="divergence",
        split=items.split,
        items_path=str(items.path),
        limit=TASK_ITEMS,
    )


def latency_request(trial_id: str, items: ItemSet, limit: int | None) -> ScoreRequest:
    """A request for seconds of single requests, which hold for their trial and are never shared.

    Args:
        items: those that are timed.
        limit: how many of them at most; None for all.
    """
    return ScoreRequest(
        key=content_hash([trial_id, "latency"], 40),
        task=items.task,
        suite="latency",
        split=items.split,
        items_path=str(items.path),
        limit=limit,
    )


def in_score_batches(request: ScoreRequest, size: int) -> ScoreRequest:
    """The request, asked ``size`` items at a time: what shares a batch moves a score."""
    key, asked = (content_hash([h, "waves", size], 40) for h in (request.key, request.asked))
    return replace(request, key=key, asked=asked, wave=size)


def library_versions() -> dict[str, str]:
    """Versions of all that can change a score."""
    return {"scoring": str(SCORING_VERSION), **versions.library_versions()}
