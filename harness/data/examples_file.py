"""Examples as Parquet: how a trial is handed its data, and how a study's splits are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import DataError, Problem, needing_room
from harness.records import Example, whole_file


def write_examples(path: str | Path, examples: Sequence[Example]) -> None:
    """Write examples as Parquet, inputs as a JSON column. The file appears whole or not at all.

    Raises:
        NoRoomError: the disk is full.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    table = pa.table(
        {
            "id": pa.array([example.id for example in examples], pa.string()),
            "inputs": pa.array(
                [json.dumps(example.inputs, ensure_ascii=False) for example in examples],
                pa.string(),
            ),
            "answer": pa.array([example.answer for example in examples], pa.string()),
            "group": pa.array([example.group for example in examples], pa.string()),
            "line": pa.array([example.line for example in examples], pa.int64()),
            "columns": pa.array([_columns(example) for example in examples], pa.string()),
            "messages": pa.array(
                [json.dumps(example.messages, ensure_ascii=False) for example in examples],
                pa.string(),
            ),
            "conversation": pa.array([e.conversation for e in examples], pa.string()),
            "tools": pa.array([example.tools for example in examples], pa.string()),
            "worked": pa.array([example.worked for example in examples], pa.string()),
        }
    )
    with needing_room(path), whole_file(path) as file:
        pq.write_table(table, file)


def read_examples_file(path: str | Path) -> tuple[Example, ...]:
    """Read back what :func:`write_examples` wrote, equal and in the same order.

    Raises:
        DataError: the file is missing, damaged, or was not written by :func:`write_examples`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with Path(path).open("rb") as file:
            rows = pq.read_table(file).to_pylist()
        return tuple(
            Example(
                row["id"],
                json.loads(row["inputs"]),
                row["answer"],
                row["group"],
                row["line"],
                columns=json.loads(row["columns"]),
                messages=tuple(json.loads(row["messages"])),
                conversation=row["conversation"],
                tools=row["tools"],
                worked=row["worked"],
            )
            for row in rows
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        what = f"not a file of examples ({type(error).__name__}: {error}); prepare the data again"
        raise DataError(Problem(str(path), what)) from error


def _columns(example: Example) -> str:
    # Escaped, as what no metric asks for may hold text that cannot be encoded.
    return json.dumps(example.columns)


def columns_fingerprint(examples: Sequence[Example]) -> str:
    """SHA-256 over the whole rows of the examples, as hex; empty where they are not kept.

    It is apart from :func:`fingerprint`: what only a metric reads trains nothing.
    """
    if not any(example.columns for example in examples):
        return ""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.id, _columns(example)]).encode() + b"\n")
    return digest.hexdigest()


def row_hashes(examples: Sequence[Example]) -> list[str]:
    """A hash of each example's inputs and answer, whatever its id, as hex."""
    return [
        hashlib.sha256(
            json.dumps(
                [item.inputs, item.answer, *item.messages, *filter(None, [item.tools])],
                ensure_ascii=False,
                sort_keys=True,
            ).encode()
        ).hexdigest()[:32]
        for item in examples
    ]


def fingerprint(splits: Mapping[str, Sequence[Example]]) -> str:
    """SHA-256 over all examples of all splits, as hex; changes with any of them or their order.

    Splits are taken in the order of their names. Line numbers are left out: they say where an
    example stood, not what it is; and so are whole rows, see :func:`columns_fingerprint`.
    """
    digest = hashlib.sha256()
    for name in sorted(splits):
        for example in splits[name]:
            content = [name, example.id, example.inputs, example.answer, example.group]
            content += [example.conversation, *example.messages] if example.messages else []
            content += [{"tools": example.tools}] if example.tools else []
            content += [{"worked": example.worked}] if example.worked else []
            digest.update(json.dumps(content, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
