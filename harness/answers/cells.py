"""A table's cell as the text of an answer, or of an input."""

from __future__ import annotations

import json
import math

from harness.records import JsonValue


class AnswerError(ValueError):
    """A row whose answer cannot be used; the message says why and what to do."""


def scalar_text(value: JsonValue, column: str) -> str:
    """A column's value as text: strings as they are, numbers and truth values as in JSON.

    Raises:
        AnswerError: the value is missing, blank, or nested.
    """
    if is_missing(value):
        raise AnswerError(f"{column}: the value is missing; fill it in")
    if isinstance(value, dict | list):
        raise AnswerError(
            f"{column}: holds {'an object' if isinstance(value, dict) else 'a list'} where text "
            "is needed; give its parts columns of their own"
        )
    text = plain_text(value)
    if not text.strip():
        raise AnswerError(f"{column}: the value is empty; fill it in")
    return text


def plain_text(value: JsonValue) -> str:
    """A scalar as text: numbers and truth values as in JSON, dates and the like as they are."""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def is_missing(value: JsonValue) -> bool:
    """Whether a value stands for nothing: null, or the NaN that tables use for null."""
    return value is None or (isinstance(value, float) and math.isnan(value))
