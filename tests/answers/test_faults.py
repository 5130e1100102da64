"""What the model that writes is told of a reply: what is missing, invalid or wrong in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.answers.faults import MOST, QUOTED, faults_of
from harness.spec import TaskSpec
from tests.answers.examples import EXAMPLES, KindExample

FIELDS = ("city", "zip")
ADDRESS: dict[str, Any] = {
    "kind": "json",
    "column": "y",
    "schema": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in FIELDS},
        "additionalProperties": False,
    },
}
TOOL = {
    "name": "f",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
CALL = '[{"name": "f", "arguments": {"a": 1}}]'
RIGHT = json.dumps({"city": "Oslo", "zip": "0150"})


def told(kind: dict[str, Any], target: str, reply: str, labels: tuple[str, ...] = ()) -> list[str]:
    task = TaskSpec.model_validate({"instruction": "?", "answer": {"column": "y", **kind}})
    return list(faults_of(task.answer, target, reply, labels))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.answer.name())
def test_a_right_reply_has_no_faults_and_an_empty_one_is_called_empty(example: KindExample) -> None:
    answer, target, known = example.answer, example.target, example.known
    assert faults_of(answer, target, target, known) == ()
    empty = faults_of(answer, target, " \n", known)
    assert empty == (() if answer.is_free_text else ("The reply is empty.",))


@pytest.mark.parametrize(
    "example",
    [one for one in EXAMPLES if not one.answer.is_free_text],
    ids=lambda example: example.answer.name(),
)
def test_of_every_kind_nonsense_and_a_thought_without_end_are_told(example: KindExample) -> None:
    answer, target, known = example.answer, example.target, example.known
    assert faults_of(answer, target, "That is hard to say!", known)
    unfinished = faults_of(answer, target, f"<think>It may be {target}", known)
    assert unfinished == ("The reply ended within its thoughts, before any answer.",)
    assert faults_of(answer, target, f"<think>Hm.</think>{target}", known) == ()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"city": "Oslo"}', ['Field zip is missing; right is "0150".']),
        ('{"city": "Bergen", "zip": "0150"}', ['Field city is "Bergen"; right is "Oslo".']),
        ("Oslo 0150", ["No JSON object can be read in it."]),
    ],
)
def test_of_objects_each_field_is_told(reply: str, expected: list[str]) -> None:
    assert told(ADDRESS, RIGHT, reply) == expected


def test_of_objects_what_is_not_asked_for_and_what_breaks_the_schema_is_told() -> None:
    found = told(ADDRESS, RIGHT, '{"city": "Oslo", "zip": 150, "street": "Kirkegata"}')
    assert "Field street is not asked for here." in found
    assert any(sentence.startswith("zip is invalid: ") for sentence in found)


def test_what_is_long_is_cut_and_what_is_much_is_left_out() -> None:
    names = [f"field{n}" for n in range(20)]
    many = {**ADDRESS, "schema": {"type": "object",
            "properties": {name: {"type": "string"} for name in names}}}  # fmt: skip
    found = told(many, json.dumps(dict.fromkeys(names, "x" * 5000)), "{}")
    assert len(found) == MOST
    assert all(len(sentence) < QUOTED + 60 for sentence in found)


@pytest.mark.parametrize(
    ("kind", "target", "reply", "expected"),
    [
        ({"kind": "label", "labels": ["yes", "no"]}, "yes", "no", "It was read as 'no'; right is"),
        ({"kind": "label", "labels": ["yes", "no"]}, "yes", "perhaps", "it must be one of yes, no"),
        (
            {"kind": "labels", "labels": ["a", "b"], "separator": ";"},
            '["a"]',
            '["a", "b"]',
            "'b' is named, and should not be.",
        ),
        (
            {"kind": "labels", "labels": ["a", "b"], "separator": ";"},
            '["a", "b"]',
            '["a"]',
            "'b' is missing.",
        ),
        ({"kind": "number"}, "4", "5", "It is not right; right is 4."),
        ({"kind": "calls", "tools": [TOOL]}, CALL, "[]", f"It is not right; right is {CALL}."),
        ({"kind": "calls", "tools": [TOOL]}, CALL, CALL.replace("1", "2"), "It is not right"),
    ],
)
def test_what_is_wrong_is_told(
    kind: dict[str, Any], target: str, reply: str, expected: str
) -> None:
    assert expected in " ".join(told(kind, target, reply))


def test_where_the_answer_stands_elsewhere_it_is_said() -> None:
    kind = {"kind": "number", "extract": {"after": "####"}}
    assert told(kind, "so #### 4", "It is 4.") == [
        "No answer stands after '####', where it is looked for."
    ]
