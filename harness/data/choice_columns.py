"""Lists of what may be answered as columns: a template shows columns of text.

Exams list the choices of each question in one column. With ``choices`` such a row also has
``choices_0``, ``choices_1`` and so on, counted from 0 as an answer that is a place in the list is.
"""

from __future__ import annotations

from dataclasses import replace

from harness.data.name_words import OPTIONS
from harness.data.rows import Rows
from harness.records import JsonValue

# Longer lists are shown by no template.
_MOST = 8


def with_choices(table: Rows) -> Rows:
    """The rows with a column for each choice, where all rows list as many plain values."""
    for name in table.columns:
        lists = _lists(table, name)
        places = [f"{name}_{place}" for place in range(len(lists[0]))] if lists else []
        if places and not set(places) & set(table.columns):
            rows = tuple(
                replace(row, values=row.values | dict(zip(places, choices, strict=True)))
                for row, choices in zip(table.rows, lists, strict=True)
            )
            table = replace(table, columns=(*table.columns, *places), rows=rows)
    return table


def _lists(table: Rows, name: str) -> list[list[JsonValue]]:
    """The choices of each row; none where rows list other things, or not as many of them."""
    if name.lower() not in OPTIONS:
        return []
    lists = [
        value
        for row in table.rows
        if isinstance(value := row.values.get(name), list) and all(map(_is_plain, value))
    ]
    lengths = set(map(len, lists))
    is_each = len(lists) == len(table.rows) and len(lengths) == 1
    return lists if is_each and 2 <= lengths.pop() <= _MOST else []


def _is_plain(value: JsonValue) -> bool:
    return isinstance(value, str | int | float) and str(value).strip() != ""
