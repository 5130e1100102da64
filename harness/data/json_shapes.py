"""A JSON file that is one object: a list of rows under a name, or a table by columns or by rows.

Also rows whose fields stand in an object of their own, as search engines and servers send them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from harness.data.chat import is_conversation
from harness.data.name_words import TEXTS
from harness.errors import DataError, Problem
from harness.records import JsonValue
from harness.wording import listed

# Objects within objects in which a list of rows is looked for.
_DEEPEST = 4
# What holds the fields of a row, beside its number and the like; and how long these may be.
_ENVELOPES = ("_source", "attributes", "data", "doc", "document", "fields", "item", "record", "row")
_LONGEST_MARK = 64


@dataclass(frozen=True, slots=True)
class RowsWithin:
    """Rows that stand within an object."""

    values: tuple[JsonValue, ...]
    """The rows; some may be no objects."""
    note: str
    """Where they stand, a sentence."""


def rows_within(source: str, value: dict[str, Any], fewest: int) -> RowsWithin | None:
    """The rows that an object holds; None where it is a row itself.

    Args:
        fewest: rows from which on an object is taken for more than one.

    Raises:
        DataError: it holds several lists of rows, or columns of different lengths.
    """
    within = (
        _split(value)
        or _by_columns(source, value)
        or _by_rows(value)
        or _listed(source, value, fewest)
    )
    return within if within is not None and len(within.values) >= fewest else None


def envelope(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The name of the object that holds the fields of each row; None where there is none.

    Beside it stand numbers, marks and the like, and none of its names.
    """
    for name in _ENVELOPES:
        if rows and all(_is_envelope(row, name) for row in rows):
            return name
    return None


def _is_envelope(row: Mapping[str, Any], name: str) -> bool:
    held = row.get(name)
    beside = {other: value for other, value in row.items() if other != name}
    return (
        isinstance(held, dict)
        and not set(beside) & set(held)
        and not any(other.lower() in TEXTS or _may_be_shown(v) for other, v in beside.items())
    )


def _may_be_shown(value: object) -> bool:
    """Whether a value is more than a number, a mark or nothing."""
    if isinstance(value, str):
        return len(value) > _LONGEST_MARK or not value.isascii() or " " in value.strip()
    return isinstance(value, dict | list) and bool(value)


def _split(value: Mapping[str, Any]) -> RowsWithin | None:
    """``{"columns": [names], "data": [[values]]}``, as pandas writes with orient="split"."""
    names, data = value.get("columns"), value.get("data")
    if not _is_list_of(names, str) or not _is_list_of(data, list):
        return None
    if any(len(row) != len(names) for row in data):
        return None
    rows = tuple(dict(zip(names, row, strict=True)) for row in data)
    return RowsWithin(rows, "the file is one object: its rows stand under `data`")


def _by_columns(source: str, value: Mapping[str, Any]) -> RowsWithin | None:
    """A list of values for each name, or an object of values by the number of the row."""
    columns = list(value.values())
    rows: list[JsonValue] = []
    if columns and all(isinstance(column, list) for column in columns):
        lengths = {name: len(column) for name, column in value.items()}
        same = len(set(lengths.values())) == 1
        if not same and len(lengths) > 1 and not any(_is_list_of(c, dict) for c in columns):
            listed = ", ".join(f"`{name:.40}` {n}" for name, n in list(lengths.items())[:5])
            what = (
                f"the file is one object of lists of different lengths ({listed}), so they are no "
                "columns: write an object for each row"
            )
            raise DataError(Problem(source, what))
        # Lists of rows, or the messages of one row, are no columns.
        if same and not all(_is_list_of(column, dict) for column in columns):
            rows = [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    elif columns and all(isinstance(column, dict) for column in columns):
        # A row may be missing in a column, but is a number in each.
        numbers = dict.fromkeys(number for column in columns for number in column)
        if _are_numbers(numbers) and not _are_numbers(value):
            rows = [
                {name: column[number] for name, column in value.items() if number in column}
                for number in numbers
            ]
    note = "the file is one object: its names are the columns"
    return RowsWithin(tuple(rows), note) if rows else None


def _are_numbers(names: Collection[str]) -> bool:
    return bool(names) and all(name.isdecimal() for name in names)


def _by_rows(value: Mapping[str, Any]) -> RowsWithin | None:
    """An object for each row, by its number or name."""
    rows = list(value.values())
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    columns = {name for row in rows for name in row}
    numbered = _are_numbers(value)
    # A few names are those of parts of a file: train and test, data and meta.
    if not numbered and len(rows) <= max(len(columns), 4):
        return None
    if not numbered and "key" not in columns:
        rows = [{"key": name, **row} for name, row in value.items()]
        note = "the file is one object: its names are the rows' `key`"
    else:
        note = "the file is one object: each of its values is a row"
    return RowsWithin(tuple(rows), note)


def _listed(source: str, value: Mapping[str, Any], fewest: int) -> RowsWithin | None:
    """The one list of objects, however deep it stands."""
    # pandas describes the columns beside the rows with orient="table".
    described = isinstance(value.get("schema"), dict) and _is_rows(value.get("data"))
    row_lists = _lists({"data": value["data"]} if described else value, "", 0)
    lists = {path: rows for path, rows in row_lists.items() if len(rows) >= fewest}
    if len(lists) > 1:
        named = listed(f"`{path}` ({len(rows)})" for path, rows in list(lists.items())[:5])
        what = (
            f"the file is one object with lists of objects under {named}; save the list that holds "
            "the rows as a file of its own"
        )
        raise DataError(Problem(source, what))
    for path, rows in lists.items():
        note = f"the file is one object: its rows are the list under `{path}`"
        return RowsWithin(tuple(rows), note)
    return None


def _lists(value: Mapping[str, Any], path: str, depth: int) -> dict[str, Sequence[Any]]:
    lists_by_path: dict[str, Sequence[Any]] = {}
    for name, inner in value.items():
        place = f"{path}.{name}" if path else name
        if _is_rows(inner):
            lists_by_path[place] = inner
        elif isinstance(inner, dict) and depth < _DEEPEST:
            lists_by_path |= _lists(inner, place, depth + 1)
    return lists_by_path


def _is_rows(value: object) -> bool:
    return _is_list_of(value, dict) and not is_conversation(value)


def _is_list_of(value: object, kind: type) -> TypeGuard[list[Any]]:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(element, kind) for element in value)
    )
