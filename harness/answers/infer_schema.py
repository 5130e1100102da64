"""A JSON Schema for answers, from those that a file holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.answers.answer_column import AnswerColumn
from harness.answers.characters import composed
from harness.answers.json_text import JsonObject

MAX_ENUMERATION = 20
# An enumeration is closed: a value that occurs once hints at others that the file does not hold.
_SINGLES = 0.1


def infer_schema(objects: Sequence[JsonObject]) -> JsonObject:
    """A JSON Schema that all ``objects`` conform to; texts that repeat become enumerations."""
    names = list(dict.fromkeys(name for item in objects for name in item))
    properties = {
        name: infer_value([item[name] for item in objects if name in item]) for name in names
    }
    required = [name for name in names if all(name in item for item in objects)]
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema | {"additionalProperties": False}


def infer_value(values: Sequence[Any]) -> JsonObject:
    """A schema that every value conforms to; texts in Unicode normal form C."""
    values = [composed(value) if isinstance(value, str) else value for value in values]
    kinds = {type(value) for value in values}
    schema: JsonObject = {}
    if kinds == {bool}:
        schema = {"type": "boolean"}
    elif kinds == {int}:
        schema = {"type": "integer", "minimum": min(values), "maximum": max(values)}
    elif kinds and kinds <= {int, float}:
        schema = {"type": "number"}
    elif kinds == {str}:
        schema = {"enum": list(dict.fromkeys(values))} if _closed(values) else {"type": "string"}
    elif kinds == {dict}:
        schema = infer_schema(values)
    elif kinds == {list}:
        elements = [element for value in values for element in value]
        schema = {"type": "array"} | ({"items": infer_value(elements)} if elements else {})
    elif type(None) in kinds and len(kinds) > 1:
        present = infer_value([value for value in values if value is not None])
        schema = {"anyOf": [present, {"type": "null"}]} if present else {}
    return schema


def _closed(values: Sequence[str]) -> bool:
    counts = Counter(values)
    singles = sum(count == 1 for count in counts.values())
    return (
        len(counts) <= MAX_ENUMERATION
        and len(counts) < len(values) / 3
        and singles <= _SINGLES * len(counts)
    )


def schema_of_columns(columns: Sequence[AnswerColumn]) -> JsonObject:
    """The schema of objects of which each column is a field."""
    properties = {column.name: _field(column) for column in columns}
    schema: JsonObject = {"type": "object", "properties": properties}
    required = [column.name for column in columns if not column.missing]
    if required:
        schema["required"] = required
    return schema | {"additionalProperties": False}


def _field(column: AnswerColumn) -> JsonObject:
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
