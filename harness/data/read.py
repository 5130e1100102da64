"""Rows from a source: JSON, CSV, Parquet, a packaged data set, or a hub data set.

Nothing is judged here but the form of the file. A row that cannot be read becomes a located
problem and reading goes on, so that one pass finds every such row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.data.chat import with_conversations
from harness.data.csv_file import csv_rows
from harness.data.encoding import UTF8, as_utf8, not_utf8
from harness.data.rows import Row, Rows, check_header, rows_of
from harness.errors import DataError, Problem
from harness.packaged_data import packaged_rows
from harness.records import JsonValue

READABLE = ".jsonl, .json, .csv, .tsv or .parquet, `packaged:NAME`, or `hub:DATASET[:SPLIT]`"


def read_rows(source: str, encoding: str = UTF8) -> Rows:
    """Read all rows of a source. Only ``hub:`` uses the network (and ``packaged:`` once).

    Columns of conversations are added: see :mod:`harness.data.chat`.

    Args:
        encoding: of text files.

    Raises:
        DataError: the source is missing, of an unknown kind, empty, or damaged as a whole.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    return with_conversations(_read(source, encoding))


def _read(source: str, encoding: str) -> Rows:
    if source.startswith("packaged:"):
        rows = [Row(row.line, dict(row.values)) for row in packaged_rows(source.split(":", 1)[1])]
        return rows_of(source, rows, [])
    if source.startswith("hub:"):
        return rows_of(source, _hub(source), [])
    kind = Path(source).suffix.lower()
    reader = {
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".json": _json,
        ".csv": csv_rows,
        ".tsv": csv_rows,
        ".parquet": _parquet,
    }.get(kind)
    content = content_of(source)
    if reader is None:
        named = f"files of kind {kind!r}" if kind else "files without an ending"
        raise DataError(Problem(source, f"{named} cannot be read; use {READABLE}"))
    return reader(source, content if kind == ".parquet" else as_utf8(source, content, encoding))


def content_of(source: str) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    try:
        return Path(source).read_bytes()
    except FileNotFoundError:
        raise DataError(
            Problem(source, "no such file; paths are relative to the experiment file")
        ) from None
    except IsADirectoryError:
        raise DataError(Problem(source, "is a folder; name a file in it")) from None
    except OSError as error:
        raise DataError(Problem(source, f"cannot be read: {error.strerror}")) from error


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
            problems.append(Problem(where, not_utf8(error)))
        except json.JSONDecodeError as error:
            what = f"not valid JSON: {error.msg} at column {error.colno}; one object a line"
            problems.append(Problem(where, what))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(where, f"not valid JSON: {error}"))
        else:
            if isinstance(value, dict):
                rows.append(Row(number, value))
            else:
                what = f'each line must be an object such as {{"text": …}}, not {_kind_of(value)}'
                problems.append(Problem(where, what))
    return rows_of(source, rows, problems)


def _json(source: str, content: bytes) -> Rows:
    """A list of objects; where the file is none, one object a line. Rows are numbered."""
    if not content.lstrip().startswith(b"["):
        return _jsonl(source, content)
    try:
        values = json.loads(content, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise DataError(Problem(source, not_utf8(error))) from error
    except json.JSONDecodeError as error:
        where = f"{source}:{error.lineno}"
        raise DataError(
            Problem(where, f"not valid JSON: {error.msg} at column {error.colno}")
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(Problem(source, f"not valid JSON: {error}")) from error
    rows = [Row(n, value) for n, value in enumerate(values, start=1) if isinstance(value, dict)]
    problems = [
        Problem(f"{source}:{n}", f"each element must be an object, not {_kind_of(value)}")
        for n, value in enumerate(values, start=1)
        if not isinstance(value, dict)
    ]
    return rows_of(source, rows, problems)


def _kind_of(value: object) -> str:
    return _JSON_KINDS.get(type(value), "a number")


_JSON_KINDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    bool: "a truth value",
    type(None): "null",
}


# --------------------------------------------------------------------------- Parquet and hub


def _parquet(source: str, content: bytes) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(Problem(source, f"not a whole Parquet file: {error}")) from error
    check_header(source, table.column_names)
    columns = {name: _column(source, name, table[name]) for name in table.column_names}
    rows = [
        Row(number, dict(zip(columns, values, strict=True)))
        for number, values in enumerate(zip(*columns.values(), strict=True), start=1)
    ]
    return rows_of(source, rows, [], tuple(columns))


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
