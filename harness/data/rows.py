"""What a source holds: rows, each with the line it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.errors import DataError, Problem
from harness.records import JsonValue
from harness.wording import agreeing

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One row."""

    line: int
    """First line of the row in the file (its number where rows have no lines of their own), from 1.
    """
    values: dict[str, JsonValue]
    """Column -> the row's value."""
    lacking: dict[str, str] = field(default_factory=dict)
    """Column -> why it has no value, where something stands there that cannot be read."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a source holds."""

    source: str
    """The source as its reader was given it."""
    columns: tuple[str, ...]
    """Names of every column that occurs, in order of first sight."""
    rows: tuple[Row, ...]
    """Rows that could be read, in file order."""
    problems: tuple[Problem, ...]
    """Rows that cannot be read, each located; such rows are not in ``rows``."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it stands there, a sentence each."""
    conversations: tuple[str, ...] = ()
    """Names of columns that hold lists of messages."""
    conversation_notes: tuple[str, ...] = ()
    """What of conversations stands otherwise in the columns that show them as text."""


def rows_of(
    source: str,
    rows: Sequence[Row],
    problems: Sequence[Problem],
    columns: tuple[str, ...] | None = None,
    notes: Sequence[str] = (),
) -> Rows:
    """The rows with their columns: those given, or all that occur.

    Raises:
        DataError: there is neither a row nor a problem.
    """
    if not rows and not problems:
        raise DataError(Problem(source, "holds no rows; a data set needs at least three"))
    if columns is None:
        columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return Rows(source, columns, tuple(rows), tuple(problems), tuple(notes))


def lines_named(places: Sequence[str]) -> str:
    """The lines of the first few places, each a file and a line."""
    lines = ", ".join(place.rpartition(":")[2] for place in places[:_SHOWN])
    more = " …" if len(places) > _SHOWN else ""
    return f"{agreeing(len(places), 'line', 'lines')} {lines}{more}"


def check_header(where: str, names: Sequence[str]) -> None:
    """Check that a header names each column once.

    Raises:
        DataError: it names one twice.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        listed = ", ".join(map(repr, repeated))
        raise DataError(Problem(where, f"the header names {listed} twice; rename one of them"))
