"""Rows of a JSON file: one object a line, objects one after another, a list, or one object.

Which of these it is shows in the file; its ending does not decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.answers.json_cells import object_of
from harness.data.chat import is_conversation
from harness.data.encoding import not_utf8
from harness.data.json_shapes import envelope, rows_within
from harness.data.rows import Row, Rows, rows_of
from harness.errors import DataError, Problem
from harness.records import JsonValue

_BETWEEN = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_NEXT_OBJECT = re.compile(r"^\{", re.MULTILINE)
# An object that is the only line of a .jsonl file is a row, unless it holds this many.
_FEWEST = 3


class _Constant(str):
    """NaN or an infinity, which JSON has not."""


_DECODER = json.JSONDecoder(parse_constant=_Constant, object_pairs_hook=object_of)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one way of reading a file gives."""

    values: tuple[tuple[int, JsonValue], ...]
    """The values, each with its line."""
    problems: tuple[Problem, ...] = ()
    """What is no JSON, each located."""
    each: str = "each line"
    """What a value is of the file, for messages."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it stands there, a sentence each."""

    @property
    def objects(self) -> int:
        return sum(isinstance(value, dict) for _, value in self.values)


def json_rows(source: str, content: bytes) -> Rows:
    """Rows of a file in UTF-8.

    A list of messages that stands where a row is expected is a row with the column ``messages``.

    Raises:
        DataError: the list that is the whole file is no JSON, there is no row, or an object that
            is the whole file may be read in two ways.
    """
    parsed = _values(source, content)
    rows: list[Row] = []
    problems = list(parsed.problems)
    # Most files are spared the search.
    may_hold = b"NaN" in content or b"Infinity" in content
    for line, value in parsed.values:
        row = _row(value)
        constant = next(_constants(row), None) if may_hold else None
        if row is None:
            example = ' such as {"text": …}' if parsed.each == "each line" else ""
            what = f"{parsed.each} must be an object{example}, not {_kind_of(value)}"
            problems.append(Problem(f"{source}:{line}", what))
        elif constant is not None:
            what = f"not valid JSON: {constant} is not JSON; leave the field out or write null"
            problems.append(Problem(f"{source}:{line}", what))
        else:
            rows.append(Row(line, row))
    problems.sort(key=lambda problem: int(problem.where.rpartition(":")[2]))
    notes = list(parsed.notes)
    if (held := envelope([row.values for row in rows])) is not None:
        rows = [Row(row.line, _opened(row.values, held)) for row in rows]
        notes.append(f"the fields of each row stand under `{held}`")
    return rows_of(source, rows, problems, notes=notes)


def _values(source: str, content: bytes) -> _Found:
    parsed = _lines(source, content)
    if content.lstrip()[:1] == b"[" and not (parsed.objects > 1 or _begins_with_a_line(content)):
        parsed = _elements(source, content)
        messages = [value for _, value in parsed.values]
        return _Found(((1, messages),)) if is_conversation(messages) else parsed
    if parsed.problems:
        # Objects over several lines, or several on one: what gives more rows is meant.
        other = _one_after_another(source, content)
        is_one_broken = other.problems and not parsed.objects
        if other.objects > parsed.objects or is_one_broken:
            parsed = other
    if len(parsed.values) != 1 or parsed.problems or not isinstance(parsed.values[0][1], dict):
        return parsed
    is_line = source.lower().endswith(("jsonl", "ndjson")) and parsed.each == "each line"
    within = rows_within(source, parsed.values[0][1], _FEWEST if is_line else 1)
    if within is None:
        return parsed
    values = tuple(enumerate(within.values, start=1))
    return _Found(values, each="each element", notes=(within.note,))


def _begins_with_a_line(content: bytes) -> bool:
    """Whether the first line is a value, and not all there is."""
    first, _, rest = content.strip().partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest)


def _lines(source: str, content: bytes) -> _Found:
    values: list[tuple[int, JsonValue]] = []
    problems: list[Problem] = []
    # Not splitlines(): U+2028 and its like may stand in a JSON string.
    for number, raw in enumerate(content.split(b"\n"), start=1):
        if not raw.strip():
            continue
        where = f"{source}:{number}"
        try:
            values.append((number, _DECODER.decode(raw.decode("utf-8"))))
        except UnicodeDecodeError as error:
            problems.append(Problem(where, not_utf8(error)))
        except json.JSONDecodeError as error:
            what = f"not valid JSON: {error.msg} at column {error.colno}; one object a line"
            problems.append(Problem(where, what))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(where, f"not valid JSON: {error}"))
    return _Found(tuple(values), tuple(problems))


def _one_after_another(source: str, content: bytes) -> _Found:
    """Values with nothing, space or commas between; after a broken one the next line with a brace.

    Nothing is found where the file is not UTF-8: its lines are located.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _Found(())
    values: list[tuple[int, JsonValue]] = []
    problems: list[Problem] = []
    at = _end(_BETWEEN, text, 0)
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            problems.append(_not_json(source, text, at, error))
            following = _NEXT_OBJECT.search(text, at + 1)
            at = following.start() if following else len(text)
        else:
            values.append((at, value))
            at = _end(_BETWEEN, text, end)
    return _Found(_located(text, values), tuple(problems), "each value")


def _elements(source: str, content: bytes) -> _Found:
    """The elements of the list that the file is."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(Problem(f"{source}:{line}", not_utf8(error))) from error
    values: list[tuple[int, JsonValue]] = []
    at = end = _end(_SPACE, text, text.index("[") + 1)
    is_closed = text[at : at + 1] == "]"
    while not is_closed:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise DataError(_not_json(source, text, at, error)) from error
        values.append((at, value))
        end = _end(_SPACE, text, end)
        is_closed = text[end : end + 1] == "]"
        if not is_closed and text[end : end + 1] != ",":
            raise _broken(source, text, end, "a comma or the end of the list is missing")
        at = _end(_SPACE, text, end + 1)
    after = _end(_SPACE, text, end + 1)
    if after < len(text):
        raise _broken(source, text, after, "more stands after the end of the list")
    return _Found(_located(text, values), each="each element")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _broken(source: str, text: str, at: int, what: str) -> DataError:
    line = text.count("\n", 0, at) + 1
    return DataError(Problem(f"{source}:{line}", f"not valid JSON: {what}"))


def _not_json(source: str, text: str, at: int, error: Exception) -> Problem:
    what, line = str(error), text.count("\n", 0, at) + 1
    if isinstance(error, json.JSONDecodeError):
        what, line = f"{error.msg} at column {error.colno}", error.lineno
    return Problem(f"{source}:{line}", f"not valid JSON: {what}")


def _located(text: str, values: list[tuple[int, JsonValue]]) -> tuple[tuple[int, JsonValue], ...]:
    """The values with their lines; numbered where two begin on one."""
    lines: list[int] = []
    line, seen = 1, 0
    for at, _ in values:
        line, seen = line + text.count("\n", seen, at), at
        lines.append(line)
    if len(set(lines)) < len(lines):
        lines = list(range(1, len(lines) + 1))
    return tuple((line, value) for line, (_, value) in zip(lines, values, strict=True))


def _row(value: JsonValue) -> dict[str, JsonValue] | None:
    """The object that a value is, also as a text or as the list of messages of one."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = _DECODER.decode(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, dict):
        return value
    return {"messages": value} if is_conversation(value) else None


def _opened(row: dict[str, Any], held: str) -> dict[str, JsonValue]:
    beside = {name: value for name, value in row.items() if name != held}
    return {**beside, **row[held]}


def _constants(value: Any) -> Iterator[str]:
    if isinstance(value, _Constant):
        yield value
    elif isinstance(value, dict | list):
        for element in value.values() if isinstance(value, dict) else value:
            yield from _constants(element)


def _kind_of(value: object) -> str:
    if isinstance(value, _Constant):
        return value
    return _JSON_KINDS.get(type(value), "a number")


_JSON_KINDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    bool: "a truth value",
    type(None): "null",
}
