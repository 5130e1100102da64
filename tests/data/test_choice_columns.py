"""Choices that stand in one list are shown as columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data.read import read_rows, rows_in_memory


def columns_of(*choices: Any, name: str = "choices") -> tuple[str, ...]:
    return rows_in_memory([{"question": "q", name: each} for each in choices]).columns


def test_each_choice_is_a_column_counted_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"question": "q", "choices": ["Oslo", 7]}) + "\n", encoding="utf-8")
    table = read_rows(str(path))
    assert table.columns == ("question", "choices", "choices_0", "choices_1")
    assert (table.rows[0].values["choices_0"], table.rows[0].values["choices_1"]) == ("Oslo", 7)


@pytest.mark.parametrize(
    "choices",
    [
        (["a", "b"], ["a", "b", "c"]),
        (["a", "b"], None),
        (["a", "b"], ["a", {"text": "b"}]),
        (["a", "b"], ["a", " "]),
        (["only"],),
        ([str(n) for n in range(9)],),
        ({"text": ["a", "b"]},),
    ],
)
def test_other_lists_are_left_as_they_are(choices: Any) -> None:
    assert columns_of(*choices) == ("question", "choices")
    assert columns_of(["a", "b"], name="tags") == ("question", "tags")


def test_a_column_of_the_file_is_not_replaced() -> None:
    rows = [{"choices": ["a", "b"], "choices_1": "mine"}]
    assert rows_in_memory(rows).columns == ("choices", "choices_1")
