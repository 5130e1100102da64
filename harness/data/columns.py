"""What the columns of a table look like: filled, repeated, numbers, dates, objects, prose."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from harness.answers.answer import MAX_CHOICES, REPEATS
from harness.answers.cells import AnswerError, scalar_text
from harness.answers.json_cells import Notation, may_be_json, read_json_text
from harness.answers.number_reader import cell_number
from harness.data.chat import PROMPT, RESPONSE, SYSTEM
from harness.data.rows import Rows
from harness.records import JsonValue

# A few cells that cannot be read do not change what a column is; they are reported as bad rows.
MOST = 0.9
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
# A field with its name, texts in quotes, or a fence: `[music]` is no list that somebody broke.
_MEANT_AS_JSON = re.compile(
    r"""\s*(```\w*\s*)?([{\[].*["']\s*:|[{\[]\s*(["']).*\3\s*[\]}]|\{\s*\w+\s*:)|.*```json\b""",
    re.DOTALL,
)
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")


Part = Literal["messages", "prompt", "response", "system"]
_PARTS: dict[str, Part] = {PROMPT: "prompt", RESPONSE: "response", SYSTEM: "system"}


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    """Name of the column."""
    cells: tuple[JsonValue, ...]
    """Its cell in every row of the table; None where there is no value."""
    places: tuple[str, ...]
    """File and line of each cell."""
    part: Part | None = None
    """What it is of a conversation; None where it is no part of one."""
    lacking: tuple[str, ...] = ()
    """Why cells have no value, a phrase each, where that is known."""

    @cached_property
    def values(self) -> tuple[JsonValue, ...]:
        """Values that are there, in file order."""
        return tuple(value for value in self.cells if value is not None)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.cells)

    @cached_property
    def texts_by_row(self) -> tuple[str | None, ...]:
        """The text of each row, trimmed; None where there is none, or a nested value."""
        return tuple(map(self._text, self.cells))

    @cached_property
    def name_parts(self) -> frozenset[str]:
        """Words of the name in lower case: ``customerId`` gives customer and id."""
        return frozenset(part.lower() for part in _NAME_PARTS.findall(self.name))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Values as answers and templates show them, trimmed; nested ones are left out."""
        return tuple(text for text in self.texts_by_row if text is not None)

    @property
    def missing(self) -> int:
        """Number of rows in which it is empty."""
        return self.rows - len(self.values)

    @property
    def missing_places(self) -> list[str]:
        """File and line of the rows in which it is empty."""
        return [place for place, v in zip(self.places, self.cells, strict=True) if v is None]

    @property
    def is_mostly_filled(self) -> bool:
        """Whether so few rows lack a value that they can be left out."""
        return len(self.values) >= MOST * self.rows > 0

    @cached_property
    def distinct(self) -> int:
        """Number of different values."""
        return len({json.dumps(value, default=str, sort_keys=True) for value in self.values})

    @cached_property
    def mean_length(self) -> float:
        """Mean number of characters of a value; 0 where most are no text."""
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
    def is_measure(self) -> bool:
        """Whether most values are amounts as people write them: decimals, percents, currencies."""
        numbers = [cell_number(text) for text in self.texts]
        return self._most(
            number is not None
            and (
                bool(number.mark)
                or number.is_percent
                or unicodedata.category(number.unit[:1] or " ") == "Sc"
            )
            for number in numbers
        )

    @cached_property
    def is_running(self) -> bool:
        """Whether it counts the rows: whole numbers, each one more than that before it."""
        if not self.is_whole or len(self.texts) < 2:
            return False
        numbers = [float(text) for text in self.texts]
        return all(after - before == 1 for before, after in pairwise(numbers))

    @cached_property
    def is_date(self) -> bool:
        """Whether most values begin as a date does."""
        return self._most(_DATE.match(text) is not None for text in self.texts)

    @cached_property
    def is_identifier(self) -> bool:
        """Whether its values are short, without spaces, and each its own; no measure is one."""
        return (
            (self.is_whole or not (self.is_number or self.is_measure))
            and self.is_mostly_filled
            and self.distinct == len(self.values) > 1
            and len(self.texts) == len(self.values)
            and all(len(text) <= 64 and " " not in text for text in self.texts)
        )

    @cached_property
    def is_closed(self) -> bool:
        """Whether its texts are few enough, and each frequent enough, to be a list of labels."""
        distinct = len(set(self.texts))
        return 0 < distinct <= min(MAX_CHOICES, max(2, len(self.texts) / REPEATS))

    @cached_property
    def places_by_notation(self) -> dict[Notation | None, list[str]]:
        """How objects and lists are written in texts -> where they stand; None: not readably."""
        places: dict[Notation | None, list[str]] = {}
        for place, value in zip(self.places, self.cells, strict=True):
            if isinstance(value, str) and (may_be_json(value) or "```" in value):
                try:
                    read = read_json_text(value)
                except ValueError:
                    if _MEANT_AS_JSON.match(value):
                        places.setdefault(None, []).append(place)
                    continue
                if isinstance(read.value, dict | list):
                    places.setdefault(read.notation, []).append(place)
        return places

    @cached_property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The values as JSON objects, where most are such; else empty."""
        return self._parsed(dict)

    @cached_property
    def lists(self) -> tuple[list[Any], ...]:
        """The values as JSON lists, where most are such; else empty."""
        return self._parsed(list)

    def mapped(self, change: Callable[[str], str | None]) -> Column:
        """The column with each text changed; nested values, and texts of which None is left, are
        missing."""
        cells = (None if text is None else change(text) for text in self.texts_by_row)
        return replace(self, cells=tuple(cells))

    def _text(self, value: JsonValue) -> str | None:
        try:
            return scalar_text(value, self.name).strip()
        except AnswerError:
            return None

    def _most(self, flags: Iterable[bool]) -> bool:
        return sum(flags) >= MOST * len(self.values) > 0

    def _parsed(self, kind: type) -> tuple[Any, ...]:
        parsed = []
        for value in self.values:
            content = value
            if isinstance(value, str) and may_be_json(value):
                try:
                    content = read_json_text(value).value
                except ValueError:
                    continue
            if isinstance(content, kind):
                parsed.append(content)
        return tuple(parsed) if len(parsed) >= MOST * len(self.values) > 0 else ()


def columns_of(tables: Sequence[Rows]) -> dict[str, Column]:
    """The columns of all tables together, by name, those of the first table in its order."""
    names = dict.fromkeys(name for table in tables for name in table.columns)
    rows = [row for table in tables for row in table.rows]
    places = tuple(f"{table.source}:{row.line}" for table in tables for row in table.rows)
    parts: dict[str, Part] = {}
    for name in dict.fromkeys(name for table in tables for name in table.conversations):
        parts[name] = "messages"
        parts |= {name + part: what for part, what in _PARTS.items()}
    return {
        name: Column(
            name,
            tuple(None if _absent(v := row.values.get(name)) else v for row in rows),
            places,
            parts.get(name),
            tuple(dict.fromkeys(row.lacking[name] for row in rows if name in row.lacking)),
        )
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
