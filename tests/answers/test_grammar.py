"""What can be written under a constraint."""

from __future__ import annotations

from typing import Any

import pytest
from llguidance import LLMatcher
from pydantic import TypeAdapter

from harness.answers import Answer, AnyAnswer
from harness.answers.grammar import json_grammar

UNIQUE = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
Schema = dict[str, Any]


def schema(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def answer_of(plain: Schema) -> Answer:
    answer: Answer = TypeAdapter(AnyAnswer).validate_python(plain)
    return answer


def valid(found: Schema) -> bool:
    failed, messages = LLMatcher.validate_grammar_with_warnings(json_grammar(found, " "))
    return not failed and not messages


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "label", "column": "label"},
        {"kind": "label", "column": "label", "labels": ["a", "b"]},
        {"kind": "json", "column": "a", "schema": schema(a={"type": "string"}, b={})},
        # What says nothing of a single answer does not stand in the way.
        {
            "kind": "json",
            "column": "a",
            "schema": schema(a={"type": "array", "items": {}, "x-unordered": True}),
        },
        # No grammar says `not`, but of a closed list every answer is known.
        {"kind": "json", "column": "a", "schema": schema(a={"enum": [1, 2], "not": {"const": 2}})},
    ],
)
def test_labels_and_schemas_can_be_kept_to(answer: Schema) -> None:
    assert answer_of(answer).why_not_constrained() == ""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"kind": "text", "column": "answer"},
            "needs labels or a JSON schema, since free text has no form to keep to; use answering: "
            "generate",
        ),
        (
            {"kind": "json", "column": "a", "schema": schema(a=UNIQUE)},
            'cannot keep to task.answer.schema (Unimplemented keys: ["uniqueItems"]); simplify the '
            "schema, or use answering: generate",
        ),
    ],
)
def test_what_cannot_be_kept_to_is_refused(answer: Schema, message: str) -> None:
    assert answer_of(answer).why_not_constrained() == message


def test_a_schema_cannot_loosen_its_own_grammar() -> None:
    loose = {**schema(a=UNIQUE), "x-guidance": {"lenient": True}}
    assert not valid(loose)
    assert valid({**schema(a={"type": "string"}), "x-guidance": {"whitespace_flexible": True}})
