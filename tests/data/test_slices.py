"""Columns that divide the test: read beside the task, in no hash, checked by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.data import fingerprint, prepare
from harness.data.slices import MOST_NUMBERS, slice_ids, slice_text
from harness.errors import DataError
from harness.records import Example, JsonValue

from .tiny import experiment, words, write_jsonl


def rows(count: int = 40, **columns: Any) -> list[dict[str, Any]]:
    return [
        {
            "text": words(n * 10, 10),
            "label": "ab"[n % 2],
            **{name: values[n % len(values)] for name, values in columns.items()},
        }
        for n in range(count)
    ]


def examples(*values: str) -> list[Example]:
    return [
        Example(f"k{n}", {"text": f"t{n}"}, "a", f"k{n}", slices={"channel": value})
        for n, value in enumerate(values)
    ]


def test_values_are_read_and_change_no_hash(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(channel=["phone", " web ", None]))
    sliced = prepare(experiment(path, slices=["channel"]))
    plain = prepare(experiment(path))
    assert {one.slices["channel"] for one in sliced.splits.train} == {"phone", "web", ""}
    assert sliced.fingerprint == plain.fingerprint
    assert fingerprint({"test": sliced.splits.test}) == fingerprint({"test": plain.splits.test})
    assert not any(one.slices for one in plain.splits.test)


def test_the_columns_change_no_identity(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(channel=["phone", "web"]))
    sliced, plain = experiment(path, slices=["channel"]), experiment(path)
    assert sliced.trial_identity() == plain.trial_identity()


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(channel=["phone", "web"]))
    with pytest.raises(DataError, match=r"no column 'chanel' \(did you mean 'channel'"):
        prepare(experiment(path, slices=["chanel"]))


def test_only_the_test_file_needs_it(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows())
    test = write_jsonl(tmp_path / "test.jsonl", rows(12, text=["one", "two", "three"], id=["x"]))
    with_column = write_jsonl(tmp_path / "test2.jsonl", rows(12, channel=["phone"]))
    with pytest.raises(DataError, match="no column 'channel'"):
        prepare(experiment(train, slices=["channel"], splits={"test": str(test)}))
    prepared = prepare(experiment(train, slices=["channel"], splits={"test": str(with_column)}))
    assert {one.slices["channel"] for one in prepared.splits.test} == {"phone"}


def test_the_same_column_twice_is_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(channel=["phone"]))
    with pytest.raises(ValueError, match="a column stands twice"):
        experiment(path, slices=["channel", "channel"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" web ", "web"),
        (None, ""),
        (math.nan, ""),
        (True, "true"),
        (3, "3"),
        (["b", "a"], '["b", "a"]'),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
    ],
)
def test_any_cell_has_a_value(value: JsonValue, text: str) -> None:
    assert slice_text(value) == text


def test_ids_by_value_what_is_missing_last() -> None:
    found = slice_ids(examples("web", "", "phone", "web"), ["channel"])
    assert found == {"channel": {"phone": ("k2",), "web": ("k0", "k3"), "": ("k1",)}}
    assert list(found["channel"]) == ["phone", "web", ""]


def test_few_numbers_are_classes_in_their_order() -> None:
    found = slice_ids(examples("10", "9", "2", "other"), ["channel"])
    assert list(found["channel"]) == ["2", "9", "10", "other"]


def test_many_numbers_are_divided_in_three() -> None:
    numbers = [str(n) for n in range(1, MOST_NUMBERS + 3)]
    parts = slice_ids(examples(*numbers, ""), ["channel"])["channel"]
    assert {name: len(ids) for name, ids in parts.items()} == {
        "up to 4": 4,
        "above 4, up to 8": 4,
        "above 8": 4,
        "": 1,
    }
    assert parts["up to 4"] == ("k0", "k1", "k2", "k3")
