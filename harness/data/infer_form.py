"""Guess how the answers of a file are to be read: labels, JSON or free text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.answers.characters import trimmed
from harness.answers.labels import one_notation
from harness.data.columns import REPEATS, Column
from harness.data.guess import Guess
from harness.data.infer_schema import infer_schema, infer_value
from harness.errors import DataError
from harness.spec.task import MAX_CHOICES

AnswerKind = Literal["label", "json", "text"]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How answers are read.

    labels: of kind label, most frequent first; numbers in their order. schema: of kind json.
    whole: the one column holds whole objects; else each column is a field.
    """

    kind: AnswerKind
    labels: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    whole: bool = False


def answer_form(columns: Sequence[Column], kind: AnswerKind | None = None) -> Guess[AnswerForm]:
    """How the answers in these columns are to be read.

    Args:
        kind: that the user wants; guessed if not given.

    Raises:
        DataError: a column is empty, or the answers are not of that kind.
    """
    for column in columns:
        if not column.values:
            raise DataError(f"column {column.name!r} holds no value; name another with --answer")
    if kind in ("label", "text") and len(columns) > 1:
        raise DataError(
            f"answers of kind {kind} stand in one column, not in {len(columns)}; several make a "
            "JSON object: --kind json"
        )
    column = columns[0]
    if kind == "text":
        return Guess(AnswerForm("text"), "as you said")
    if kind == "label":
        if not 0 < len(set(column.texts)) <= MAX_CHOICES:
            raise DataError(
                f"column {column.name!r} holds {column.distinct} different values, and a closed "
                f"list has at most {MAX_CHOICES}; use --kind text, or another --answer"
            )
        return Guess(AnswerForm("label", _labels(column)), "as you said")
    if len(columns) == 1 and column.objects:
        why = "JSON objects, which are scored field by field"
        return Guess(AnswerForm("json", schema=infer_schema(column.objects), whole=True), why)
    if kind == "json":
        return Guess(_of_fields(columns), "as you said")
    return _guessed(columns)


def _guessed(columns: Sequence[Column]) -> Guess[AnswerForm]:
    if len(columns) > 1:
        return Guess(_of_fields(columns), "several fields, which make one JSON object")
    column = columns[0]
    if column.lists:
        return Guess(_of_fields(columns), "lists, each as the one field of a JSON object")
    if column.is_closed and not any("\n" in text for text in column.texts):
        what = "numbers of a scale" if column.is_number else "labels that repeat"
        labels = _labels(column)
        return Guess(AnswerForm("label", labels), f"{len(labels)} {what}")
    if column.is_number:
        why = (
            "numbers of which most differ: right means equal, so if near is good enough, make "
            "classes of them first"
        )
        return Guess(_of_fields(columns), why)
    distinct = len(set(column.texts))
    if distinct <= len(column.texts) / REPEATS:
        why = f"{distinct} different texts; a closed list of labels may have up to {MAX_CHOICES}"
        return Guess(AnswerForm("text"), why)
    return Guess(AnswerForm("text"), "texts of which most differ")


def _labels(column: Column) -> tuple[str, ...]:
    counts = Counter(map(trimmed, column.texts))
    for label, number in one_notation(counts).items():
        counts[number] += counts.pop(label)
    if column.is_number:
        return tuple(sorted(counts, key=float))
    return tuple(label for label, _ in counts.most_common())


def _of_fields(columns: Sequence[Column]) -> AnswerForm:
    properties = {column.name: _field(column) for column in columns}
    schema = {"type": "object", "properties": properties}
    required = [column.name for column in columns if not column.missing]
    if required:
        schema["required"] = required
    return AnswerForm("json", schema=schema | {"additionalProperties": False})


def _field(column: Column) -> dict[str, Any]:
    if column.lists:
        return infer_value(column.lists)
    if column.objects:
        return infer_value(column.objects)
    if column.is_whole:
        return infer_value([int(float(text)) for text in column.texts])
    if column.is_number:
        return {"type": "number"}
    if set(map(str.lower, column.texts)) == {"true", "false"}:
        return {"type": "boolean"}
    return infer_value([value for value in column.values if isinstance(value, str)] or [""])
