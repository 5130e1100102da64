"""A setting has every hyperparameter of its arm, and stays what it is as JSON."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.records import to_plain
from harness.spec.arm_base import NO_HYPERPARAMETERS
from harness.spec.arms import Arm
from harness.spec.kinds import KINDS, kind_info
from harness.spec.settings import params_of, settings_from

WAYS = {"answering": {"choices": ["choice", "generate"], "default": "generate"}}
KIND_NAMES = [kind.name for kind in KINDS]


def arm(kind: str, **more: Any) -> Any:
    needs: dict[str, dict[str, Any]] = {
        "trained": {"path": "adapter"},
        "command": {
            "command": ["train", "{result}"],
            "parameters": {"rate": {"low": 0.1, "high": 0.2}, "flag": True, "name": "x"},
        },
    }
    return TypeAdapter[Any](Arm).validate_python({"kind": kind, **needs.get(kind, {}), **more})


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_setting_has_the_hyperparameters_of_its_arm_in_their_order(kind: str) -> None:
    one = arm(kind)
    names = [name for name in type(one).model_fields if name not in NO_HYPERPARAMETERS]
    settings = one.resolve(one.defaults())
    assert [field.name for field in fields(settings)] == names
    assert settings.kind == kind


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_setting_is_the_same_after_json(kind: str) -> None:
    one = arm(kind, **({} if kind in ("prompt", "classifier") else WAYS))
    settings = one.resolve(one.defaults())
    plain = to_plain(settings)
    assert settings_from(plain) == settings
    assert to_plain(settings_from(plain)) == plain
    assert settings_from(params_of(settings)) == settings
    # Settings are told apart and counted.
    assert len({settings, settings_from(plain)}) == 1
    open_ways = ("generate", "choice") if kind_info(kind).trains else ()
    assert settings.ways == open_ways
    assert settings.first_way == "generate"


def test_names_of_layers_are_as_given() -> None:
    one = arm("lora", targets=["q_proj", "v_proj"], learning_rate=1e-3)
    settings = one.resolve({})
    assert to_plain(settings)["targets"] == ["q_proj", "v_proj"]
    assert settings_from(to_plain(settings)) == settings
    assert settings.ways == ()
    assert replace(settings, answering=("choice", "generate")).ways == ("choice", "generate")


@pytest.mark.parametrize(
    "change", [{"rank": None}, {"unheard_of": 1}, {"kind": "full"}, {"quantisation": "nf4"}]
)
def test_what_is_no_setting_is_refused(change: dict[str, Any]) -> None:
    one = arm("lora")
    plain = to_plain(one.resolve(one.defaults()))
    with pytest.raises(ValidationError):
        settings_from({**plain, **change})
