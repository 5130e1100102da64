"""A first wording of what the model is asked to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.data.chat import RESPONSE
from harness.data.infer_form import AnswerForm
from harness.data.name_words import REPLIES

# A longer description of the answer is left to the examples.
_LONGEST = 700
_SHOWN_VALUES = 12
# More than this in every prompt costs each arm more than the text itself.
_LISTED_CHARACTERS = 500


def lists_labels(form: AnswerForm) -> bool:
    """Whether the list of labels is short enough to stand in every prompt."""
    return sum(map(len, form.labels)) <= _LISTED_CHARACTERS


def draft_instruction(form: AnswerForm, answers: Sequence[str], *, is_told: bool = False) -> str:
    """An instruction that says the form of the answer; the task itself only the user knows.

    Args:
        is_told: whether each row says what is to be done.
    """
    if form.kind == "json":
        task = "Extract the information from the text. Reply with JSON only"
        described = _described(form.schema or {})
        if len(described) <= _LONGEST:
            return f"{task}: {described}"
        fields = ", ".join(_fields(form.schema or {}))
        # Fields beyond that are left to the examples.
        return f"{task}, with the fields {fields}." if len(fields) <= _LONGEST else f"{task}."
    if form.kind == "text" and is_told:
        return "Follow the instruction."
    is_reply = answers[0].endswith(RESPONSE) or answers[0].lower() in REPLIES
    if form.kind == "text":
        return "Reply to the text." if is_reply else f"Write the {answers[0]} for the text."
    if not lists_labels(form):
        what = "class" if is_reply else answers[0]
        return f"Classify the text. Reply with the name of its {what} and nothing else."
    mark = "; " if any("," in label for label in form.labels) else ", "
    return f"Classify the text. Reply with exactly one of: {mark.join(form.labels)}"


def _fields(schema: Any) -> list[str]:
    return [
        f"{name} ({', '.join(inner)})" if (inner := _fields(part)) else name
        for name, part in schema.get("properties", {}).items()
    ]


def _described(schema: Any) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_described, schema["anyOf"]))
    if "enum" in schema:
        values = [json.dumps(value, ensure_ascii=False) for value in schema["enum"]]
        return " or ".join(values[:_SHOWN_VALUES]) + (" …" if values[_SHOWN_VALUES:] else "")
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", ())
        parts = [
            f"{json.dumps(name, ensure_ascii=False)}: {_described(part)}"
            + ("" if name in required else " (if any)")
            for name, part in schema.get("properties", {}).items()
        ]
        return "{" + ", ".join(parts) + "}"
    if kind == "array":
        return f"[{_described(schema.get('items', {}))}, …]"
    if kind == "integer" and "minimum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        return f"{low} to {high}" if low != high else str(low)
    return _WORDS.get(kind, "…")


_WORDS = {
    "null": "null",
    "string": "text",
    "number": "number",
    "integer": "number",
    "boolean": "true or false",
}
