"""Rows from a source: JSON, CSV, Parquet, a packaged data set, or a hub data set.

Nothing is judged here but the form of the file. A row that cannot be read becomes a located
problem and reading goes on, so that one pass finds every such row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.data.arrow_table import table_rows
from harness.data.chat import with_conversations
from harness.data.choice_columns import with_choices
from harness.data.csv_file import csv_rows
from harness.data.encoding import UTF8, as_utf8
from harness.data.instructions import with_inputs
from harness.data.json_file import json_rows
from harness.data.label_studio import with_annotations
from harness.data.rows import Row, Rows, check_header, rows_of
from harness.errors import DataError, Problem
from harness.packaged.data_sets import packaged_rows
from harness.records import JsonValue

READABLE = ".jsonl, .json, .csv, .tsv or .parquet, `packaged:NAME`, or `hub:DATASET[:SPLIT]`"

_SHEET = "open it in the spreadsheet program and save the sheet that holds the rows as CSV (UTF-8)"
# Files that people have in place of these, and how to make one of them.
SAVED_AS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".gz", ".zip", ".xz", ".bz2", ".zst"), "unpack it first"),
}


def read_rows(source: str, encoding: str = UTF8) -> Rows:
    """Read all rows of a source. Only ``hub:`` uses the network (and ``packaged:`` once).

    Columns of conversations, of choices and of what annotators said are added: see
    :mod:`harness.data.chat`, :mod:`harness.data.choice_columns`, :mod:`harness.data.instructions`
    and :mod:`harness.data.label_studio`.

    Args:
        encoding: encoding of text files.

    Raises:
        DataError: the source is missing, of an unknown kind, empty, or damaged as a whole.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    return _completed(with_annotations(_read(source, encoding)))


def rows_in_memory(values: Sequence[Mapping[str, JsonValue]], source: str = "row") -> Rows:
    """Rows that a program or a person hands over, each under its number as its line.

    Raises:
        DataError: there is none.
    """
    rows = [Row(number, dict(one)) for number, one in enumerate(values, 1)]
    return _completed(rows_of(source, rows, []))


def _completed(table: Rows) -> Rows:
    """The rows with the columns that templates can show of what they cannot."""
    return with_conversations(with_choices(with_inputs(table)))


def _read(source: str, encoding: str) -> Rows:
    if source.startswith("packaged:"):
        rows = [Row(row.line, dict(row.values)) for row in packaged_rows(source.split(":", 1)[1])]
        return rows_of(source, rows, [])
    if source.startswith("hub:"):
        return _hub(source)
    kind = Path(source).suffix.lower()
    reader = {
        ".jsonl": json_rows,
        ".ndjson": json_rows,
        ".json": json_rows,
        ".csv": csv_rows,
        ".tsv": csv_rows,
        ".parquet": _parquet,
    }.get(kind)
    content = content_of(source)
    if reader is None:
        named = f"files of kind {kind!r}" if kind else "files without an ending"
        how = SAVED_AS.get(kind, f"use {READABLE}")
        raise DataError(Problem(source, f"{named} cannot be read; {how}"))
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
            Problem(source, "no such file (a path in an experiment file is relative to that file)")
        ) from None
    except IsADirectoryError:
        raise DataError(Problem(source, "is a folder; name a file in it")) from None
    except OSError as error:
        raise DataError(Problem(source, f"cannot be read: {error.strerror}")) from error


def _parquet(source: str, content: bytes) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_header(source, pq.read_schema(pa.BufferReader(content)).names)
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(Problem(source, f"not a whole Parquet file: {error}")) from error
    return table_rows(source, table)


def _hub(source: str) -> Rows:
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
    return table_rows(source, loaded.with_format("arrow")[:])
