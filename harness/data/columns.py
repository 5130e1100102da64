"""What the columns of a table look like: filled, repeated, numbers, dates, objects, prose."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.data.answers import AnswerError, scalar_text
from harness.data.rows import Rows
from harness.records import JsonValue
from harness.spec.task import MAX_CHOICES

# A few cells that cannot be read do not change what a column is; they are reported as bad rows.
MOST = 0.9
# Rows of each label, on average, from which a column of texts is taken for labels.
REPEATS = 3
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")


@dataclass(frozen=True)
class Column:
    """One column. values: those that are there, in file order. rows: of the whole table."""

    name: str
    values: tuple[JsonValue, ...]
    rows: int

    @cached_property
    def name_parts(self) -> frozenset[str]:
        """Words of the name in lower case: ``customerId`` gives customer and id."""
        return frozenset(part.lower() for part in _NAME_PARTS.findall(self.name))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Values as answers and templates show them, trimmed; nested ones are left out."""
        found = []
        for value in self.values:
            try:
                found.append(scalar_text(value, self.name).strip())
            except AnswerError:
                continue
        return tuple(found)

    @property
    def missing(self) -> int:
        """Rows in which it is empty."""
        return self.rows - len(self.values)

    @cached_property
    def distinct(self) -> int:
        """Number of different values."""
        return len({json.dumps(value, default=str, sort_keys=True) for value in self.values})

    @cached_property
    def mean_length(self) -> float:
        """Characters of a value; 0 where most are no text."""
        if len(self.texts) < MOST * len(self.values) or not self.texts:
            return 0.0
        return sum(map(len, self.texts)) / len(self.texts)

    @cached_property
    def is_prose(self) -> bool:
        """Whether most values have several words."""
        return self._most(len(text.split()) > 2 for text in self.texts)

    @cached_property
    def is_number(self) -> bool:
        """Whether all values are numbers, or texts of such."""
        return bool(self.texts) and all(map(_is_number, self.texts))

    @cached_property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.is_number and all(float(text).is_integer() for text in self.texts)

    @cached_property
    def is_date(self) -> bool:
        """Whether most values begin as a date does."""
        return self._most(_DATE.match(text) is not None for text in self.texts)

    @cached_property
    def is_identifier(self) -> bool:
        """Whether every row has a short value of its own, without spaces; no measure is one."""
        return (
            (self.is_whole or not self.is_number)
            and self.distinct == self.rows > 1
            and len(self.texts) == self.rows
            and all(len(text) <= 64 and " " not in text for text in self.texts)
        )

    @cached_property
    def is_closed(self) -> bool:
        """Whether its texts are few enough, and each frequent enough, to be a list of labels."""
        distinct = len(set(self.texts))
        return 0 < distinct <= min(MAX_CHOICES, max(2, len(self.texts) / REPEATS))

    @cached_property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The values as JSON objects, where most are such; else empty."""
        return self._parsed(dict)

    @cached_property
    def lists(self) -> tuple[list[Any], ...]:
        """The values as JSON lists, where most are such; else empty."""
        return self._parsed(list)

    @cached_property
    def is_conversation(self) -> bool:
        """Whether it holds messages with roles; their texts are columns of their own."""
        return any(
            isinstance(one, dict) and ("role" in one or "from" in one)
            for value in self.lists
            for one in value
        )

    def _most(self, found: Iterable[bool]) -> bool:
        return sum(found) >= MOST * len(self.values) > 0

    def _parsed(self, kind: type) -> tuple[Any, ...]:
        parsed = []
        for value in self.values:
            one = value
            if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
                try:
                    one = json.loads(value)
                except (ValueError, RecursionError):
                    continue
            if isinstance(one, kind):
                parsed.append(one)
        return tuple(parsed) if len(parsed) >= MOST * len(self.values) > 0 else ()


def columns_of(tables: Sequence[Rows]) -> dict[str, Column]:
    """The columns of all tables together, by name, those of the first table in its order."""
    names = dict.fromkeys(name for table in tables for name in table.columns)
    rows = [row.values for table in tables for row in table.rows]
    return {
        name: Column(name, tuple(v for row in rows if not _absent(v := row.get(name))), len(rows))
        for name in names
    }


def _absent(value: JsonValue) -> bool:
    # NaN is what tables use for nothing.
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text) is not None
