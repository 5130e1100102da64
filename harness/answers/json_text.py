"""JSON as replies hold it: strict about what is JSON, lenient about what stands around it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from harness.answers.characters import composed

JsonObject = dict[str, Any]
# Levels of lists and objects within each other; what is nested deeper is not compared.
DEEPEST = 64
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
# What begins an object, in JSON or as Python and JavaScript write it, and what might be prose.
_OBJECT, _MAYBE = re.compile(r"\{\s*\"", re.DOTALL), re.compile(r"\{\s*[^\s{]", re.DOTALL)


def whole_object(text: str) -> bool:
    """Whether the text is one JSON object, and nothing else but white space."""
    try:
        return isinstance(DECODER.decode(text), dict)
    except (ValueError, RecursionError):
        return False


def first_object(text: str) -> JsonObject | None:
    """The first JSON object in a text, whatever stands around it; None if there is none."""
    return next(objects_in(text), None)


def objects_in(text: str) -> Iterator[JsonObject]:
    """The JSON objects in a text, one after the other, none that stands within another.

    What begins like an object and is none, because it breaks off, names a field twice, holds a
    number that JSON has not, is nested too deep or is written as in Python, is passed over with
    all that is in it.
    """
    ends: dict[int, int] | None = None
    start = text.find("{")
    while start != -1:
        try:
            value, after = DECODER.raw_decode(text, start)
            yield composed_value(value)
        except ValueError:
            ends = _ends(text, start) if ends is None else ends
            if start in ends and _MAYBE.match(text, start):
                after = ends[start]
            elif _OBJECT.match(text, start):
                return
            else:
                after = start + 1
        except RecursionError:
            return
        start = text.find("{", after)


def composed_value(value: Any, depth: int = 0) -> Any:
    """A JSON value with all its texts and names in Unicode normal form C.

    Raises:
        ValueError: it is nested too deep.
    """
    if depth > DEEPEST:
        raise ValueError(f"lists and objects are nested more than {DEEPEST} deep")
    if isinstance(value, str):
        return composed(value)
    if isinstance(value, dict):
        return {
            composed(name) if isinstance(name, str) else name: composed_value(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [composed_value(item, depth + 1) for item in value]
    return value


def _ends(text: str, start: int) -> dict[int, int]:
    """Place of an opening brace -> place after the one that closes it."""
    ends, opened = dict[int, int](), list[int]()
    for token in _TOKENS.finditer(text, start):
        if token[0] == "{":
            opened.append(token.start())
        elif token[0] == "}" and opened:
            ends[opened.pop()] = token.end()
    return ends


def _distinct_fields(pairs: list[tuple[str, Any]]) -> JsonObject:
    fields = {composed(name): value for name, value in pairs}
    if len(fields) < len(pairs):
        raise ValueError("a field is named twice")
    return fields


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond the numbers of this machine")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct_fields, parse_float=_finite, parse_constant=_no_constant
)
"""Reads JSON alone: no field twice, no number that JSON has not."""
