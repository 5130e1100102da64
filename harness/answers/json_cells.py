"""JSON as people leave it in a cell: as it is, fenced, encoded twice, or as a Python literal."""

from __future__ import annotations

import ast
import io
import itertools
import json
import math
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.answers.cells import is_missing, plain_text
from harness.records import JsonValue

Notation = Literal["JSON", "fenced JSON", "JSON encoded twice", "Python literals"]
_FENCE = re.compile(r"(`{3,}|~{3,})[^\S\n]*\w*[^\S\n]*\n(.*?)\n?[^\S\n]*\1", re.DOTALL)
_BEGINNING = re.compile(r'\s*([{\[]|```|~~~|"[\\"\s]*[{\[])')
# Python's parser is not made for hostile input: longer or deeper text is not handed to it.
_LONGEST, _DEEPEST = 1_000_000, 50
_SPACES = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value and how it was written."""

    value: JsonValue
    """The value."""
    notation: Notation
    """How it was written."""


class RepeatedFieldError(ValueError):
    """An object that holds a field twice: only one of the values could be kept."""


def object_of(fields: Sequence[tuple[Any, JsonValue]]) -> dict[str, JsonValue]:
    """The object with these fields.

    Raises:
        RepeatedFieldError: a name stands twice.
    """
    by_name = dict(fields)
    if len(by_name) < len(fields):
        names = [name for name, _ in fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise RepeatedFieldError(f"the field {twice!r:.60} stands twice in an object; keep one")
    return by_name


def may_be_json(text: str) -> bool:
    """Whether a text begins as an object or a list does, in one of the notations."""
    return _BEGINNING.match(text) is not None


def read_json_text(text: str) -> JsonText:
    """The value of a text.

    Raises:
        ValueError: it is no JSON in any of the notations; the message is a sentence's end.
    """
    text = text.strip()
    notation: Notation = "JSON"
    fenced = _FENCE.fullmatch(text)
    if fenced:
        text, notation = fenced[2].strip(), "fenced JSON"
    try:
        value = json.loads(text, object_pairs_hook=object_of)
    except RepeatedFieldError as error:
        raise ValueError(f"not valid JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        try:
            return JsonText(_literal(text), "Python literals")
        except RepeatedFieldError:
            raise
        except (ValueError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError):
            raise ValueError(f"not valid JSON: {error}") from error
    if isinstance(value, str) and may_be_json(value):
        return JsonText(read_json_text(value).value, "JSON encoded twice")
    return JsonText(value, notation)


def _literal(text: str) -> JsonValue:
    deepest = depth = 0
    for sign in text:
        depth += (sign in "{[(") - (sign in "}])")
        deepest = max(deepest, depth)
    if not text.startswith(("{", "[")) or len(text) > _LONGEST or deepest > _DEEPEST:
        raise ValueError
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    texts = [t.type == tokenize.STRING for t in tokens if t.type not in _SPACES]
    if any(one and other for one, other in itertools.pairwise(texts)):
        # Python joins such texts; but arrays of numpy are written so: ['a' 'b'].
        raise ValueError
    return _as_json(literal_value(ast.parse(text, mode="eval")))


def literal_value(tree: ast.AST) -> Any:
    """The value of what Python takes for a literal.

    Raises:
        RepeatedFieldError: an object in it holds a field twice.
        ValueError: it is no literal.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            object_of([(key.value, None) for key in node.keys if isinstance(key, ast.Constant)])
    return ast.literal_eval(tree)


def _as_json(value: object) -> JsonValue:
    """The value with lists for tuples; ValueError where it holds what JSON has not."""
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise ValueError
        return {name: _as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(element) for element in value]
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError
    return value


def coerced(value: JsonValue, schema: object) -> JsonValue:
    """The value in the type the schema asks for, or unchanged, for the validator to judge."""
    if is_missing(value):
        return None
    if not isinstance(schema, dict):
        schema = {}
    named = schema.get("type", [])
    kinds = [named] if isinstance(named, str) else list(named)
    if isinstance(value, str):
        options = list(schema["enum"]) if "enum" in schema else [schema.get("const")]
        return value if "string" in kinds or value in options else _parsed(value, kinds, options)
    if isinstance(value, float) and value.is_integer() and "number" not in kinds:
        value = int(value)  # a column of whole numbers with a gap is read as floats
    if kinds == ["string"] and not isinstance(value, dict | list):
        return plain_text(value)
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
