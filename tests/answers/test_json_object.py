"""JSON objects: which schemas can be used, how replies are scored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from harness.answers import JsonAnswer
from harness.answers.answer import INVALID, Reading
from harness.answers.metrics import macro_f1

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["play", "book"]},
        "stars": {"type": "integer", "minimum": 0, "maximum": 5},
        "slots": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["intent", "slots"],
    "additionalProperties": False,
}
TARGET = json.dumps({"intent": "play", "stars": 3, "slots": {"artist": "Nina", "year": "1965"}})


def answer(schema: dict[str, Any]) -> JsonAnswer:
    return JsonAnswer.model_validate({"kind": "json", "column": "a", "schema": schema})


def flat(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def read_json(reply: str, target: str = TARGET) -> Reading:
    return answer(SCHEMA).reader()(target, reply)


def test_answers_come_from_one_place() -> None:
    schema = {"type": "object"}
    for source in ({}, {"column": "y", "columns": {"a": "b"}}):
        with pytest.raises(ValidationError, match="exactly one of `columns`"):
            JsonAnswer.model_validate({"kind": "json", "schema": schema, **source})


@pytest.mark.parametrize("keyword", ["properties", "$defs", "patternProperties"])
def test_a_keyword_that_holds_no_schemas_is_refused(keyword: str) -> None:
    with pytest.raises(ValidationError, match="not a valid JSON Schema"):
        answer({"type": "object", keyword: "sentiment"})


def test_an_order_mark_that_is_misspelt_is_refused() -> None:
    marked = flat(tags={"type": "array", "x-unordered": True})
    assert answer(marked).schema_ == marked
    with pytest.raises(ValidationError, match=r"`x-unorderd` is no keyword.*`x-unordered: true`"):
        answer(flat(tags={"type": "array", "x-unorderd": True}))


@pytest.mark.parametrize(
    ("reply", "f1", "exact", "valid_json", "valid"),
    [
        (TARGET, 1, 1, 1, 1),
        (f"\n{json.dumps(json.loads(TARGET), indent=2)}\n", 1, 1, 1, 1),
        (f"```json\n{TARGET}\n```", 1, 1, 0, 1),
        (f"Sure {{see below}}: {TARGET} Anything else?", 1, 1, 0, 1),
        # Case and surrounding white space of texts do not count.
        (TARGET.replace("Nina", " NINA "), 1, 1, 1, 1),
        # One of four leaves wrong: 3 shared of 4 and 4.
        (TARGET.replace("Nina", "Bob"), 3 / 4, 0, 1, 1),
        # One leaf missing: 3 shared of 4 and 3.
        ('{"intent": "play", "stars": 3, "slots": {"artist": "Nina"}}', 6 / 7, 0, 1, 1),
        # One leaf too many, which the schema forbids: 4 shared of 4 and 5.
        (TARGET[:-1] + ', "mood": "calm"}', 8 / 9, 0, 1, 0),
        # The right number as text is another leaf, and breaks the schema.
        (TARGET.replace("3", '"3"'), 3 / 4, 0, 1, 0),
        # One number has many spellings.
        (TARGET.replace("3", "3.0"), 1, 1, 1, 1),
        # The right text at another place is another leaf: 2 shared of 4 and 4.
        ('{"intent":"play","stars":3,"slots":{"year":"Nina","artist":"1965"}}', 1 / 2, 0, 1, 1),
        ("{}", 0, 0, 1, 0),
        ('{"intent": "play", "slots": ', 0, 0, 0, 0),
        ("[1, 2]", 0, 0, 0, 0),
        ("play", 0, 0, 0, 0),
        ("", 0, 0, 0, 0),
        ("{" * 5000, 0, 0, 0, 0),
    ],
)
def test_json_replies(reply: str, f1: float, exact: int, valid_json: int, valid: int) -> None:
    assert read_json(reply).metrics == {
        "field_f1": pytest.approx(f1),
        "exact_match": exact,
        "valid_json": valid_json,
        "valid": valid,
    }


def test_only_closed_fields_are_classes() -> None:
    reading = read_json('{"intent": "book", "slots": {}}')
    assert reading.classes == {"intent": ('"play"', '"book"'), "stars": ("3", INVALID)}
    assert read_json("no idea").classes["intent"] == ('"play"', INVALID)


ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"what": {"type": "string"}, "count": {"type": "integer"}},
            },
        },
        "done": {"type": "boolean"},
    },
}


@pytest.mark.parametrize("target", [{}, {"parts": []}, {"parts": [{}]}, {"done": True}])
@pytest.mark.parametrize(
    "reply",
    ["", "none", "[]", '{"parts": [', '{"parts": {}', "{'parts': {}}", '{"done": NaN, "parts": {}}',
     '{"done": true, "done": true}', '{"parts": [],}', "null", '"{"'],
)  # fmt: skip
def test_a_reply_without_json_is_all_wrong(target: dict[str, Any], reply: str) -> None:
    metrics = answer(ORDER).reader()(json.dumps(target), reply).metrics
    assert set(metrics.values()) == {0.0}


def test_what_stands_in_one_element_is_not_found_in_another() -> None:
    read = answer(ORDER).reader()
    cups, pots = {"what": "cup", "count": 4}, {"what": "pot", "count": 2}
    target = json.dumps({"parts": [cups, pots]})
    swapped = {"parts": [cups | {"count": 2}, pots | {"count": 4}]}
    found = read(target, json.dumps(swapped)).metrics
    assert (found["field_f1"], found["exact_match"], found["valid"]) == (0.5, 0.0, 1.0)
    turned = read(target, json.dumps({"parts": [pots, cups]})).metrics
    assert (turned["field_f1"], turned["exact_match"]) == (1.0, 0.0)


def test_all_metrics_read_a_value_in_one_way() -> None:
    for name, right, written in (("intent", "play", " PLAY."), ("stars", 2, 2.0)):
        target = {"intent": "book", "slots": {}} | {name: right}
        reading = read_json(json.dumps(target | {name: written}), json.dumps(target))
        assert reading.metrics["field_f1"] == reading.metrics["exact_match"] == 1.0
        assert reading.classes[name][0] == reading.classes[name][1]
        assert macro_f1([reading.classes]) == 1.0
    target = {"parts": [], "done": True}
    for other in (1, "true", None, [True]):
        reading = answer(ORDER).reader()(json.dumps(target), json.dumps(target | {"done": other}))
        assert reading.metrics["exact_match"] == macro_f1([reading.classes]) == 0.0
        assert reading.metrics["field_f1"] == 0.5
