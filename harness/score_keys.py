"""Which scores a trial asks for, each under a key that holds all that can change the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harness import versions
from harness.evaluation.suites import Suite
from harness.item_sets import DOMAIN, MEMORISATION, ItemSet
from harness.records import Runtime, ScoreRequest, content_hash
from harness.spec import TaskSpec

# Raised when scoring changes in a way that changes numbers.
SCORING_VERSION = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, and how: what all scores of one trial have in common.

    weights: fingerprint of an untouched model, identity of a trained one, or address of a server.
    params: resolved hyperparameters. train_items: as in the trial's specification. pool:
    fingerprint of the training split. rendering: what the model's chat template makes of a small
    conversation, on the study's day; empty where it has none.
    """

    weights: str
    runtime: Runtime
    params: dict[str, Any]
    seed: int
    pool: str
    train_items: int | None = None
    rendering: str = ""

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
        params = self.params
        shots = {
            "shots": params["shots"],
            "selection": params["selection"],
            "order": params["order"],
        }
        drawn = params["selection"] in ("random", "balanced") or params["order"] == "shuffled"
        return {
            "task": task.model_dump(mode="json", by_alias=True),
            "instruction": params["instruction"],
            "template": params["template"],
            "chat": params["chat"],
            "rendering": self.rendering if params["chat"] else "",
            "answering": params["answering"],
            **(shots if params["shots"] else {}),
            "seed": self.seed if params["shots"] and drawn else None,
            # Shots, label lists and the room for an answer all come from the training split.
            "pool": self.pool if self.train_items is None else [self.pool, self.train_items],
        }


def domain_request(asked: Asked, task: TaskSpec, items: ItemSet) -> ScoreRequest:
    """The user's task, on one of its splits or on a set from elsewhere."""
    content = {
        "candidate": asked.candidate(),
        "prompt": asked.prompt(task),
        "items": items.fingerprint,
    }
    return ScoreRequest(
        key=content_hash(content, 40),
        task=items.task,
        suite="domain" if items.task == DOMAIN else "out_of_domain",
        split=items.split,
        items_path=str(items.path),
    )


def memorisation_request(asked: Asked, task: TaskSpec, items: ItemSet) -> ScoreRequest:
    """Completing texts that were, or were not, trained on."""
    content = {
        "candidate": asked.candidate(),
        "completed": task.template,
        "items": items.fingerprint,
    }
    return ScoreRequest(
        key=content_hash(content, 40),
        task=MEMORISATION,
        suite="memorisation",
        split=items.split,
        items_path=str(items.path),
    )


def general_request(asked: Asked, suite: Suite, task: str, limit: int | None) -> ScoreRequest:
    """One task of the general suite, its first ``limit`` items."""
    content = {
        "candidate": asked.candidate(),
        "suite": suite.fingerprint,
        "task": task,
        "limit": limit,
        "rendering": asked.rendering if suite.task(task).chat else "",
    }
    return ScoreRequest(
        key=content_hash(content, 40),
        task=task,
        suite="general",
        split="test",
        suite_path=str(suite.path),
        limit=limit,
    )


def divergence_requests(asked: Asked, suite: Suite, limit: int | None) -> list[ScoreRequest]:
    """One on the first text task of the suite; none where it has no text."""
    text = suite.text_task()
    if text is None:
        return []
    general = general_request(asked, suite, text, limit)
    key = content_hash([general.key, "divergence"], 40)
    return [replace(general, key=key, suite="divergence")]


def in_waves(request: ScoreRequest, size: int) -> ScoreRequest:
    """The same score, asked ``size`` items at a time: what shares a batch moves a score."""
    return replace(request, key=content_hash([request.key, "waves", size], 40), wave=size)


def library_versions() -> dict[str, str]:
    """Versions of all that can change a score."""
    return {"scoring": str(SCORING_VERSION), **versions.library_versions()}
