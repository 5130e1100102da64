"""Columns that look like sets of labels: lists, texts with separators, columns of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

from harness.answers.answer import MAX_CHOICES, REPEATS
from harness.answers.answer_column import AnswerColumn
from harness.answers.cells import is_missing, plain_text
from harness.answers.characters import trimmed
from harness.answers.label_set_rows import divided, flag_of, is_torn

_SEPARATORS = ("|", ";", ",")
_LONGEST_LABEL = 60
# So many of the texts must list several labels for their separator to be one.
_FEWEST_LISTS = 0.05


def says_whether(column: AnswerColumn) -> bool:
    """Whether each cell says by 1 or 0, true or false, whether something applies."""
    return bool(column.texts) and all(flag_of(text) is not None for text in column.texts)


def parts_of(column: AnswerColumn, separator: str | None) -> list[list[str]]:
    """The labels of each cell; empty where an element is no label."""
    if column.lists:
        flat = [element for elements in column.lists for element in elements]
        if any(is_missing(part) or isinstance(part, dict | list) for part in flat):
            return []
        return [[trimmed(plain_text(part)) for part in elements] for elements in column.lists]
    if separator is None:
        return [[trimmed(text)] for text in column.texts if trimmed(text)]
    return [divided(text, separator) for text in column.texts]


def repeats(parts: Sequence[Sequence[str]]) -> bool:
    """Whether the parts are few enough, and each frequent enough, to be labels."""
    flat = [part for some in parts for part in some]
    distinct = set(flat)
    return (
        0 < len(distinct) <= min(MAX_CHOICES, max(2, len(flat) / REPEATS))
        and max(map(len, distinct)) <= _LONGEST_LABEL
    )


def separator_of(column: AnswerColumn) -> str | None:
    """What divides labels in a column's texts; None where nothing does.

    The parts must be fewer than the texts that they make up: `Salem, OR` is one label.
    """
    if column.is_number or column.objects:
        return None
    wholes = len(set(column.texts))
    for separator in _SEPARATORS:
        parts = parts_of(column, separator)
        lists = sum(len(some) > 1 for some in parts)
        distinct = {part for some in parts for part in some}
        if any(map(is_torn, distinct)):
            continue
        often = lists >= max(2, _FEWEST_LISTS * len(parts))
        if often and len(distinct) < wholes and repeats(parts):
            return separator
    return None
