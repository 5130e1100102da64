"""Look at a file and propose a task: which column is the text, which the answer, of what kind."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from harness.data.read import Rows, read_rows
from harness.errors import DataError

MAX_LABELS = 150
MAX_ENUMERATION = 20
GROUP_WORDS = ("group", "customer", "user", "account", "document", "doc", "thread", "session",
               "conversation", "author", "review", "patient", "case")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed reading of a file.

    answer_kind: ``label``, ``json`` or ``text``. labels: distinct labels, most frequent first.
    schema: JSON Schema of a JSON answer. reasons: one sentence for each guess.
    """

    text: str
    answer: str
    answer_kind: str
    labels: tuple[str, ...]
    schema: dict[str, Any] | None
    group: str | None
    rows: int
    reasons: tuple[str, ...]


def propose(
    source: str, text: str | None = None, answer: str | None = None, group: str | None = None
) -> Proposal:
    """Infer what was not given from the values of the columns.

    Raises:
        DataError: no such column, or too few columns to find a text and an answer among.
    """
    rows = read_rows(source)
    for name in (text, answer, group):
        if name is not None and name not in rows.columns:
            raise DataError(f"{source} has no column {name!r}; it has {', '.join(rows.columns)}")
    if text is not None and text == answer:
        raise DataError(f"column {text!r} cannot be both the text and the answer; name two columns")
    values = {name: _column(rows, name) for name in rows.columns}
    reasons: list[str] = []
    if answer is None:
        answer = _answer_column(values, text)
        reasons.append(f"answer: `{answer}`, the column with the most repeated or JSON values")
    if text is None:
        text = _text_column(values, answer)
        reasons.append(f"text: `{text}`, the column with the longest texts")
    if not values[answer]:
        raise DataError(f"column {answer!r} of {source} holds no value; name another with --answer")
    if group is None:
        group = _group_column(values, (text, answer))
        if group is not None:
            reasons.append(f"group: `{group}`, whose values repeat and whose name says so")
    kind, labels, schema = _answer_kind(values[answer])
    reasons.append(f"answers are {_KIND_WORDS[kind]}")
    return Proposal(text, answer, kind, labels, schema, group, len(rows.rows), tuple(reasons))


_KIND_WORDS = {"label": "labels that repeat", "json": "JSON objects", "text": "free text"}


def _column(rows: Rows, name: str) -> list[Any]:
    found = [row.values.get(name) for row in rows.rows]
    return [value for value in found if value not in (None, "")]


def _answer_column(values: dict[str, list[Any]], text: str | None) -> str:
    candidates = [name for name, found in values.items() if name != text and found]
    if not candidates or (text is None and len(values) < 2):
        raise DataError("a text and an answer need two columns; name them with --text and --answer")

    def rank(name: str) -> tuple[bool, float]:
        found = values[name]
        distinct = len({json.dumps(value, default=str) for value in found}) / len(found)
        # A column that never repeats is an id, unless it holds JSON objects.
        return (_objects(found) is not None, 1 - distinct if distinct < 1 else -1)

    return max(candidates, key=rank)


def _text_column(values: dict[str, list[Any]], answer: str) -> str:
    lengths = {
        name: sum(len(str(value)) for value in found) / len(found)
        for name, found in values.items()
        if name != answer and found
    }
    if not lengths:
        raise DataError("no column is left for the text; name it with --text")
    return max(lengths, key=lambda name: lengths[name])


def _group_column(values: dict[str, list[Any]], taken: tuple[str, str]) -> str | None:
    for name, found in values.items():
        distinct = len({str(value) for value in found})
        repeats = found and 1 < distinct < 0.9 * len(found)
        if name not in taken and repeats and any(word in name.lower() for word in GROUP_WORDS):
            return name
    return None


def _answer_kind(found: list[Any]) -> tuple[str, tuple[str, ...], dict[str, Any] | None]:
    objects = _objects(found)
    if objects is not None:
        return "json", (), infer_schema(objects)
    counts = Counter(str(value).strip() for value in found)
    repeated = len(counts) <= max(2, len(found) / 3)
    if len(counts) <= MAX_LABELS and repeated and all("\n" not in label for label in counts):
        return "label", tuple(label for label, _ in counts.most_common()), None
    return "text", (), None


def _objects(found: list[Any]) -> list[dict[str, Any]] | None:
    objects = []
    for value in found:
        parsed = value
        if isinstance(value, str):
            try:
                parsed = json.loads(value)
            except json.JSONDecodeError:
                return None
        if not isinstance(parsed, dict):
            return None
        objects.append(parsed)
    return objects or None


def infer_schema(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """A JSON Schema that all ``objects`` conform to; short lists of texts become enumerations."""
    names = list(dict.fromkeys(name for item in objects for name in item))
    properties = {name: _field(list(_present(objects, name)), len(objects)) for name in names}
    required = [name for name in names if all(name in item for item in objects)]
    return {"type": "object", "properties": properties, "required": required}


def _present(objects: list[dict[str, Any]], name: str) -> list[Any]:
    return [item[name] for item in objects if name in item]


def _field(found: list[Any], rows: int) -> dict[str, Any]:
    kinds = {type(value) for value in found}
    match kinds:
        case _ if kinds == {bool}:
            return {"type": "boolean"}
        case _ if kinds == {int}:
            return {"type": "integer", "minimum": min(found), "maximum": max(found)}
        case _ if kinds <= {int, float}:
            return {"type": "number"}
        case _ if kinds == {str}:
            distinct = list(dict.fromkeys(found))
            short = len(distinct) <= MAX_ENUMERATION and len(distinct) < rows / 3
            return {"enum": distinct} if short else {"type": "string"}
        case _ if kinds == {dict}:
            return infer_schema(found)
        case _:
            return {"type": "array"} if kinds == {list} else {}
