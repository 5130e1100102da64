"""People's marks of replies: what is read, and what is refused with its line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import read_calibration
from harness.errors import DataError
from harness.records import CalibrationRow, reply_key

IDS = {"1", "2", "x"}


def read(folder: Path, text: str, name: str = "human.csv") -> tuple[CalibrationRow, ...]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_calibration(str(path), (1, 5), IDS)


def test_marks_are_read_and_rows_not_filled_in_are_left_out(tmp_path: Path) -> None:
    text = '\ufeffid,text,target,reply,score\n1,t,a,"two\nlines",4\n2,t,a,one,\nx,t,a,"a, b",1.5\n'
    assert read(tmp_path, text) == (
        CalibrationRow("1", "two\nlines", 4.0),
        CalibrationRow("x", "a, b", 1.5),
    )
    lines = '{"id": 1, "reply": "r", "score": 5}\n{"id": "2", "reply": "s", "score": null}\n'
    assert read(tmp_path, lines, "human.jsonl") == (CalibrationRow("1", "r", 5.0),)


def test_two_replies_to_one_item_have_a_mark_each(tmp_path: Path) -> None:
    assert len(read(tmp_path, "id,reply,score\n1,good,5\n1,bad,1\n1,bad,1\n")) == 2


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param("id,answer,score\n1,a,2\n", 1, "no column reply", id="column"),
        pytest.param("id,reply,score\n1,a,2\n2,b,6\n", 3, "score: 6 is not on the scale from 1",
                     id="scale"),
        pytest.param("id,reply,score\n1,a,good\n", 2, "score: 'good' is no number", id="number"),
        pytest.param("id,reply,score\n9,a,2\n", 2, "id: '9' is no item", id="id"),
        pytest.param("id,reply,score\n1,a,2\n1,a,3\n", 3, "given 3 here and 2 above", id="twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert f"human.csv:{line}" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("id,reply,score\n1,a,\n", "human.csv", "holds no mark"),
        ("id,reply,score\n", "human.csv", "holds no"),
        ("", "human.csv", "human.csv"),
        ("id\treply\tscore\n", "human.xlsx", "read from .csv or .jsonl"),
    ],
)
def test_a_file_without_marks_is_refused(tmp_path: Path, text: str, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, text, name)


def test_a_reply_is_found_again_whatever_a_spreadsheet_made_of_its_breaks() -> None:
    assert reply_key("one\r\n two ") == reply_key("one\ntwo")
    assert reply_key("one two") != reply_key("onetwo")
