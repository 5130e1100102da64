"""Lines of a pipe as rows: what ends a line, and what is no object."""

from __future__ import annotations

import pytest

from harness.cli.ask import _rows
from harness.errors import InputError


def test_only_a_line_feed_ends_a_line() -> None:
    text = 'one\u2028still one\x0cand one\r\n\n{"text": "two\u2028"}\n'
    assert _rows(text) == ["one\u2028still one\x0cand one", {"text": "two\u2028"}]


@pytest.mark.parametrize("line", ['{"text": "a"', "{text: a}", '{"a": 1} {"b": 2}'])
def test_a_broken_object_is_not_asked_as_a_text(line: str) -> None:
    with pytest.raises(InputError, match=r"^line 3: it begins with \{ and is no object of JSON"):
        _rows(f"fine\n\n  {line}\n")


def test_lines_that_hold_nothing_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads answers line by line would take the next one's for theirs."""
    assert _rows("one\n\n \r\ntwo\n") == ["one", "two"]
    assert "2 empty lines left out" in capsys.readouterr().err
    assert _rows("one\ntwo") == ["one", "two"]
    assert _rows("\n") == []
    assert capsys.readouterr().err == ""
