"""Rows from a source: JSONL, CSV, Parquet, a packaged data set, or a hub data set.

Nothing is judged here but the form of the file. A row that cannot be read becomes a located
problem and reading goes on, so that one pass finds every such row.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problem
from harness.packaged_data import packaged_rows
from harness.records import JsonValue

READABLE = ".jsonl, .csv or .parquet, `packaged:NAME`, or `hub:DATASET[:SPLIT]`"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. line: first line of the row in the file (row number for Parquet and hub), from 1."""

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


def read_rows(source: str) -> Rows:
    """Read all rows of a source. Only ``hub:`` uses the network (and ``packaged:`` once).

    Raises:
        DataError: the source is missing, of an unknown kind, empty, or damaged as a whole.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    if source.startswith("packaged:"):
        rows = [Row(row.line, dict(row.values)) for row in packaged_rows(source.split(":", 1)[1])]
        return _rows(source, rows, [])
    if source.startswith("hub:"):
        return _rows(source, _hub(source), [])
    path = Path(source)
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            Problem(source, f"files of kind {path.suffix!r} cannot be read; use {READABLE}")
        )
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            Problem(source, "no such file; paths are relative to the experiment file")
        ) from None
    except OSError as error:
        raise DataError(Problem(source, f"cannot be read: {error.strerror}")) from error
    return reader(source, content.removeprefix(_BOM))


def _rows(
    source: str,
    rows: list[Row],
    problems: list[Problem],
    columns: tuple[str, ...] | None = None,
) -> Rows:
    if not rows and not problems:
        raise DataError(Problem(source, "holds no rows; a data set needs at least three"))
    if columns is None:
        columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return Rows(source, columns, tuple(rows), tuple(problems))


def _not_utf8(error: UnicodeDecodeError) -> str:
    return (
        f"not UTF-8: byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line; "
        "save the file as UTF-8"
    )


# --------------------------------------------------------------------------- JSONL


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON; leave the field out or write null")


def _jsonl(source: str, content: bytes) -> Rows:
    rows: list[Row] = []
    problems: list[Problem] = []
    # Not splitlines(): U+2028 and its like may stand in a JSON string.
    for number, raw in enumerate(content.split(b"\n"), start=1):
        if not raw.strip():
            continue
        where = f"{source}:{number}"
        try:
            value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            problems.append(Problem(where, _not_utf8(error)))
        except json.JSONDecodeError as error:
            what = f"not valid JSON: {error.msg} at column {error.colno}; one object a line"
            problems.append(Problem(where, what))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(where, f"not valid JSON: {error}"))
        else:
            if isinstance(value, dict):
                rows.append(Row(number, value))
            else:
                kind = _JSON_KINDS.get(type(value), "a number")
                problems.append(
                    Problem(where, f'each line must be an object such as {{"text": …}}, not {kind}')
                )
    return _rows(source, rows, problems)


_JSON_KINDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    bool: "a truth value",
    type(None): "null",
}


# --------------------------------------------------------------------------- CSV


def _csv(source: str, content: bytes) -> Rows:
    text, undecodable = _decode_lines(content)
    with _long_fields():
        return _csv_rows(source, text, undecodable)


def _csv_rows(source: str, text: str, undecodable: dict[int, str]) -> Rows:
    rows: list[Row] = []
    problems: list[Problem] = []
    header: list[str] | None = None
    # newline="" keeps line breaks within quotes as they are; strict finds unclosed quotes.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            problems.append(Problem(f"{source}:{first}", _csv_problem(error)))
            continue
        lines = range(first, reader.line_num + 1)
        bad = [(line, undecodable[line]) for line in lines if line in undecodable]
        if bad:
            problems.extend(Problem(f"{source}:{line}", what) for line, what in bad)
        elif not fields:
            continue
        elif header is None:
            header = fields
            _check_header(f"{source}:{first}", header)
        elif len(fields) != len(header):
            what = (
                f"{len(fields)} fields where the header has {len(header)}; "
                "put quotes around fields that hold commas"
            )
            problems.append(Problem(f"{source}:{first}", what))
        else:
            rows.append(Row(first, dict(zip(header, fields, strict=True))))
        if header is None:
            raise DataError(problems)
    return _rows(source, rows, problems, tuple(header or ()))


def _decode_lines(content: bytes) -> tuple[str, dict[int, str]]:
    """The text, and line number -> what is wrong for lines that are not UTF-8."""
    try:
        return content.decode("utf-8"), {}
    except UnicodeDecodeError:
        lines, undecodable = [], {}
        for number, raw in enumerate(content.splitlines(keepends=True), start=1):
            try:
                lines.append(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                undecodable[number] = _not_utf8(error)
                lines.append(raw.decode("utf-8", errors="replace"))
        return "".join(lines), undecodable


@contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module refuses fields above 128 KiB; documents may be longer."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_problem(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a quote that opens in this row is never closed; close it or double it"
    return f"not valid CSV: {error}; put quotes around the field and double those within it"


def _check_header(where: str, header: list[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        names = ", ".join(map(repr, repeated))
        raise DataError(Problem(where, f"the header names {names} twice; rename one of them"))


# --------------------------------------------------------------------------- Parquet and hub


def _parquet(source: str, content: bytes) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(Problem(source, f"not a whole Parquet file: {error}")) from error
    _check_header(source, table.column_names)
    columns = {name: _column(source, name, table[name]) for name in table.column_names}
    rows = [
        Row(number, dict(zip(columns, values, strict=True)))
        for number, values in enumerate(zip(*columns.values(), strict=True), start=1)
    ]
    return _rows(source, rows, [], tuple(columns))


def _column(source: str, name: str, column: Any) -> list[JsonValue]:
    """The values of a Parquet column: those of types that Python has."""
    import pyarrow as pa

    try:
        values: list[JsonValue] = column.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as error:
        what = f"column {name!r} ({column.type}) holds a value that cannot be read: {error}"
        raise DataError(Problem(source, what)) from error
    return values


def _hub(source: str) -> list[Row]:
    import datasets

    name, _, split = source.removeprefix("hub:").partition(":")
    try:
        loaded = datasets.load_dataset(name, split=split or "train")
    # The hub's client raises a different class for every way to fail; all mean the same here.
    except Exception as error:
        raise DataError(
            Problem(
                source,
                f"the hub data set could not be loaded ({type(error).__name__}: {error}); check "
                "its name, its split (hub:NAME:SPLIT), and that the hub can be reached",
            )
        ) from error
    # Class labels are stored as numbers; the user's labels are their names.
    classes = {
        column: feature.names
        for column, feature in loaded.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    rows = []
    for number, row in enumerate(loaded, start=1):
        named = {name: _class_name(value, classes.get(name)) for name, value in row.items()}
        rows.append(Row(number, named))
    return rows


def _class_name(value: JsonValue, names: list[str] | None) -> JsonValue:
    if names is None or value is None:
        return value
    return names[value] if value >= 0 else None  # -1 marks an item without a label
