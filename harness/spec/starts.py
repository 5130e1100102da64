"""Adapters trained elsewhere that an arm goes on from: rows and cost of that training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.spec.arms import Arm, LoraArm
from harness.spec.brought_arm import BroughtArm, TrainingCost

CONFIG = "adapter_config.json"
# What an adapter says of itself, which an arm that goes on from it has no say in.
OF_ADAPTER = ("rank", "alpha_over_rank", "targets", "rslora", "dora")


@dataclass(frozen=True, slots=True)
class Start:
    """An adapter that an arm goes on from."""

    folder: str
    """Where it lies."""
    same_base: bool
    """The base that it names is taken for the experiment's model."""
    trained_on: str | None
    """File of the rows that it was trained on; None where that is not said."""
    cost: TrainingCost | None = None
    """What its training took; None where that is not said."""


@dataclass(frozen=True, slots=True)
class TrainingElsewhere:
    """What of an arm's training took place before the study."""

    cost: TrainingCost | None
    """What it took; None where that is not said."""
    whole: bool
    """It was all of the training; else the study goes on from it."""


def start_of(arms: Mapping[str, Arm], name: str) -> Start | None:
    """What the arm goes on from; None where it begins anew.

    Raises:
        ValueError: the arm that it names is none of one adapter that was trained elsewhere.
    """
    arm = arms[name]
    if not isinstance(arm, LoraArm) or arm.start is None:
        return None
    if arm.start not in arms:
        return Start(arm.start, same_base=False, trained_on=None)
    theirs = arms[arm.start]
    if not isinstance(theirs, BroughtArm):
        raise ValueError(
            f"start: {arm.start} is of kind {theirs.kind}; name an arm of kind trained, or a folder"
        )
    if len(theirs.paths) > 1:
        raise ValueError(
            f"start: {arm.start} has {len(theirs.paths)} folders; name the one to go on from"
        )
    return Start(theirs.paths[0], theirs.same_base, theirs.trained_on, theirs.cost)


def started_from(arms: Mapping[str, Arm]) -> dict[str, str]:
    """Arm -> the arm of the experiment whose adapter it goes on from."""
    return {
        name: arm.start
        for name, arm in arms.items()
        if isinstance(arm, LoraArm) and arm.start is not None and arm.start in arms
    }


def training_elsewhere(arms: Mapping[str, Arm], name: str) -> TrainingElsewhere | None:
    """What of the arm's training took place before the study; None where nothing did."""
    arm = arms[name]
    if isinstance(arm, BroughtArm):
        return TrainingElsewhere(arm.cost, whole=True)
    start = start_of(arms, name)
    return None if start is None else TrainingElsewhere(start.cost, whole=False)


def rows_elsewhere(arms: Mapping[str, Arm]) -> dict[str, str | None]:
    """Arm -> file of the rows that its weights were trained on elsewhere; None: not said.

    Arms of which all training is the study's own are left out.
    """
    found: dict[str, str | None] = {}
    for name, arm in arms.items():
        if isinstance(arm, BroughtArm):
            found[name] = arm.trained_on
        elif (start := start_of(arms, name)) is not None:
            found[name] = start.trained_on
    return found


def with_start(arm: LoraArm, start: Start) -> LoraArm:
    """The arm with what the adapter that it goes on from says of itself.

    Raises:
        ValueError: there is no such adapter, or the arm says something of it itself.
    """
    if own := [name for name in OF_ADAPTER if name in arm.model_fields_set]:
        raise ValueError(f"{own[0]}: that is the adapter's own, of start; leave it out")
    try:
        config = json.loads((Path(start.folder) / CONFIG).read_text(encoding="utf-8"))
        return arm.model_copy(update=_of_adapter(config))
    except OSError as error:
        raise ValueError(
            f"start: {start.folder} is no folder here that holds an adapter ({CONFIG})"
        ) from error
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"start: {CONFIG} of {start.folder} cannot be read: {error}") from error


def _of_adapter(config: Mapping[str, Any]) -> dict[str, Any]:
    targets = config["target_modules"]
    return {
        "rank": int(config["r"]),
        "alpha_over_rank": config["lora_alpha"] / config["r"],
        "targets": targets if isinstance(targets, str) else tuple(sorted(targets)),
        "rslora": bool(config.get("use_rslora")),
        "dora": bool(config.get("use_dora")),
    }


__all__ = [
    "Start",
    "TrainingElsewhere",
    "rows_elsewhere",
    "start_of",
    "started_from",
    "training_elsewhere",
    "with_start",
]
