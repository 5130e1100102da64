"""Rows to examples: canonical answers, and every bad row told with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data import ExamplesRead, read_examples
from harness.errors import DataError
from harness.spec import Experiment
from tests.real_data import (
    SNIPS_SCHEMA,
    frequent_intents,
    write_banking77,
    write_snips,
    write_snips_undecoded,
)

from .tiny import LABEL, RATING_SCHEMA, TEXT, experiment, write_jsonl

RATING = {"kind": "json", "columns": {"mood": "m", "stars": "s"}, "schema": RATING_SCHEMA}
WHOLE = {"kind": "json", "column": "answer", "schema": RATING_SCHEMA}


def read(path: Path, **options: Any) -> ExamplesRead:
    setting: Experiment = experiment(path, **options)
    return read_examples(str(path), setting)


def told(result: ExamplesRead) -> list[tuple[int, str]]:
    return [(int(p.where.rpartition(":")[2]), p.what) for p in result.problems]


def test_text_answers_stand_as_they_are_and_labels_without_space_around(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"text": "Hi  there", "label": " Odd label "}])
    for answer, wanted in ((LABEL, "Odd label"), (TEXT, " Odd label ")):
        (example,) = read(path, answer=answer).examples
        assert example.inputs == {"text": "Hi  there"}
        assert example.answer == wanted
        assert (example.id, example.group, example.line) == ("1", "1", 1)


def test_json_answers_take_the_schema_types_and_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,s,m\nx,3,good\ny," 4.0 ",bad\n')
    answers = [example.answer for example in read(path, answer=RATING).examples]
    assert answers == ['{"mood": "good", "stars": 3}', '{"mood": "bad", "stars": 4}']


def test_json_answers_are_composed(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"cafe\u0301": {"enum": ["the\u0301", "eau"]}},
        "required": ["cafe\u0301"],
    }
    rows = [{"text": "a", "d": "the\u0301"}, {"text": "b", "d": "th\u00e9"}]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    answer = {"kind": "json", "schema": schema, "columns": {"cafe\u0301": "d"}}
    answers = [example.answer for example in read(path, answer=answer).examples]
    assert answers == ['{"caf\u00e9": "th\u00e9"}'] * 2


def test_a_json_answer_nested_too_deep_is_a_bad_row(tmp_path: Path) -> None:
    deep = '{"a": ' * 200 + "1" + "}" * 200
    path = write_jsonl(
        tmp_path / "rows.jsonl", [{"text": "a", "d": deep}, {"text": "b", "d": "{}"}]
    )
    found = read(path, answer={"kind": "json", "schema": {"type": "object"}, "column": "d"})
    assert told(found) == [(1, "d: lists and objects are nested more than 64 deep")]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, 12.0, 12),
        ({"type": "integer"}, "12345678901234567890", 12345678901234567890),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "boolean"}, "True", True),
        ({"type": "boolean"}, "0", False),
        ({"type": "string"}, "12", "12"),
        ({"type": "string"}, 12, "12"),
        ({"type": ["integer", "null"]}, "", None),
        ({"type": ["integer", "null"]}, None, None),
        ({"enum": [1, 2, "x"]}, "2", 2),
        ({"enum": ["1", 2]}, "1", "1"),
        ({"type": "array"}, "[1, 2]", [1, 2]),
        ({"anyOf": [{"type": "string"}]}, "as is", "as is"),
    ],
)
def test_coercion(tmp_path: Path, schema: dict[str, Any], value: object, expected: object) -> None:
    answer = {
        "kind": "json",
        "columns": {"field": "v"},
        "schema": {"type": "object", "properties": {"field": schema}, "required": ["field"]},
    }
    path = write_jsonl(tmp_path / "rows.jsonl", [{"text": "x", "v": value}])
    (example,) = read(path, answer=answer).examples
    assert json.loads(example.answer) == {"field": expected}
    assert type(json.loads(example.answer)["field"]) is type(expected)


def test_empty_value_of_an_optional_field_is_left_out(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
              "required": ["b"]}  # fmt: skip
    answer = {"kind": "json", "columns": {"a": "a", "b": "b"}, "schema": schema}
    path = tmp_path / "rows.csv"
    path.write_text("text,a,b\nx,,yes\n")
    assert [e.answer for e in read(path, answer=answer).examples] == ['{"b": "yes"}']


def test_whole_json_answer_from_an_object_or_its_text(tmp_path: Path) -> None:
    value = {"stars": 1, "mood": "bad"}
    path = write_jsonl(
        tmp_path / "rows.jsonl",
        [{"text": "x", "answer": value}, {"text": "y", "answer": json.dumps(value)}],
    )
    answers = {example.answer for example in read(path, answer=WHOLE).examples}
    assert answers == {'{"mood": "bad", "stars": 1}'}


def test_every_bad_row_is_told_with_its_line_and_reason(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "rows.jsonl",
        [
            {"key": "a", "text": "fine", "m": "good", "s": 1},
            {"key": "a", "text": "same id", "m": "good", "s": 1},
            {"key": "b", "text": "  ", "m": "good", "s": 1},
            {"key": "c", "text": ["nested"], "m": "good", "s": 1},
            {"key": "d", "text": "no stars", "m": "good"},
            {"key": "e", "text": "too many", "m": "good", "s": 9},
            {"key": "f", "m": "ugly", "s": "many"},
            {"key": None, "text": "no id", "m": "good", "s": 1},
            {"key": "g", "text": "fine too", "m": "bad", "s": 0},
        ],
    )
    result = read(path, answer=RATING, id="key")
    assert [example.id for example in result.examples] == ["a", "g"]
    found = told(result)
    assert sorted({line for line, _ in found}) == [2, 3, 4, 5, 6, 7, 8]
    expected = {
        2: "stands already on line 1",
        3: "text is empty",
        4: "holds a list",
        5: "stars",
        6: "9 is greater than the maximum of 5",
        8: "key: the value is missing",
    }
    for line, what in expected.items():
        assert any(what in said for at, said in found if at == line), (line, found)
    assert len([said for line, said in found if line == 7]) == 2


def test_half_a_surrogate_pair_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "ok", "label": "a"}\n{"text": "\\ud800", "label": "a"}\n')
    result = read(path)
    assert len(result.examples) == 1
    assert "surrogate" in told(result)[0][1]


def test_undeclared_label_is_told_with_the_declared_ones(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "rows.jsonl",
        [{"text": "x", "label": "yes"}, {"text": "y", "label": "Yes"}],
    )
    result = read(path, answer={**LABEL, "labels": ["yes", "no"]})
    assert told(result) == [
        (
            2,
            "label: label 'Yes' is not one of task.answer.labels (yes, no); correct the row or "
            "add the label",
        )
    ]


def test_one_field_of_several_may_be_empty(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"title": "", "text": "body", "label": 1}])
    (example,) = read(path, template="{title}: {text}").examples
    assert example.inputs == {"title": "", "text": "body"}
    assert example.answer == "1"


def test_space_around_it_makes_no_other_group(tmp_path: Path) -> None:
    rows = [{"text": "x", "label": "a", "who": who} for who in ("Ann", " Ann", "Ann\u200b\u00a0")]
    read_ = read(write_jsonl(tmp_path / "rows.jsonl", rows), group="who")
    assert {example.group for example in read_.examples} == {"Ann"}


def test_columns_of_an_arms_template_are_read_too(tmp_path: Path) -> None:
    rows = [
        {"text": "body", "title": "T", "stars": 3, "label": "a"},
        {"text": " ", "title": "only a title", "stars": 3, "label": "a"},
        {"text": "no stars", "title": "T", "label": "a"},
    ]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    own = {"choices": ["{title}: {text}", "{text} ({stars})"]}
    arms = {"zero": {"kind": "prompt", "template": own}}
    setting = Experiment.model_validate({**experiment(path).plain(), "arms": arms})
    result = read_examples(str(path), setting)
    (example,) = result.examples
    assert example.inputs == {"text": "body", "title": "T", "stars": "3"}
    # What the task itself shows decides whether there is a text at all.
    (empty_at, empty), (missing_at, missing) = told(result)
    assert (empty_at, missing_at) == (2, 3)
    assert empty == "text: the text is empty; fill it in"
    assert missing.startswith("stars: ")


def test_column_missing_from_the_whole_file_is_one_problem(tmp_path: Path) -> None:
    rows = [{"texts": str(number), "label": "a"} for number in range(50)]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert "'text' (did you mean 'texts'?)" in problem.what
    assert "'texts', 'label'" in problem.what


@pytest.mark.real_data
def test_banking77(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "banking.csv"
    written = write_banking77(shared_data, path)
    result = read(path, answer={"kind": "label", "column": "category"})
    assert result.problems == ()
    assert len(result.examples) == written > 2000
    assert {example.answer for example in result.examples} == set(frequent_intents(shared_data))


@pytest.mark.real_data
def test_snips(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "snips.jsonl"
    written = write_snips(shared_data, path, per_intent=200)
    answer = {"kind": "json", "column": "answer", "schema": SNIPS_SCHEMA}
    result = read(path, answer=answer)
    assert result.problems == ()
    assert len(result.examples) == written == 1400


@pytest.mark.real_data
def test_line_that_is_not_utf8_is_told_by_its_number(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "music.jsonl"
    written = write_snips_undecoded(shared_data, path, "PlayMusic")
    answer = {"kind": "json", "column": "answer", "schema": SNIPS_SCHEMA}
    result = read(path, answer=answer)
    stray = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            line.decode()
        except UnicodeDecodeError:
            stray.append(number)
    assert stray
    assert [line for line, _ in told(result)] == stray
    assert all("not UTF-8: byte 0x" in what for _, what in told(result))
    assert len(result.examples) == written - len(stray)

    clean = tmp_path / "clean.jsonl"
    assert write_snips(shared_data, clean, intents=["PlayMusic"]) == written
    assert read(clean, answer=answer).problems == ()
