"""Exports of Label Studio: tasks with what their annotators said, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harness.data.rows import Row, Rows
from harness.records import JsonValue
from harness.wording import listed

_ANNOTATIONS = ("annotations", "completions")
# Kind of result -> where its value stands.
_VALUES = {"choices": "choices", "rating": "rating", "number": "number", "textarea": "text",
           "taxonomy": "taxonomy", "datetime": "datetime"}  # fmt: skip


def with_annotations(table: Rows) -> Rows:
    """The rows with a column for each field of the tasks and each question to the annotators.

    Unchanged where the rows are no such tasks. A question that was not answered, or answered in
    two ways, gives no value, and its row says why.
    """
    column = next((name for name in _ANNOTATIONS if name in table.columns), None)
    if column is None or not all(_is_task(row.values, column) for row in table.rows):
        return table
    fields = dict.fromkeys(name for row in table.rows for name in row.values["data"])
    questions = dict.fromkeys(
        str(result["from_name"])
        for row in table.rows
        for results in _annotations(row.values[column])
        for result in results
        if result.get("from_name")
    )
    if not questions:
        return table
    rows = tuple(_flat(row, column, tuple(questions)) for row in table.rows)
    note = (
        "the file is an export of Label Studio: its columns are the fields of `data` and the "
        f"questions {', '.join(f'`{name}`' for name in questions)}"
    )
    return replace(
        table, columns=tuple({**fields, **questions}), rows=rows, notes=(*table.notes, note)
    )


def _is_task(values: dict[str, JsonValue], column: str) -> bool:
    results = values.get(column)
    return (
        isinstance(values.get("data"), dict)
        and isinstance(results, list)
        and all(isinstance(result, dict) for result in results)
    )


def _annotations(annotations: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for annotation in annotations:
        results = annotation.get("result")
        if isinstance(results, list) and not annotation.get("was_cancelled"):
            yield [result for result in results if isinstance(result, dict)]


def _flat(row: Row, column: str, questions: tuple[str, ...]) -> Row:
    values = dict(row.values["data"])
    lacking: dict[str, str] = {}
    annotated = [
        {str(result.get("from_name")): result for result in results}
        for results in _annotations(row.values[column])
    ]
    for name in questions:
        answers = []
        for annotation in annotated:
            if name in annotation:
                kind = str(annotation[name].get("type"))
                value = annotation[name].get("value")
                answers.append(_answer(kind, value if isinstance(value, dict) else {}))
        if None in answers:
            kinds = {
                str(annotation[name].get("type")) for annotation in annotated if name in annotation
            }
            lacking[name] = (
                f"{name}: a result of type {listed(sorted(kinds))} cannot be read; choices, "
                "ratings, numbers and texts can"
            )
        elif not answers:
            lacking[name] = f"{name}: no annotator answered; annotate it, or leave the row out"
        elif any(answer != answers[0] for answer in answers):
            shown = listed(sorted({f"{answer!r:.40}" for answer in answers}))
            lacking[name] = f"{name}: annotators say {shown}; keep one annotation of the task"
        else:
            values[name] = answers[0]
    return Row(row.line, values, lacking)


def _answer(kind: str, value: dict[str, Any]) -> JsonValue:
    """What an annotator answered: the one choice or text itself, several as a list."""
    answer = value.get(_VALUES.get(kind, ""))
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
