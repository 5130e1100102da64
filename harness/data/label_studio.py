"""Exports of Label Studio: tasks with what their annotators said, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harness.data.rows import Row, Rows
from harness.records import JsonValue

_ANNOTATIONS = ("annotations", "completions")
# Kind of result -> where its value stands.
_VALUES = {"choices": "choices", "rating": "rating", "number": "number", "textarea": "text",
           "taxonomy": "taxonomy", "datetime": "datetime"}  # fmt: skip


def with_annotations(table: Rows) -> Rows:
    """The rows with a column for each field of the tasks and each question to the annotators.

    Unchanged where the rows are no such tasks. A question that was not answered, or answered in
    two ways, gives no value, and its row says why.
    """
    said = next((name for name in _ANNOTATIONS if name in table.columns), None)
    if said is None or not all(_is_task(row.values, said) for row in table.rows):
        return table
    fields = dict.fromkeys(name for row in table.rows for name in row.values["data"])
    questions = dict.fromkeys(
        str(result["from_name"])
        for row in table.rows
        for results in _annotations(row.values[said])
        for result in results
        if result.get("from_name")
    )
    if not questions:
        return table
    rows = tuple(_flat(row, said, tuple(questions)) for row in table.rows)
    note = (
        "the file is an export of Label Studio: its columns are the fields of `data` and the "
        f"questions {', '.join(f'`{name}`' for name in questions)}"
    )
    return replace(
        table, columns=tuple({**fields, **questions}), rows=rows, notes=(*table.notes, note)
    )


def _is_task(values: dict[str, JsonValue], said: str) -> bool:
    results = values.get(said)
    return (
        isinstance(values.get("data"), dict)
        and isinstance(results, list)
        and all(isinstance(one, dict) for one in results)
    )


def _annotations(annotations: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for one in annotations:
        results = one.get("result")
        if isinstance(results, list) and not one.get("was_cancelled"):
            yield [result for result in results if isinstance(result, dict)]


def _flat(row: Row, said: str, questions: tuple[str, ...]) -> Row:
    values = dict(row.values["data"])
    lacking: dict[str, str] = {}
    given = [
        {str(result.get("from_name")): result for result in results}
        for results in _annotations(row.values[said])
    ]
    for name in questions:
        answers = []
        for one in given:
            if name in one:
                kind = str(one[name].get("type"))
                value = one[name].get("value")
                answers.append(_answer(kind, value if isinstance(value, dict) else {}))
        if None in answers:
            kinds = {str(one[name].get("type")) for one in given if name in one}
            lacking[name] = (
                f"{name}: a result of type {' and '.join(sorted(kinds))} cannot be read; choices, "
                "ratings, numbers and texts can"
            )
        elif not answers:
            lacking[name] = f"{name}: no annotator answered; annotate it, or leave the row out"
        elif any(answer != answers[0] for answer in answers):
            shown = " and ".join(sorted({f"{answer!r:.40}" for answer in answers}))
            lacking[name] = f"{name}: annotators say {shown}; keep one annotation of the task"
        else:
            values[name] = answers[0]
    return Row(row.line, values, lacking)


def _answer(kind: str, value: dict[str, Any]) -> JsonValue:
    """What was answered: the one choice or text itself, several as a list."""
    found = value.get(_VALUES.get(kind, ""))
    return found[0] if isinstance(found, list) and len(found) == 1 else found
