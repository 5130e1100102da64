"""The JSON Schema of an answer: whether it can be used, and what it says of whole answers."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from harness.answers.answer import MAX_CHOICES
from harness.answers.json_text import JsonObject, composed_value
from harness.answers.json_values import check_order_marks
from harness.answers.schema_validator import schema_validator

# References that lead to references are followed so far.
_LONGEST_CHAIN = 32


def checked_schema(schema: JsonObject) -> JsonObject:
    """The schema of an object, its texts in Unicode normal form C.

    Raises:
        ValueError: it cannot be used; the message says why.
    """
    _check_json(schema)
    schema = composed_value(schema)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"not a valid JSON Schema: {error.message}") from error
    check_order_marks(schema)
    if schema.get("type") != "object":
        raise ValueError("the schema must describe an object: add `type: object`")
    _check_references(schema)
    return schema


def _check_json(value: object) -> None:
    """Refuse what YAML can write and JSON cannot: it would not be the same in the store."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise ValueError(f"the key {name!r} is no text; put quotes around it")
            _check_json(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_json(inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    elif not isinstance(value, str | bool | int | float | None):
        raise ValueError(f"{value!r:.60} is not JSON; put quotes around it")


def _check_references(schema: JsonObject) -> None:
    """Refuse a schema that cannot be followed to its end on this machine."""
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).crawl().resolver()
    try:
        for keyword, reference, scope in _references(schema, resolver):
            try:
                scope.lookup(reference)
            except Unresolvable:
                raise ValueError(
                    f"`{keyword}: {reference}` leads nowhere; refer to a part of this schema, "
                    "such as #/$defs/name"
                ) from None
        schema_validator(schema).is_valid({})
    except RecursionError:
        raise ValueError("the schema refers to itself without end") from None


def _references(schema: object, scope: Any) -> Iterator[tuple[str, str, Any]]:
    """Every reference in a schema: its keyword, its target, and what resolves it there."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$id"), str):
            scope = scope.in_subresource(DRAFT202012.create_resource(schema))
        for name, value in schema.items():
            if name in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield name, value, scope
            yield from _references(value, scope)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value, scope)


def canonical_json(value: object, schema: JsonObject) -> str:
    """Compact JSON with keys in the schema's order, then alphabetical: one text per value.

    Nested objects follow the schema's nested ``properties`` where it has them, there or where it
    refers to.
    """
    return json.dumps(_in_order(value, schema, schema), ensure_ascii=False)


def _in_order(value: object, schema: object, root: JsonObject) -> object:
    rules = _followed(schema, root)
    if isinstance(value, list):
        return [_in_order(item, rules.get("items"), root) for item in value]
    if not isinstance(value, dict):
        return value
    properties = rules.get("properties", {})
    order = {name: rank for rank, name in enumerate(properties)}
    names = sorted(value, key=lambda name: (order.get(name, len(order)), name))
    return {name: _in_order(value[name], properties.get(name), root) for name in names}


def _followed(schema: object, root: JsonObject) -> JsonObject:
    """What a schema of a place says by itself, or what it refers to within the whole one."""
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(schema, dict):
            return {}  # A schema may also be a truth value.
        reference = schema.get("$ref")
        if "properties" in schema or str(reference).partition("/")[0] != "#":
            return schema
        place: Any = root
        for part in str(reference).split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            place = place.get(name) if isinstance(place, dict) else None
        schema = place
    return {}


def moved(schema: JsonObject, place: str) -> JsonObject:
    """The schema as it stands at a place of another one: what it refers to is found there.

    Args:
        place: JSON pointer to the place, such as ``#/$defs/name``.
    """
    # One with a name of its own is referred to by that.
    return schema if "$id" in schema else _moved(schema, place)


def _moved(schema: Any, place: str) -> Any:
    if isinstance(schema, list):
        return [_moved(part, place) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: place + value[1:]
        if key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/"))
        else value
        if key in ("enum", "const", "default", "examples")
        else _moved(value, place)
        for key, value in schema.items()
    }


def pointer(*names: str) -> str:
    """The JSON pointer to a place, by the names on the way from the root."""
    return "/".join(["#", *(name.replace("~", "~0").replace("/", "~1") for name in names)])


def enumerate_schema(schema: JsonObject) -> tuple[str, ...] | None:
    """Every object a flat schema allows, as canonical JSON; None if not finite and short."""
    required = set(schema.get("required", ()))
    names = list(schema.get("properties", {}))
    if not names or set(names) != required:
        return None
    axes: list[list[object]] = []
    for name in names:
        values = _finite_values(schema["properties"][name])
        if values is None:
            return None
        axes.append(values)
    total = 1
    for axis in axes:
        total *= len(axis)
    if total > MAX_CHOICES:
        return None
    validator = schema_validator(schema)
    objects = (dict(zip(names, values, strict=True)) for values in itertools.product(*axes))
    answers = (canonical_json(item, schema) for item in objects if validator.is_valid(item))
    return tuple(dict.fromkeys(answers))


def _finite_values(field: object) -> list[object] | None:
    if not isinstance(field, dict):
        return None
    if "enum" in field:
        return list(field["enum"])
    if field.get("type") == "boolean":
        return [False, True]
    if field.get("type") == "integer" and {"minimum", "maximum"} <= set(field):
        low, high = field["minimum"], field["maximum"]
        if high - low < MAX_CHOICES:  # not so for an infinite bound
            return list(range(math.ceil(low), math.floor(high) + 1))
    return None


def closed_fields(schema: JsonObject) -> list[str]:
    """Fields of the object with an enumeration, truth value or bounded whole number."""
    return [name for name, rule in schema.get("properties", {}).items() if _is_closed(rule)]


def _is_closed(rule: object) -> bool:
    if not isinstance(rule, dict):
        return False
    bounded = rule.get("type") == "integer" and {"minimum", "maximum"} <= set(rule)
    return "enum" in rule or rule.get("type") == "boolean" or bounded
