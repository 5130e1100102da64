"""Which answer a file's columns are taken for when nobody says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers import Answer, JsonAnswer, LabelAnswer, LabelsAnswer
from harness.answers.answer import MAX_CHOICES
from harness.answers.infer_schema import infer_schema
from harness.answers.recognise import recognise_answer
from harness.errors import DataError
from tests.data.tiny import table, words


def form(values: Iterable[Any], *, kind: str | None = None) -> Answer:
    return recognise_answer([table({"answer": value} for value in values)["answer"]], kind).value


def labels(values: Iterable[Any]) -> tuple[str, ...] | None:
    answer = form(values)
    assert isinstance(answer, LabelAnswer)
    return answer.labels


def test_labels_are_most_frequent_first_and_numbers_in_order() -> None:
    assert labels("abb" * 7) == ("b", "a")
    assert labels([10, 9, 10, 9, 10, 9]) == ("9", "10")
    assert labels([True, False] * 4) == ("true", "false")
    assert labels(["a ", "a", " b", "b"] * 3) == ("a", "b")


def test_other_answers() -> None:
    assert form([words(n, 5) for n in range(20)]).kind == "text"
    assert form([f"t{n % (MAX_CHOICES + 1)}" for n in range(4 * MAX_CHOICES)]).kind == "text"
    assert form([n / 7 for n in range(20)]).kind == "number"
    tags = form([["a", "b"], ["a"]] * 5)
    assert isinstance(tags, LabelsAnswer)
    assert tags.labels == ("a", "b")
    names = form([[words(n, 1), words(n + 50, 1)] for n in range(20)])
    assert isinstance(names, JsonAnswer)
    assert names.columns == {"answer": "answer"}
    assert names.schema_["properties"]["answer"]["items"] == {"type": "string"}
    assert form(["x"] * 6 + [words(n, 3) for n in range(20)], kind="label").kind == "label"


def test_several_answers_make_an_object() -> None:
    columns = table({"what": "ab"[n % 2], "many": str(n % 3)} for n in range(12))
    answer = recognise_answer(list(columns.values())).value
    assert isinstance(answer, JsonAnswer)
    assert answer.columns == {"what": "what", "many": "many"}
    assert answer.schema_ == {
        "type": "object",
        "properties": {
            "what": {"enum": ["a", "b"]},
            "many": {"type": "integer", "minimum": 0, "maximum": 2},
        },
        "required": ["what", "many"],
        "additionalProperties": False,
    }


def test_objects_that_a_few_cells_are_not() -> None:
    assert form(['{"a": 1}'] * 19 + ["{broken"]).columns_read == ("answer",)
    assert form(['{"a": 1}'] * 19 + ["{broken"]).drafted()["column"] == "answer"


@pytest.mark.parametrize("kind", ["label", "text"])
def test_one_kind_of_answer_stands_in_one_column(kind: Any) -> None:
    columns = table([{"a": "x", "b": "y"}])
    with pytest.raises(DataError, match="--kind json"):
        recognise_answer(list(columns.values()), kind)
    with pytest.raises(DataError, match="holds no value"):
        recognise_answer([table([{"a": ""}])["a"]], kind)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
)
OBJECTS = st.dictionaries(
    st.sampled_from("abc"),
    SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from("xy"), SCALARS),
)


@given(objects=st.lists(OBJECTS, min_size=1, max_size=12))
def test_every_object_conforms_to_the_inferred_schema(objects: list[dict[str, Any]]) -> None:
    schema = infer_schema(objects)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for one in objects:
        validator.validate(one)


def test_a_value_that_occurs_once_hints_at_others() -> None:
    repeated = infer_schema([{"mood": "xy"[n % 2]} for n in range(20)])
    assert repeated["properties"]["mood"] == {"enum": ["x", "y"]}
    single = infer_schema([{"mood": "xyz"[n % 2 + (n == 19)]} for n in range(20)])
    assert single["properties"]["mood"] == {"type": "string"}
