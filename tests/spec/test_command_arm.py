"""The arm of a training command: what of its words and parameters is taken, and what refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.spec import Choice, CommandArm, FloatRange, IntRange
from harness.spec.command_arm import filled


def arm(**keys: Any) -> CommandArm:
    return CommandArm.model_validate({"kind": "command", "command": ["train", "{result}"], **keys})


def test_ranges_are_what_their_ends_are_written_as() -> None:
    space = arm(
        parameters={
            "rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "rank": {"low": 4, "high": 16},
            "share": {"low": 0, "high": 0.5},
            "flag": {"choices": [True, False]},
            "fixed": 3,
        }
    ).search_space()
    assert {name: type(value) for name, value in space.items()} == {
        "parameters.rate": FloatRange,
        "parameters.rank": IntRange,
        "parameters.share": FloatRange,
        "parameters.flag": Choice[bool | int | float | str],
    }


def test_a_setting_has_its_values_as_they_are() -> None:
    one = arm(parameters={"rate": {"low": 0.0, "high": 1.0}, "flag": True, "whole": 2, "name": "x"})
    settings = one.resolve({"parameters.rate": 0.25})
    assert getattr(settings, "parameters", None) == {
        "rate": 0.25, "flag": True, "whole": 2, "name": "x",
    }  # fmt: skip


def test_places_are_filled_and_other_braces_stay() -> None:
    told = {"result": "/r", "parameters.rate": "0.1"}
    assert filled("--out={result}", told) == "--out=/r"
    assert filled('{"rate": {parameters.rate}}', told) == '{"rate": 0.1}'


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"command": ["train", "{paramters}"]}, "{paramters} stands for nothing"),
        ({"command": ["train", "--fast"]}, "never told where to leave the weights"),
        ({"command": []}, "at least 1 item"),
        ({"command": ["train", "{result}", "{parameters.rank}"]}, "there is no such parameter"),
        ({"parameters": {"rate": "1e-4"}}, "1e-4 is text to YAML; write 1.0e-4"),
        ({"parameters": {"rate": {"choices": ["1e-4"]}}}, "write 1.0e-4"),
        ({"parameters": {"rate": {"low": 2, "high": 1}}}, "low 2 must be below high 1"),
        ({"parameters": {"a b": 1}}, "'a b' is no name"),
        ({"environment": ["KEY=secret"]}, "is no name of a variable"),
        ({"minutes": 0}, "greater than 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        arm(**keys)
    assert message in str(refusal.value)
