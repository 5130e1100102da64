"""What a trial is known by: all that can change what it computes, and nothing else.

Not the study, its name, its other arms, the limits of held-out sets, the general suite, or a place
in a list: a trial that was run for one study is known to every other that asks for the same.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from harness.answers.reasoning import NOT_ASKED
from harness.measures import Measure
from harness.records import CommandCall, JsonValue, Pruning, Runtime, content_hash, to_plain
from harness.spec import TaskSpec
from harness.spec.arm_base import PROMPT_KEYS, REASONING_KEYS
from harness.spec.kinds import kind_info
from harness.spec.settings import (
    BroughtSettings,
    ClassifierSettings,
    Settings,
    TrainedSettings,
    reasoning_of,
)
from harness.study.score_keys import library_versions

# Raised when training changes in a way that changes numbers.
TRAINING_VERSION = 5
# Likewise of classifiers, and of what a training command is handed.
CLASSIFIER_VERSION = 1
COMMAND_VERSION = 1
Identity = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class TrialInputs:
    """All that a trial's result can depend on. What is long, or a file, is its fingerprint."""

    model: str
    """The weights that it starts from."""
    server: str
    """Model and address of the server that is asked in their place; empty where none is."""
    asked_by: str
    """The study that asks the server, which may answer another otherwise; empty without one."""
    rendering: str
    """What the model's chat template makes of a small conversation; empty where it has none."""
    runtime: Runtime
    """Where and how it computes."""
    settings: Settings
    """Every hyperparameter."""
    seed: int
    """Seed of data order, initialisation and drawn shots."""
    task: TaskSpec
    """The user's task."""
    train: str
    """The training split, in its order."""
    train_items: int | None
    """Number of its examples that are used, the first ones; None for all."""
    validation: str
    """The validation split."""
    validation_losses: str
    """The part of it on which training measures its loss."""
    checks_per_epoch: int
    """How often it does so."""
    validation_columns: str
    """Whole rows of the validation split, which metrics read; empty where none does."""
    loss_columns: str
    """Likewise, of that part of it."""
    general_texts: str
    """The general texts that training may use; empty where there are none."""
    pruning: Pruning | None
    """What may stop it early; None where nothing may."""
    brought: str = ""
    """The weights that another program fine-tuned; empty where there are none."""
    start: str = ""
    """The adapter that training goes on from; empty where it begins anew."""
    command: CommandCall | None = None
    """What trains, where that is a command of the user's."""


def weights_identity(inputs: TrialInputs) -> Identity:
    """What training reads: two trials with the same train the same weights.

    The way of answering is not among it, since trained weights can be asked in any, but where
    replies decide which weights are kept.
    """
    settings = inputs.settings
    if isinstance(settings, ClassifierSettings):
        return _of_classifier(inputs, settings)
    if isinstance(settings, BroughtSettings):
        # Nothing else changes them: not how they are asked, nor what shots are drawn from.
        return {
            "model": inputs.model,
            "weights brought": inputs.brought,
            "base": settings.base,
            "dtype": inputs.runtime.dtype,
            "versions": library_versions(),
        }
    identity = {**_common(inputs), "training version": TRAINING_VERSION}
    identity |= {
        "validation rows of the loss": inputs.validation_losses,
        "search.checks_per_epoch": inputs.checks_per_epoch,
    }
    if inputs.command is not None:
        identity |= {
            "training command": inputs.command.identity(),
            "training version": COMMAND_VERSION,
        }
    if inputs.start:
        identity["starts from"] = inputs.start
    if isinstance(settings, TrainedSettings):
        if settings.uses_general_text:
            identity["general texts"] = inputs.general_texts
        if settings.scores_checks:
            # Replies decide which weights are kept.
            identity |= {
                "checks answered by": settings.first_way,
                "task.max_new_tokens": inputs.task.max_new_tokens,
                **_primary(inputs, inputs.loss_columns),
                "score_batch_size": inputs.runtime.score_batch_size,
            }
    return identity | _stopping(inputs)


def trial_identity(inputs: TrialInputs) -> Identity:
    """What the whole trial reads, but for what it is scored on: each score has its own key."""
    settings = inputs.settings
    if not kind_info(settings.kind).language_model:
        return weights_identity(inputs) | {"seed": inputs.seed}
    trains = kind_info(settings.kind).trains
    identity = weights_identity(inputs) if trains else _common(inputs) | _stopping(inputs)
    if inputs.brought:
        identity["weights brought"] = inputs.brought
    answering = to_plain(settings)["answering"]
    identity |= {"answering": answering, "task.max_new_tokens": inputs.task.max_new_tokens}
    if settings.ways:
        # Which of them is kept is decided there.
        identity |= _judged(inputs)
    return identity


def latency_identity(
    finalist: str, turn: int, limit: int | None, together: Sequence[str], timed: str
) -> Identity:
    """What seconds of single requests are of.

    Args:
        finalist: id of the trial that is timed.
        turn: which of the turns of all finalists it is, from 0.
        limit: how many of them are asked at most; None for all.
        together: ids of the finalists that are timed beside it.
        timed: fingerprint of the test items that are asked.
    """
    return {
        "timed trial": finalist,
        "turn": turn,
        "requests at most": limit,
        "timed together": list(together),
        "timed rows": timed,
        "machine": [platform.node(), platform.machine(), platform.processor()],
    }


def _common(inputs: TrialInputs) -> Identity:
    settings, task = inputs.settings, inputs.task.model_dump(mode="json", by_alias=True)
    # Of a prompt that asks for no reasoning nothing is said of it.
    unread = {"answering", *(REASONING_KEYS if reasoning_of(settings) == NOT_ASKED else ())}
    hyperparameters = {
        name: value for name, value in to_plain(settings).items() if name not in unread
    }
    return {
        **hyperparameters,
        "model": inputs.model,
        "server": inputs.server,
        "asked by": inputs.asked_by,
        "chat template": content_hash(inputs.rendering) if settings.chat else "",
        "task.instruction": task["instruction"],
        "task.template": task["template"],
        "task.answer": inputs.task.answer.as_asked(),
        "training rows": inputs.train,
        "training rows used": inputs.train_items,
        "seed": inputs.seed,
        "device": inputs.runtime.device.partition(":")[0],
        "dtype": inputs.runtime.dtype,
        "versions": library_versions(),
    }


def _of_classifier(inputs: TrialInputs, settings: ClassifierSettings) -> Identity:
    """What a classifier is fitted to: it has no model, and is asked without an instruction."""
    asked = {name: value for name, value in to_plain(settings).items() if name not in PROMPT_KEYS}
    return {
        **asked,
        "task.template": inputs.task.template,
        "task.answer": inputs.task.answer.as_asked(),
        "training rows": inputs.train,
        "training rows used": inputs.train_items,
        "seed": inputs.seed if settings.draws else None,
        "classifier version": CLASSIFIER_VERSION,
        "versions": library_versions(),
    }


def _stopping(inputs: TrialInputs) -> Identity:
    """What may stop the trial early, and on what."""
    if inputs.pruning is None:
        return {}
    stopping: Identity = {"pruning": to_plain(inputs.pruning)}
    if kind_info(inputs.settings.kind).trains:
        # Its loss is looked at: how the metric is computed changes nothing of it.
        return stopping | {
            "validation rows": inputs.validation,
            "primary metric": inputs.task.primary_metric,
        }
    # The metric is looked at after each batch.
    return stopping | _judged(inputs) | {"score_batch_size": inputs.runtime.score_batch_size}


def _judged(inputs: TrialInputs) -> Identity:
    return {
        "validation rows": inputs.validation,
        **_primary(inputs, inputs.validation_columns),
    }


def _primary(inputs: TrialInputs, columns: str) -> Identity:
    """The primary metric, with all that its values depend on beside replies."""
    task = inputs.task
    first = task.metrics[0]
    identity: Identity = {"primary metric": task.primary_identity}
    if isinstance(first, Measure):
        return identity | ({"columns of the primary metric": columns} if first.reads_rows else {})
    scored = task.answer.as_scored()
    return identity | ({"how replies are scored": scored} if scored else {})
