"""What a schema says of whole answers: their list, their one text."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers.json_schema import canonical_json, enumerate_schema


def flat(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def test_every_object_of_a_flat_schema() -> None:
    schema = flat(mood={"enum": ["good", "bad"]}, n={"type": "integer", "minimum": 1, "maximum": 2})
    assert enumerate_schema(schema) == (
        '{"mood": "good", "n": 1}', '{"mood": "good", "n": 2}',
        '{"mood": "bad", "n": 1}', '{"mood": "bad", "n": 2}',
    )  # fmt: skip
    assert enumerate_schema(flat(on={"type": "boolean"})) == ('{"on": false}', '{"on": true}')


def test_bounds_that_are_no_whole_numbers() -> None:
    field = {"type": "integer", "minimum": 0.5, "maximum": 2.5}
    assert enumerate_schema(flat(n=field)) == ('{"n": 1}', '{"n": 2}')
    for low, high in ((0, float("inf")), (-float("inf"), 0), (0, 1e300), (float("inf"),) * 2):
        assert (
            enumerate_schema(flat(n={"type": "integer", "minimum": low, "maximum": high})) is None
        )


def test_objects_that_break_another_rule_are_left_out() -> None:
    schema = flat(a={"enum": [1, 2]}, b={"enum": [1, 2]})
    schema["not"] = {"properties": {"a": {"const": 1}, "b": {"const": 1}}}
    assert enumerate_schema(schema) == ('{"a": 1, "b": 2}', '{"a": 2, "b": 1}', '{"a": 2, "b": 2}')


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        flat(a={"type": "string"}),
        flat(a=True),
        flat(a={"type": "integer", "minimum": 0}),
        {**flat(a={"enum": [1]}), "required": []},
        flat(a={"enum": list(range(257))}),
        flat(**{name: {"enum": list(range(20))} for name in "abc"}),
    ],
)
def test_what_has_no_short_list_of_answers(schema: dict[str, Any]) -> None:
    assert enumerate_schema(schema) is None


def test_canonical_json_follows_the_schema() -> None:
    schema = flat(b={"type": "object", "properties": {"y": {}, "x": {}}}, a={"type": "array"})
    schema["properties"]["list"] = {"items": flat(q={}, p={})}
    value = {"zz": 1, "a": [1], "b": {"x": 1, "y": 2}, "list": [{"p": 1, "q": 2}], "é": "ü"}
    assert canonical_json(value, schema) == (
        '{"b": {"y": 2, "x": 1}, "a": [1], "list": [{"q": 2, "p": 1}], "zz": 1, "é": "ü"}'
    )
    assert canonical_json({"a": {"y": 1, "x": 2}}, flat(a=True)) == '{"a": {"x": 2, "y": 1}}'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(value=st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_canonical_json_keeps_the_value_and_forgets_the_order(value: dict[str, Any]) -> None:
    schema = flat(c={}, a={"type": "object"})
    text = canonical_json(value, schema)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items())), schema) == text


@given(
    axes=st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.integers(0, 5) | st.text(max_size=2), min_size=1, max_size=3, unique_by=repr),
        min_size=1,
    )
)
def test_enumerated_answers_are_valid_and_distinct(axes: dict[str, list[Any]]) -> None:
    schema = flat(**{name: {"enum": values} for name, values in axes.items()})
    answers = enumerate_schema(schema)
    assert answers is not None
    assert len(set(answers)) == len(answers)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for answer in answers:
        validator.validate(json.loads(answer))
        assert canonical_json(json.loads(answer), schema) == answer
