"""Numbers and dates under a JSON Schema: reader, grammar and check agree on them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from harness.answers.cells import AnswerError
from harness.answers.grammar import json_grammar
from harness.answers.json_object import JsonAnswer
from harness.answers.schema_validator import schema_validator
from harness.answers.tools import read_tools

BYTES = LLTokenizer("byte")


def of(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": rule},
        "required": ["a"],
        "additionalProperties": False,
    }


def taken(schema: dict[str, Any], value: object) -> bool:
    """Whether a row with the value can be used, whose own answer is then valid, too."""
    answer = JsonAnswer.model_validate({"kind": "json", "column": "x", "schema": schema})
    written = json.dumps({"a": value})
    try:
        target = answer.row_reader().read({"x": written})
    except AnswerError:
        return False
    assert answer.reader(())(written, target).metrics["valid"] == 1
    return True


def writable(schema: dict[str, Any], value: object) -> bool:
    matcher = LLMatcher(BYTES, json_grammar(schema), log_level=0)
    tokens = BYTES.tokenize_str(json.dumps({"a": value}))
    return matcher.consume_tokens(tokens) and matcher.is_accepting()


@pytest.mark.parametrize("step", [0.01, 0.1, 0.05, 0.5, 3])
def test_multiples_are_those_of_the_numbers_as_written(step: float) -> None:
    schema = of({"type": "number", "multipleOf": step})
    validator = schema_validator(schema)
    times = [1, 2, 3, 7, 14, 28, 29, 57, 58, 113, 114, 999, 100_001]
    # A whole number is written as one where the step is.
    kind = type(step)
    for value in [kind(Decimal(repr(step)) * number) for number in times]:
        assert validator.is_valid({"a": value}), value
        assert taken(schema, value), value
        assert writable(schema, value), value
    # Not one of them by a tenth of the step.
    for value in [float(Decimal(repr(step)) * (number + Decimal("0.1"))) for number in times]:
        assert not validator.is_valid({"a": value}), value
        assert not taken(schema, value), value
        assert not writable(schema, value), value


@pytest.mark.parametrize("value", [1e300, -1e-300, 10**400, 0, -0.07])
def test_large_and_small_numbers_are_judged_too(value: float) -> None:
    valid = schema_validator(of({"multipleOf": 0.01})).is_valid({"a": value})
    assert valid is (value != -1e-300)


def test_what_is_no_number_is_no_multiple_nor_the_reverse() -> None:
    validator = schema_validator(of({"multipleOf": 0.3}))
    assert validator.is_valid({"a": True})
    assert validator.is_valid({"a": "0.1"})


def test_a_part_that_refers_to_the_whole_is_judged_alike() -> None:
    schema = of({"type": "number", "multipleOf": 0.01})
    schema["properties"]["b"] = {"$ref": "#"}
    validator = schema_validator(schema)
    assert validator.is_valid({"a": 0.07, "b": {"a": 0.29}})
    assert not validator.is_valid({"a": 0.07, "b": {"a": 0.295}})


def test_arguments_of_a_tool_are_judged_alike() -> None:
    rule = {"type": "number", "multipleOf": 0.01}
    (tool,) = read_tools([{"name": "pay", "parameters": of(rule)}]).values()
    assert tool.validator.is_valid({"a": 0.57})
    assert not tool.validator.is_valid({"a": 0.575})


@pytest.mark.parametrize(
    ("form", "text", "valid"),
    [
        ("date", "2024-02-29", True),
        ("date", "2023-02-29", False),
        ("date", "2024-02-30", False),
        ("date", "2024-2-3", False),
        ("date", "20240203", False),
        ("date", "2024-W05-3", False),
        ("date", "٢٠٢٤-02-03", False),
        ("time", "23:59:60Z", True),
        ("time", "08:30:00", True),
        ("time", "24:00:00Z", False),
        ("date-time", "2024-02-29T10:00:00.5+01:00", True),
        ("date-time", "2024-02-29t10:00:00", True),
        ("date-time", "2024-02-30T10:00:00Z", False),
        ("date-time", "2024-02-29", False),
        ("of-my-own", "anything", True),
    ],
)
def test_dates_are_those_of_the_calendar(form: str, text: str, valid: bool) -> None:
    schema = of({"type": ["string", "null"], "format": form})
    assert schema_validator(schema).is_valid({"a": text}) is valid
    assert taken(schema, text) is valid
    assert taken(schema, None)
