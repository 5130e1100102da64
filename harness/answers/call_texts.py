"""Where texts of arguments stand in a reply: the marks of calls within them are letters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import regex

from harness.answers.call_python import python_calls
from harness.answers.call_values import BrokenCallError, calls_of
from harness.answers.json_cells import JsonText, RepeatedFieldError, may_be_json, read_json_text
from harness.answers.json_text import DECODER

PYTHON_TAG = "<|python_tag|>"
FENCE = regex.compile(r"(`{3,}|~{3,})[^\n`]*\n(.*?)\n?[^\S\n]*\1", regex.S)
_MARK_BEGINS = regex.compile(r"<|\[(?=TOOL_CALLS\])")
# What is longer is not looked at as a whole.
_LONGEST = 100_000


def without_marks_in_arguments(text: str) -> str:
    """The text, its places the same, with other letters for marks in texts of arguments."""
    if not _MARK_BEGINS.search(text):
        return text
    in_python = [(0, len(text)), *(fence.span(2) for fence in FENCE.finditer(text))]
    if (tag := text.find(PYTHON_TAG)) >= 0:
        in_python.append((tag + len(PYTHON_TAG), len(text)))
    spans = [(start, end) for start, end in in_python if _is_python(text[start:end])]
    spans += [(start, end) for value, start, end in values_in(text) if _is_call(value)]
    for start, end in spans:
        text = text[:start] + _MARK_BEGINS.sub("\0", text[start:end]) + text[end:]
    return text


def _is_python(text: str) -> bool:
    try:
        return python_calls(text) is not None
    except (BrokenCallError, RepeatedFieldError):
        return True  # Of calls, though they cannot be made.


def _is_call(value: Any) -> bool:
    try:
        return any(not call.bare for call in calls_of(value))
    except (BrokenCallError, RepeatedFieldError):
        return False


def values_in(text: str) -> Iterator[tuple[Any, int, int]]:
    """The JSON objects and lists in a text, one after the other, with their places in it."""
    if (whole := whole_json(text)) is not None:
        yield whole.value, 0, len(text)
        return
    place = 0
    while (found := regex.search(r"[{\[]", text, pos=place)) is not None:
        try:
            value, place = DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            place = found.start() + 1
            continue
        if isinstance(value, dict | list):
            yield value, found.start(), place


def whole_json(text: str) -> JsonText | None:
    """The JSON that a text is; None where it is something else, or much too long."""
    if not may_be_json(text) or len(text) > _LONGEST:
        return None
    try:
        return read_json_text(text)
    except ValueError:
        return None


__all__ = ["FENCE", "PYTHON_TAG", "values_in", "whole_json", "without_marks_in_arguments"]
