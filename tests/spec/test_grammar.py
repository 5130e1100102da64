"""What can be written under a constraint, and which experiments ask for more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llguidance import LLMatcher
from pydantic import ValidationError

from harness.spec import Experiment, TaskSpec, load_experiment
from harness.spec.grammar import check_constrained, json_grammar

QUICKSTART = Path(__file__).resolve().parents[2] / "experiments" / "quickstart.yaml"
UNIQUE = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
Schema = dict[str, Any]


def schema(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def task(answer: Schema) -> TaskSpec:
    return TaskSpec.model_validate({"instruction": "Do.", "answer": answer})


def json_task(found: Schema) -> TaskSpec:
    return task({"kind": "json", "schema": found, "column": "answer"})


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
    check_constrained("arm", task(answer))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"kind": "text", "column": "answer"},
            "arms.mine.answering: constrained needs labels or a JSON schema, since free text has "
            "no form to keep to; use answering: generate",
        ),
        (
            {"kind": "json", "column": "a", "schema": schema(a=UNIQUE)},
            "arms.mine.answering: constrained cannot keep to task.answer.schema (Unimplemented "
            'keys: ["uniqueItems"]); simplify the schema, or use answering: generate',
        ),
    ],
)
def test_what_cannot_be_kept_to_is_refused(answer: Schema, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_constrained("mine", task(answer))
    assert str(caught.value) == message


def test_a_schema_cannot_loosen_its_own_grammar() -> None:
    loose = {**schema(a=UNIQUE), "x-guidance": {"lenient": True}}
    assert not valid(loose)
    assert valid({**schema(a={"type": "string"}), "x-guidance": {"whitespace_flexible": True}})


@pytest.mark.parametrize("answering", ["constrained", {"choices": ["generate", "constrained"]}])
def test_an_experiment_is_refused_before_it_runs(answering: Any) -> None:
    plain = load_experiment(QUICKSTART).plain()
    plain["arms"] = {"few": {"kind": "prompt", "shots": 2, "answering": answering}}
    plain["contrast"] = {}
    assert Experiment.model_validate(plain).arms["few"].settings() in (1, 2)
    plain["task"] = task({"kind": "text", "column": "label"}).model_dump(by_alias=True)
    with pytest.raises(ValidationError, match=r"arms\.few.answering: constrained needs labels"):
        Experiment.model_validate(json.loads(json.dumps(plain)))


def test_columns_are_those_of_every_template() -> None:
    plain = load_experiment(QUICKSTART).plain()
    own = load_experiment(QUICKSTART).input_columns()
    plain["arms"]["zero-shot"]["template"] = {"choices": ["{title}: {text}", "{stars} {text}"]}
    experiment = Experiment.model_validate(plain)
    assert experiment.input_columns() == (*own, "title", "stars")
    assert set(experiment.columns()) > {"title", "stars"}
