"""Which models a study asks: that of the untouched base, and of each arm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.records import JsonValue
from harness.spec import Experiment, ModelSpec, PromptArm
from harness.spec.kinds import kind_info

BASE = "base"
M = TypeVar("M")


def base_arm(experiment: Experiment) -> PromptArm:
    """How the untouched base is asked: plainly, through its chat template if any arm is."""
    own = [
        arm
        for arm in experiment.arms.values()
        if kind_info(arm.kind).language_model
        and not (isinstance(arm, PromptArm) and arm.asks_another_model)
    ]
    chat = not own or any(True in arm.values_of("chat") for arm in own)
    return PromptArm(kind="prompt", chat=chat)


def models_of(experiment: Experiment, find: Callable[[ModelSpec], M]) -> dict[str, M]:
    """What ``find`` makes of the model of the base and of each arm that asks a local one."""
    base = find(experiment.model)
    models = {BASE: base}
    for arm, spec in experiment.arms.items():
        if not kind_info(spec.kind).language_model:
            continue
        if not isinstance(spec, PromptArm) or not spec.asks_another_model:
            models[arm] = base
        elif spec.model is not None:
            models[arm] = find(spec.model)
    return models


def template_args_of(experiment: Experiment, arm: str) -> dict[str, JsonValue]:
    """What the chat template of an arm's local model, or of the base's, is told."""
    spec = experiment.arms.get(arm)
    if isinstance(spec, PromptArm) and spec.endpoint is not None:
        return {}
    own = spec.model if isinstance(spec, PromptArm) else None
    return dict((own or experiment.model).chat_template_args)
