"""Small experiments and files for the tests of the data room."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.data import Row, Rows
from harness.data.columns import Column, columns_of
from harness.records import Example
from harness.spec import Experiment

LABEL = {"kind": "label", "column": "label"}
TEXT = {"kind": "text", "column": "label"}
RATING_SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["bad", "good"]},
        "stars": {"type": "integer", "minimum": 0, "maximum": 5},
    },
    "required": ["mood", "stars"],
    "additionalProperties": False,
}


def experiment(
    source: str | Path,
    *,
    answer: Mapping[str, Any] = LABEL,
    template: str = "{text}",
    **data: Any,
) -> Experiment:
    """An experiment whose data section is ``source`` and ``data``."""
    return Experiment.model_validate(
        {
            "name": "tiny",
            "model": "any",
            "data": {"source": str(source), **data},
            "task": {"instruction": "Answer.", "template": template, "answer": dict(answer)},
            "arms": {"zero": {"kind": "prompt"}},
            "general": None,
        }
    )


def write_jsonl(path: Path, rows: Iterable[object]) -> Path:
    """One JSON value a line."""
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def example(identity: str, text: str, answer: str = "a", group: str | None = None) -> Example:
    """An example with the one input ``text``; its own group where none is named."""
    return Example(identity, {"text": text}, answer, identity if group is None else group)


def words(start: int, count: int) -> str:
    """``count`` words that no other range shares."""
    return " ".join(f"word{number}" for number in range(start, start + count))


def table(rows: Iterable[dict[str, Any]]) -> dict[str, Column]:
    """The columns of a table with these rows."""
    found = tuple(Row(line, values) for line, values in enumerate(rows, start=1))
    names = tuple(dict.fromkeys(name for row in found for name in row.values))
    return columns_of([Rows("rows.jsonl", names, found, ())])
