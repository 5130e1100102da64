"""People's marks of replies, from a CSV file or JSON lines."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.data.read import read_rows
from harness.data.rows import Row
from harness.errors import DataError, Problem
from harness.records import CalibrationRow, JsonValue

COLUMNS = ("id", "reply", "score")
_KINDS = (".csv", ".jsonl")
_SHOWN = 60


def read_calibration(
    source: str, scale: tuple[int, int], ids: Collection[str]
) -> tuple[CalibrationRow, ...]:
    """Read people's marks; rows whose score is empty have not been filled in and are left out.

    Args:
        scale: the worst and the best mark.
        ids: the items that there are.

    Raises:
        DataError: the file cannot be read, lacks a column, holds no mark, or holds one that is none
            or is of no item; all problems at once, each with its line.
    """
    if Path(source).suffix.lower() not in _KINDS:
        raise DataError(Problem(source, f"people's marks are read from {' or '.join(_KINDS)}"))
    rows = read_rows(source)
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise DataError(
            Problem(
                f"{source}:1",
                f"no column {', '.join(missing)}; the columns are {', '.join(rows.columns)}, and "
                f"{', '.join(COLUMNS)} are needed (harness judge writes such a file)",
            )
        )
    problems = list(rows.problems)
    marks: dict[tuple[str, str], CalibrationRow] = {}
    for row in rows.rows:
        if _text(row.values.get("score")).strip() == "":
            continue
        try:
            mark = _mark(row, scale, ids)
        except ValueError as error:
            problems.append(Problem(f"{source}:{row.line}", str(error)))
            continue
        before = marks.setdefault((mark.item_id, mark.key or mark.reply), mark)
        if before.score != mark.score:
            what = (
                f"score: the same reply to item {mark.item_id!r} is given {mark.score:g} here and "
                f"{before.score:g} above; keep one"
            )
            problems.append(Problem(f"{source}:{row.line}", what))
    if problems:
        raise DataError(problems)
    if not marks:
        raise DataError(
            Problem(source, "holds no mark: fill in the column score, of as many rows as you can")
        )
    return tuple(marks.values())


def _mark(row: Row, scale: tuple[int, int], ids: Collection[str]) -> CalibrationRow:
    """The mark in a row.

    Raises:
        ValueError: it is none; says which field is wrong.
    """
    item_id, reply, score = (_text(row.values.get(name)) for name in COLUMNS)
    if item_id not in ids:
        raise ValueError(
            f"id: {item_id[:_SHOWN]!r} is no item of this study's data; keep the ids that harness "
            "judge wrote"
        )
    try:
        mark = float(score.strip().replace(",", "."))
    except ValueError:
        raise ValueError(f"score: {score[:_SHOWN]!r} is no number") from None
    low, high = scale
    if not low <= mark <= high:
        raise ValueError(
            f"score: {score.strip()[:_SHOWN]} is not on the scale from {low} to {high}"
        )
    return CalibrationRow(item_id, reply, mark, _text(row.values.get("key")).strip())


def _text(value: JsonValue) -> str:
    return "" if value is None else str(value)


__all__ = ["COLUMNS", "read_calibration"]
