"""What a file is taken for when nobody says so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.infer import MAX_LABELS, infer_schema, propose
from harness.errors import DataError

from .tiny import words, write_jsonl


def file(folder: Path, rows: Iterable[dict[str, Any]]) -> str:
    return str(write_jsonl(folder / "rows.jsonl", rows))


def test_labels(tmp_path: Path) -> None:
    rows = ({"id": n, "text": words(n * 9, 9), "topic": "ab"[n % 2]} for n in range(20))
    found = propose(file(tmp_path, rows))
    assert (found.text, found.answer, found.answer_kind) == ("text", "topic", "label")
    assert (found.labels, found.rows, found.group) == (("a", "b"), 20, None)
    assert found.schema is None
    assert len(found.reasons) == 3


def test_labels_most_frequent_first(tmp_path: Path) -> None:
    rows = ({"text": words(n * 9, 9), "topic": "abb"[n % 3]} for n in range(21))
    assert propose(file(tmp_path, rows)).labels == ("b", "a")


def test_json_objects_even_where_none_repeats(tmp_path: Path) -> None:
    rows = (
        {"text": words(n * 9, 9), "kind": "ab"[n % 2], "answer": {"n": n, "mood": "xy"[n % 2]}}
        for n in range(20)
    )
    found = propose(file(tmp_path, rows))
    assert (found.answer, found.answer_kind) == ("answer", "json")
    assert found.schema == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 0, "maximum": 19},
            "mood": {"enum": ["x", "y"]},
        },
        "required": ["n", "mood"],
    }


def test_json_text_is_json(tmp_path: Path) -> None:
    rows = ({"text": words(n * 9, 9), "out": f'{{"n": {n}}}'} for n in range(6))
    assert propose(file(tmp_path, rows)).answer_kind == "json"


def test_free_text(tmp_path: Path) -> None:
    rows = ({"question": words(n * 9, 9), "reply": words(n * 5, 5)} for n in range(20))
    found = propose(file(tmp_path, rows), text="question")
    assert (found.answer, found.answer_kind, found.labels) == ("reply", "text", ())


def test_too_many_labels_are_free_text(tmp_path: Path) -> None:
    rows = [
        {"text": words(n * 9, 9), "topic": f"t{n % (MAX_LABELS + 1)}"}
        for n in range(4 * MAX_LABELS)
    ]
    assert propose(file(tmp_path, rows), answer="topic").answer_kind == "text"


def test_groups_have_a_telling_name_and_repeat(tmp_path: Path) -> None:
    rows = [
        {"text": words(n * 9, 9), "topic": "ab"[n % 2], "customer_id": f"c{n % 5}", "user": n}
        for n in range(20)
    ]
    assert propose(file(tmp_path, rows)).group == "customer_id"
    assert propose(file(tmp_path, rows), group="topic").group == "topic"


def test_what_is_given_is_kept(tmp_path: Path) -> None:
    rows = ({"long": words(n * 20, 20), "short": "x", "topic": "ab"[n % 2]} for n in range(8))
    found = propose(file(tmp_path, rows), text="short", answer="topic")
    assert (found.text, found.answer) == ("short", "topic")
    assert len(found.reasons) == 1


@pytest.mark.parametrize("option", ["text", "answer", "group"])
def test_a_column_that_is_not_there(tmp_path: Path, option: str) -> None:
    source = file(tmp_path, [{"a": "x", "b": "y"}])
    with pytest.raises(DataError, match="no column 'c'; it has a, b"):
        propose(source, **{option: "c"})


@pytest.mark.parametrize(
    ("rows", "given_text"),
    [([{"a": "x"}], None), ([{"a": "x"}], "a"), ([{"a": "x", "b": None}], "a")],
)
def test_too_few_columns(
    tmp_path: Path, rows: list[dict[str, Any]], given_text: str | None
) -> None:
    with pytest.raises(DataError, match="--text and --answer"):
        propose(file(tmp_path, rows), text=given_text)


def test_an_answer_column_without_values(tmp_path: Path) -> None:
    source = file(tmp_path, [{"a": "x", "b": None}, {"a": "y", "b": ""}])
    with pytest.raises(DataError, match="holds no value"):
        propose(source, answer="b")
    with pytest.raises(DataError, match="no column is left for the text"):
        propose(source, answer="a")


def test_one_column_is_not_both(tmp_path: Path) -> None:
    source = file(tmp_path, [{"a": "x", "b": "y"}])
    with pytest.raises(DataError, match="cannot be both"):
        propose(source, text="a", answer="a")


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
    for one in objects:
        jsonschema.validate(one, schema)
