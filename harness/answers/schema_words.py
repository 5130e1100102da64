"""A JSON Schema in the words of an instruction."""

from __future__ import annotations

import json

from harness.answers.json_text import JsonObject

_SHOWN_VALUES = 12
_WORDS = {
    "null": "null",
    "string": "text",
    "number": "number",
    "integer": "number",
    "boolean": "true or false",
}


def field_names(schema: JsonObject) -> list[str]:
    """Its fields, each with those within it in brackets."""
    return [
        f"{name} ({', '.join(inner)})" if (inner := field_names(part)) else name
        for name, part in schema.get("properties", {}).items()
    ]


def described(schema: JsonObject) -> str:
    """What a value of the schema looks like, in the manner of an example."""
    if "anyOf" in schema:
        return " or ".join(map(described, schema["anyOf"]))
    if "enum" in schema:
        values = [json.dumps(value, ensure_ascii=False) for value in schema["enum"]]
        return " or ".join(values[:_SHOWN_VALUES]) + (" …" if values[_SHOWN_VALUES:] else "")
    kind = schema.get("type", "")
    if kind == "object":
        required = schema.get("required", ())
        parts = [
            f"{json.dumps(name, ensure_ascii=False)}: {described(part)}"
            + ("" if name in required else " (if any)")
            for name, part in schema.get("properties", {}).items()
        ]
        return "{" + ", ".join(parts) + "}"
    if kind == "array":
        return f"[{described(schema.get('items', {}))}, …]"
    if kind == "integer" and "minimum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        return f"{low} to {high}" if low != high else str(low)
    return _WORDS.get(kind, "…")
