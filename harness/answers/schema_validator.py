"""Holds whole values against a JSON Schema."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jsonschema
from jsonschema.protocols import Validator
from referencing import Registry

from harness.answers.json_text import JsonObject

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# The second 60 is that of a minute with a leap second. A zone may be left out, as people do.
_TIME = re.compile(
    r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?", re.ASCII
)


def schema_validator(schema: JsonObject) -> Validator:
    """The validator of a task's schema. It fetches nothing, whatever the schema refers to.

    By default jsonschema would look references up on the network and on the disk, divide numbers
    as a processor holds them, by which 0.07 is no multiple of 0.01, and take any text for a date.
    """
    # Where a part of the schema refers to the whole, the dialect that it names would be judged by
    # jsonschema's own rules again.
    plain = {name: value for name, value in schema.items() if name != "$schema"}
    validator: Validator = _Exact(plain, registry=Registry(), format_checker=_FORMATS)
    return validator


def _multiple_of(
    validator: Validator, step: float, value: object, _: JsonObject
) -> Iterator[jsonschema.ValidationError]:
    if (
        isinstance(value, int | float)
        and validator.is_type(value, "number")
        and (_exact(value) / _exact(step)).denominator != 1
    ):
        yield jsonschema.ValidationError(f"{value!r} is not a multiple of {step}")


def _exact(number: float) -> Fraction:
    """The number as it is written."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _is_date(text: object) -> bool:
    if not isinstance(text, str):
        return True  # A format says nothing of what is no text.
    try:
        return bool(_DATE.fullmatch(text) and datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _is_time(text: object) -> bool:
    return not isinstance(text, str) or bool(_TIME.fullmatch(text))


def _is_date_and_time(text: object) -> bool:
    if not isinstance(text, str):
        return True
    return text[10:11] in ("T", "t", " ") and _is_date(text[:10]) and _is_time(text[11:])


_extended: Any = jsonschema.validators.extend
_Exact = _extended(jsonschema.Draft202012Validator, {"multipleOf": _multiple_of})
_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("date")(_is_date)
_FORMATS.checks("time")(_is_time)
_FORMATS.checks("date-time")(_is_date_and_time)

__all__ = ["schema_validator"]
