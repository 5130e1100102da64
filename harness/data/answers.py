"""The canonical answer of a row: the text that a right reply has."""

from __future__ import annotations

import json
import math
from typing import Any

from harness.answers.characters import trimmed
from harness.answers.json_text import composed_value
from harness.answers.labels import as_listed
from harness.data.json_cells import read_json_text
from harness.records import JsonValue
from harness.spec import JsonAnswer, LabelAnswer, TextAnswer
from harness.spec.task import canonical_json, schema_validator


class AnswerError(ValueError):
    """A row whose answer cannot be used; the message says why and what to do."""


class AnswerReader:
    """Turns a row's values into its answer, checking it against the task.

    Checks against a JSON schema are remembered by answer, as most tasks have few distinct ones.

    Attributes:
        spellings: label -> how else it was written.
    """

    def __init__(self, answer: LabelAnswer | JsonAnswer | TextAnswer) -> None:
        self.spellings: dict[str, set[str]] = {}
        self._answer = answer
        self._checked: dict[str, str] = {}
        self._validator = (
            schema_validator(answer.schema_) if isinstance(answer, JsonAnswer) else None
        )

    def read(self, values: dict[str, JsonValue]) -> str:
        """The canonical answer text.

        A text stands as it is; a label in Unicode normal form C, without white space and
        zero-width characters around it, and as task.answer.labels writes it. For JSON, texts are
        in that form too, column values take the type that the schema asks for (``"3"`` becomes 3
        in an integer field), and an empty value of an optional field is left out.

        Raises:
            AnswerError: missing, empty, not among the labels, or not conforming to the schema.
        """
        answer = self._answer
        match answer:
            case LabelAnswer():
                return self._label(answer, scalar_text(values.get(answer.column), answer.column))
            case TextAnswer():
                return scalar_text(values.get(answer.column), answer.column)
            case JsonAnswer():
                return self._conforming(answer, _json_value(answer, values))

    def _label(self, answer: LabelAnswer, written: str) -> str:
        label = trimmed(written)
        if not label:
            raise AnswerError(f"{answer.column}: the value is empty; fill it in")
        if answer.labels is not None:
            known = as_listed(label, answer.labels)
            if known is None:
                shown = ", ".join(answer.labels[:20]) + (", …" if len(answer.labels) > 20 else "")
                raise AnswerError(
                    f"{answer.column}: label {label!r} is not one of task.answer.labels ({shown}); "
                    "correct the row or add the label"
                )
            label = known
        if written.strip() != label:
            self.spellings.setdefault(label, set()).add(written.strip())
        return label

    def _conforming(self, answer: JsonAnswer, value: dict[str, JsonValue]) -> str:
        text = canonical_json(value, answer.schema_)
        if text not in self._checked and self._validator is not None:
            self._checked[text] = "; ".join(
                f"{'.'.join(map(str, error.absolute_path)) or 'answer'}: {error.message}"
                for error in self._validator.iter_errors(value)
            )
        if self._checked.get(text):
            raise AnswerError(
                f"the answer does not conform to task.answer.schema: {self._checked[text]}"
            )
        return text


def scalar_text(value: JsonValue, column: str) -> str:
    """A column's value as text: strings as they are, numbers and truth values as in JSON.

    Raises:
        AnswerError: the value is missing, blank, or nested.
    """
    if _is_missing(value):
        raise AnswerError(f"{column}: the value is missing; fill it in")
    if isinstance(value, dict | list):
        raise AnswerError(
            f"{column}: holds {'an object' if isinstance(value, dict) else 'a list'} where text "
            "is needed; give its parts columns of their own"
        )
    text = value if isinstance(value, str) else _plain_text(value)
    if not text.strip():
        raise AnswerError(f"{column}: the value is empty; fill it in")
    return text


def _plain_text(value: JsonValue) -> str:
    """A scalar that is not a string, as in JSON; dates and the like in their own notation."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return str(value)


def _is_missing(value: JsonValue) -> bool:
    """Whether a value stands for nothing: null, or the NaN that tables use for null."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _json_value(answer: JsonAnswer, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if answer.columns is not None:
        properties = answer.schema_.get("properties", {})
        required = set(answer.schema_.get("required", ()))
        parts = {}
        for field, column in answer.columns.items():
            schema = properties.get(field, {})
            value = _composed(values.get(column), column)
            value = _coerced(value, schema if isinstance(schema, dict) else {})
            if field in required or not (value is None or value == ""):
                parts[field] = value
        return _without_nan(parts)
    column = str(answer.column)
    value = values.get(column)
    if _is_missing(value) or value == "":
        raise AnswerError(f"{column}: the value is missing; fill it in")
    if isinstance(value, str):
        try:
            value = read_json_text(value).value
        except ValueError as error:
            raise AnswerError(f"{column}: {error}") from error
    value = _composed(value, column)
    if not isinstance(value, dict):
        raise AnswerError(f"{column}: the answer must be a JSON object, not {value!r:.60}")
    return _without_nan(value)


def _composed(value: JsonValue, column: str) -> JsonValue:
    try:
        composed: JsonValue = composed_value(value)
    except ValueError as error:
        raise AnswerError(f"{column}: {error}") from error
    return composed


def _without_nan(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise AnswerError(
            "the answer holds NaN, an infinity or another value that JSON has not; write null, or "
            "leave the field out"
        ) from error
    return value


def _coerced(value: JsonValue, schema: dict[str, Any]) -> JsonValue:
    """The value in the type the schema asks for, or unchanged, for the validator to judge."""
    if _is_missing(value):
        return None
    named = schema.get("type", [])
    kinds = [named] if isinstance(named, str) else list(named)
    if isinstance(value, str):
        options = list(schema["enum"]) if "enum" in schema else [schema.get("const")]
        return value if "string" in kinds or value in options else _parsed(value, kinds, options)
    if isinstance(value, float) and value.is_integer() and "number" not in kinds:
        value = int(value)  # a column of whole numbers with a gap is read as floats
    if kinds == ["string"] and not isinstance(value, dict | list):
        return _plain_text(value)
    return value


def _parsed(text: str, kinds: list[str], options: list[JsonValue]) -> JsonValue:
    for option in options:
        if not isinstance(option, str | None) and json.dumps(option) == text.strip():
            return option
    for kind in kinds:
        value = _from_text(text.strip(), kind)
        if value is not None:
            return value
    return None if text == "" and "null" in kinds else text


def _from_text(text: str, kind: str) -> JsonValue:
    """Text as a JSON value of a kind; None where it is none."""
    try:
        if kind == "integer":
            number = float(text)
            return int(text) if not number.is_integer() or abs(number) > 2**53 else int(number)
        if kind == "number":
            number = float(text)
            return number if math.isfinite(number) else None
        if kind == "boolean":
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        if kind in ("array", "object"):
            return read_json_text(text).value
    except (ValueError, OverflowError):
        return None
    return None
