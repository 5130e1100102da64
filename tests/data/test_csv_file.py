"""Tables that people save: titles, notes and separators that are not what they seem."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.data import Rows, read_rows
from harness.errors import DataError


def read(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Rows:
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(str(path), encoding)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("sep=,\nletter;kind\nDear all;a\nHello;b\n", "says that commas separate the fields"),
        ("Letters of May\nletter,kind\nDear,a\nHi,b\n", "3 rows have 2 fields, and what stands"),
        ("letter,kind\nDear, all,a\nHi, all,b\n", r"has 2 \(letter, kind\)"),
        (b"\x89PNG\r\n\x1a\n" + os.urandom(900), "is no text"),
        ("letter,kind\nDear,a\n".encode("utf-16-le"), "is UTF-16, not UTF-8.*utf-16-le"),
        ("letter,kind\nDear,a\n".encode("utf-32"), "is UTF-32, not UTF-8.*utf-32"),
    ],
)
def test_a_file_that_is_no_such_table_is_named(
    tmp_path: Path, content: str | bytes, what: str
) -> None:
    with pytest.raises(DataError, match=what):
        read(tmp_path, content)


def test_a_few_rows_of_another_width_are_bad_rows(tmp_path: Path) -> None:
    found = read(tmp_path, "letter,kind\nDear, all,a\nHi,b\nHello,a\n")
    assert (len(found.rows), [problem.where[-1] for problem in found.problems]) == (2, ["2"])


def test_names_of_columns_have_no_space_around_them(tmp_path: Path) -> None:
    assert read(tmp_path, "letter , kind\nDear,a\n").columns == ("letter", "kind")


def test_a_first_row_that_is_no_header_is_said(tmp_path: Path) -> None:
    (note,) = read(tmp_path, "Dear all,a\nHello,b\nHi,a\n").notes
    assert note.startswith("`a` is the name of a column and stands in it, too")
    assert read(tmp_path, "letter,kind\nDear all,a\n").notes == ()


def test_a_text_may_hold_a_zero_byte(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"letter,kind\n{'Dear all ' * 9}\0,a\n").rows
    assert "\0" in str(row.values["letter"])
