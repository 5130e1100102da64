"""What a source holds: rows, each with the line it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import DataError, Problem
from harness.records import JsonValue


@dataclass(frozen=True, slots=True)
class Row:
    """One row. line: its first line in the file (its number where there are no lines), from 1."""

    line: int
    values: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a source holds.

    columns: every column that occurs, in order of first sight. problems: rows that cannot be
    read, each located; such rows are not in ``rows``.
    """

    source: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def rows_of(
    source: str,
    rows: Sequence[Row],
    problems: Sequence[Problem],
    columns: tuple[str, ...] | None = None,
) -> Rows:
    """The rows with their columns: those given, or all that occur.

    Raises:
        DataError: there is neither a row nor a problem.
    """
    if not rows and not problems:
        raise DataError(Problem(source, "holds no rows; a data set needs at least three"))
    if columns is None:
        columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return Rows(source, columns, tuple(rows), tuple(problems))


def check_header(where: str, names: Sequence[str]) -> None:
    """Raises DataError where a header names a column twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        listed = ", ".join(map(repr, repeated))
        raise DataError(Problem(where, f"the header names {listed} twice; rename one of them"))
