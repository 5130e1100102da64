"""General texts: which are taken, and which are left out because something is judged by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import read_general_texts
from harness.errors import DataError

from .tiny import example, words, write_jsonl


def write_texts(folder: Path, *texts: object, column: str = "text") -> str:
    return str(write_jsonl(folder / "texts.jsonl", [{column: text} for text in texts]))


def test_the_first_texts_are_taken_and_blank_rows_passed_over(tmp_path: Path) -> None:
    source = write_texts(tmp_path, "one", "", None, " ", "two", "three", column="body")
    found = read_general_texts(source, "body", 2, {})
    assert [(e.inputs, e.line) for e in found.examples] == [
        ({"text": "one"}, 1),
        ({"text": "two"}, 5),
    ]
    assert len({e.id for e in found.examples}) == 2
    assert (found.read, found.left_out, found.sentence()) == (2, {}, "")


def test_texts_that_are_judged_by_are_left_out_and_counted(tmp_path: Path) -> None:
    source = write_texts(
        tmp_path,
        words(0, 12),
        f"News: {words(100, 9)} and more.",
        "Short, but equal!",
        words(300, 30) + " changed",
        words(400, 7),
        "Nowhere else.",
    )
    judged = {
        "validation": [example("a", "short but equal")],
        "test": [example("b", words(300, 30)), example("c", words(0, 12))],
        "films": [example("d", "nothing in common"), example("e", words(0, 12))],
        "mini_text": [
            example("f", f"{words(100, 9)} {words(200, 9)}"),
            example("g", words(400, 7) + " x y z"),
        ],
    }
    found = read_general_texts(source, "text", 100, judged)
    assert [e.inputs["text"] for e in found.examples] == [words(400, 7), "Nowhere else."]
    assert (found.read, found.left_out) == (6, {"validation": 1, "test": 2, "mini_text": 1})
    assert found.sentence() == (
        f"general.replay: 4 of 6 texts of {source} left out, because they also stand in what is "
        "judged by: 1 in validation, 2 in test, 1 in mini_text"
    )


def test_a_source_that_gives_no_text_is_an_error(tmp_path: Path) -> None:
    source = write_texts(tmp_path, words(0, 9), column="body")
    with pytest.raises(DataError, match=r"no column 'bodi'.*did you mean 'body'"):
        read_general_texts(source, "bodi", 10, {})
    with pytest.raises(DataError, match="they all stand in what is judged by"):
        read_general_texts(source, "body", 10, {"test": [example("a", words(0, 9))]})
    with pytest.raises(DataError, match="column 'body' holds none"):
        read_general_texts(write_texts(tmp_path, "", column="body"), "body", 10, {})
    (tmp_path / "texts.jsonl").write_text('{"text": "fine"}\nnot JSON\n')
    with pytest.raises(DataError, match=r"texts\.jsonl:2: not valid JSON"):
        read_general_texts(str(tmp_path / "texts.jsonl"), "text", 10, {})
