"""A JSON Schema for answers, from those that a file holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.answers.characters import composed

MAX_ENUMERATION = 20
# An enumeration is closed: a value that occurs once hints at others that the file does not hold.
_SINGLES = 0.1


def infer_schema(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
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


def infer_value(found: Sequence[Any]) -> dict[str, Any]:
    """A schema that every value found conforms to; texts in Unicode normal form C."""
    found = [composed(value) if isinstance(value, str) else value for value in found]
    kinds = {type(value) for value in found}
    schema: dict[str, Any] = {}
    if kinds == {bool}:
        schema = {"type": "boolean"}
    elif kinds == {int}:
        schema = {"type": "integer", "minimum": min(found), "maximum": max(found)}
    elif kinds and kinds <= {int, float}:
        schema = {"type": "number"}
    elif kinds == {str}:
        schema = {"enum": list(dict.fromkeys(found))} if _closed(found) else {"type": "string"}
    elif kinds == {dict}:
        schema = infer_schema(found)
    elif kinds == {list}:
        elements = [element for value in found for element in value]
        schema = {"type": "array"} | ({"items": infer_value(elements)} if elements else {})
    elif type(None) in kinds and len(kinds) > 1:
        present = infer_value([value for value in found if value is not None])
        schema = {"anyOf": [present, {"type": "null"}]} if present else {}
    return schema


def _closed(found: Sequence[str]) -> bool:
    counts = Counter(found)
    singles = sum(count == 1 for count in counts.values())
    return (
        len(counts) <= MAX_ENUMERATION
        and len(counts) < len(found) / 3
        and singles <= _SINGLES * len(counts)
    )
