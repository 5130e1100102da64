"""Settings of arms as their experiment file would give them."""

from __future__ import annotations

from typing import Any, cast

from pydantic import TypeAdapter

from harness.spec.arms import Arm
from harness.spec.kinds import kind_info
from harness.spec.settings import AdapterSettings, Settings, TrainedSettings

RANK = 4


def setting(kind: str, **values: Any) -> Settings:
    """The first setting of an arm with these keys; adapters are of rank 4 unless told."""
    if kind_info(kind).adapts:
        values = {"rank": RANK, **values}
    arm = TypeAdapter[Arm](Arm).validate_python({"kind": kind, **values})
    return arm.resolve(arm.defaults())


def trained(kind: str, **values: Any) -> TrainedSettings:
    """The same of an arm that trains."""
    return cast("TrainedSettings", setting(kind, **values))


def adapter(kind: str = "lora", **values: Any) -> AdapterSettings:
    """The same of an arm that trains adapters."""
    return cast("AdapterSettings", setting(kind, **values))
