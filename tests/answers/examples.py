"""An answer of each kind, with a cell of the data and the answer that it is read as."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.answers import (
    Answer,
    CallsAnswer,
    JsonAnswer,
    LabelAnswer,
    LabelsAnswer,
    NumberAnswer,
    TextAnswer,
)
from harness.records import JsonValue

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}


class KindExample(NamedTuple):
    """What every kind can do is tried on these."""

    answer: Answer
    cell: JsonValue
    """Of column ``y``."""
    target: str
    """The answer that it is read as."""
    known: tuple[str, ...] = ()
    """What its reader of replies has to know of training."""


EXAMPLES = (
    KindExample(
        LabelsAnswer(kind="labels", column="y", labels=("a", "b", "c"), separator=";"),
        " c; a;\u200bc",
        '["a", "c"]',
    ),
    KindExample(LabelAnswer(kind="label", column="y", labels=("yes", "no")), " yes\u200b", "yes"),
    KindExample(
        NumberAnswer(kind="number", column="y", tolerance=0.5),
        " $1,200.50",
        "$1,200.50",
        ("-3", "2000"),
    ),
    KindExample(
        CallsAnswer.model_validate(
            {"kind": "calls", "column": "y", "tools": [{"name": "f", "parameters": SCHEMA}]}
        ),
        '[{"id": "1", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]',
        '[{"name": "f", "arguments": {"a": 1}}]',
    ),
    KindExample(
        JsonAnswer.model_validate({"kind": "json", "column": "y", "schema": SCHEMA}),
        '{"a":1}',
        '{"a": 1}',
    ),
    KindExample(TextAnswer(kind="text", column="y"), "Two  words.", "Two  words."),
)
