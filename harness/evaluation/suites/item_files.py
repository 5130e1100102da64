"""Read files of items into memory: no cache and no network between a file and its items."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problem

MOST_PROBLEMS = 10


def read_items(path: Path) -> Any:
    """A ``datasets.Dataset`` of a file's rows, in the file's order; its suffix says how to read it.

    JSONL and a JSON list hold an object for each item, CSV and TSV a header, plain text an item a
    line in the column ``text``. A column that a row lacks is None in it.

    Raises:
        DataError: the file cannot be read, or holds no items; bad rows with their lines.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(sorted(_READERS))
        raise DataError(Problem(str(path), f"items are read from {known}; convert the file"))
    try:
        items = read(path)
    except DataError:
        raise
    except Exception as error:
        # pandas, Arrow and the system each have errors of their own; the text says which.
        raise DataError(Problem(str(path), f"cannot be read: {error}")) from error
    if not len(items):
        raise DataError(Problem(str(path), "holds no items; restore it"))
    return items


def is_item_file(path: Path) -> bool:
    """Whether the file's suffix is one that :func:`read_items` reads."""
    return path.suffix.lower() in _READERS


def _jsonl(path: Path) -> Any:
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(Problem(f"{path}:{number}", f"not valid JSON: {error.msg}"))
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            problems.append(Problem(f"{path}:{number}", "not a JSON object; an item is one"))
    if problems:
        more = len(problems) - MOST_PROBLEMS
        rest = [Problem(str(path), f"and {more} more such lines")] if more > 0 else []
        raise DataError([*problems[:MOST_PROBLEMS], *rest])
    return _from_rows(rows)


def _json(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return _jsonl(path)
    if isinstance(whole, dict) and len(text.strip().split("\n")) == 1:
        return _from_rows([whole])
    if not isinstance(whole, list) or not all(isinstance(row, dict) for row in whole):
        rule = "not a list of objects, nor an object a line; convert it: an item is an object"
        raise DataError(Problem(str(path), rule))
    return _from_rows(whole)


def _from_rows(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    # Dataset.from_list would take the first row's columns only.
    columns = dict.fromkeys(name for row in rows for name in row)
    return Dataset.from_dict({name: [row.get(name) for row in rows] for name in columns})


def _separated(by: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        import pandas as pd
        from datasets import Dataset

        # "None" and "NA" are answers of some benchmarks, not missing values.
        table = pd.read_csv(path, sep=by, keep_default_na=False)
        return Dataset.from_pandas(table, preserve_index=False)

    return read


def _parquet(path: Path) -> Any:
    from datasets import Dataset
    from pyarrow import parquet

    return Dataset(parquet.read_table(path))


def _text(path: Path) -> Any:
    return _from_rows([{"text": line} for line in _lines(path) if line.strip()])


def _lines(path: Path) -> Iterator[str]:
    # Not splitlines(): text may hold characters that it takes for line ends.
    yield from path.read_text(encoding="utf-8").split("\n")


_READERS: dict[str, Callable[[Path], Any]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".parquet": _parquet,
    ".txt": _text,
}
