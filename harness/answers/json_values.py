"""When two JSON values are the same, and how much two that differ share."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from harness.answers.characters import composed, folded
from harness.answers.json_text import JsonObject
from harness.answers.label_reader import LabelReader

# On a schema of lists: their order says nothing.
UNORDERED = "x-unordered"
# Keywords under which names stand, and those under which values stand, not schemas.
_NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_VALUES = {"enum", "const", "default", "examples", "required", "dependentRequired"}
_Kind = Literal["object", "list", "text", "unlisted", "number", "truth", "null"]


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value in the one notation of its kind; equal exactly where the values are the same."""

    kind: _Kind
    """A truth value is no number, and a text no number either; unlisted is a text that is none of
    those that the schema lists."""
    scalar: str | int | float | bool | None = None
    """Of a text, number or truth value."""
    parts: tuple[tuple[str, Value], ...] = ()
    """Field -> value of an object, sorted by field; elements of a list under empty names, sorted
    where their order says nothing."""
    leaves: int = 1
    """Scalars and empty lists and objects in it, itself included."""


class _Place:
    """What the schemas of a place say of the values that stand there."""

    def __init__(self, rules: Sequence[JsonObject]) -> None:
        self.rules = rules
        self.unordered = any(rule.get(UNORDERED) is True for rule in rules)
        options = (
            option for rule in rules for option in (*rule.get("enum", ()), rule.get("const"))
        )
        listed = dict.fromkeys(option for option in options if isinstance(option, str))
        self._listed = LabelReader(listed) if listed else None

    def text(self, text: str) -> Value:
        """A text as it is meant here."""
        if self._listed is None:
            return Value("text", folded(text))
        label = self._listed.read(text)
        return Value("unlisted", folded(text)) if label is None else Value("text", label)


class ValueReader:
    """Reads JSON values as a schema means them.

    - 2 and 2.0 are one number.
    - Texts count without case, white space around and within, zero-width characters and
      differences of width or normal form; a field whose schema lists its texts (``enum``,
      ``const``) is read as labels are, so that two of them are never one.
    - The order of a list counts unless its schema has ``x-unordered: true``.
    """

    def __init__(self, schema: JsonObject) -> None:
        resource = DRAFT202012.create_resource(schema)
        self._resolver = Registry().with_resource("", resource).crawl().resolver()
        self._places: dict[tuple[int, ...], _Place] = {}
        self._root = self._place([schema])

    def read(self, value: object) -> Value:
        """The value as the schema means it."""
        return self._read(value, self._root)

    def _read(self, value: object, place: _Place) -> Value:
        match value:
            case dict():
                parts = sorted(
                    (composed(name), self._read(item, self._place(_of_field(place.rules, name))))
                    for name, item in value.items()
                )
                return Value("object", parts=tuple(parts), leaves=_leaves(parts))
            case list():
                elements = [
                    ("", self._read(item, self._place(_of_element(place.rules, position))))
                    for position, item in enumerate(value)
                ]
                if place.unordered:
                    elements.sort(key=repr)
                return Value("list", parts=tuple(elements), leaves=_leaves(elements))
            case str():
                return place.text(value)
            case bool():
                return Value("truth", value)
            case int() | float():
                whole = isinstance(value, float) and value.is_integer()
                return Value("number", int(value) if whole else value)
            case _:
                return Value("null")

    def _place(self, schemas: Iterable[object]) -> _Place:
        """What the schemas say of a place; made once, as all replies are read by the same."""
        known = [schema for schema in schemas if isinstance(schema, dict)]
        key = tuple(map(id, known))
        if key not in self._places:
            self._places[key] = _Place(list(self._applying(known)))
        return self._places[key]

    def _applying(self, schemas: Iterable[object]) -> Iterator[JsonObject]:
        """The schemas, with all that they refer to and all their branches."""
        seen = set[int]()
        waiting = list(schemas)
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            yield schema
            waiting += [b for key in ("allOf", "anyOf", "oneOf") for b in schema.get(key, ())]
            waiting += [schema.get(key) for key in ("if", "then", "else")]
            for key in ("$ref", "$dynamicRef"):
                if key in schema:
                    try:
                        waiting.append(self._resolver.lookup(schema[key]).contents)
                    except Unresolvable:
                        continue


def _of_field(rules: Sequence[JsonObject], name: str) -> Iterator[object]:
    for rule in rules:
        own = rule.get("properties", {})
        known = name in own or composed(name) in own
        schemas = [own[name if name in own else composed(name)]] if known else []
        for pattern, schema in rule.get("patternProperties", {}).items():
            if re.search(pattern, name):
                schemas.append(schema)
        yield from schemas or [rule.get("additionalProperties")]


def _of_element(rules: Sequence[JsonObject], place: int) -> Iterator[object]:
    for rule in rules:
        first = rule.get("prefixItems", ())
        yield first[place] if place < len(first) else rule.get("items")


def _as_list(kinds: object) -> list[object]:
    return kinds if isinstance(kinds, list) else [kinds]


def _leaves(parts: Sequence[tuple[str, Value]]) -> int:
    return sum(value.leaves for _, value in parts) or 1


def shared_leaves(one: Value, other: Value) -> int:
    """How many leaves two values share.

    Fields of objects are compared field by field. Elements of lists are paired one to one,
    whatever their order, so that most leaves are shared: what stands in one element is never
    found in another. A leaf of a pair counts where it stands at the same place in both.
    """
    if one == other:
        return one.leaves
    if one.kind != other.kind or not one.parts or not other.parts:
        return 0
    if one.kind == "object":
        fields = dict(other.parts)
        return sum(shared_leaves(v, fields[name]) for name, v in one.parts if name in fields)
    return _paired([v for _, v in one.parts], [v for _, v in other.parts])


def _paired(ones: Sequence[Value], others: Sequence[Value]) -> int:
    # Equal elements may be paired first: no other pairing shares more.
    left, right = Counter(ones), Counter(others)
    same = left & right
    total = sum(value.leaves * count for value, count in same.items())
    # Of the others only lists and objects share anything.
    rows, columns = (
        [value for value in rest.elements() if value.parts] for rest in (left - same, right - same)
    )
    table = [[shared_leaves(row, column) for column in columns] for row in rows]
    if not any(map(any, table)):
        return total
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    matrix = np.array(table)
    return total + int(matrix[linear_sum_assignment(matrix, maximize=True)].sum())


def field_f1(target: Value, reply: Value) -> float:
    """F1 of the reply's leaves: twice the shared ones, over those of both."""
    return 2 * shared_leaves(target, reply) / (target.leaves + reply.leaves)


def check_order_marks(schema: object) -> None:
    """Refuse an ``x-unordered`` that is misspelt, or that would mean nothing.

    Raises:
        ValueError: naming it.
    """
    if isinstance(schema, list):
        for inner in schema:
            check_order_marks(inner)
    if not isinstance(schema, dict):
        return
    for keyword, inner in schema.items():
        if keyword == UNORDERED:
            kinds = schema.get("type", "array")
            if not isinstance(inner, bool) or "array" not in _as_list(kinds):
                raise ValueError(f"`{UNORDERED}` is true or false, on a schema of `type: array`")
        elif keyword in _NAMED:
            for named in inner.values():
                check_order_marks(named)
        elif keyword.lower().startswith("property"):
            # The order of fields, which some servers are told so, says nothing about values.
            continue
        elif "order" in keyword.lower() or difflib.get_close_matches(keyword, [UNORDERED]):
            raise ValueError(
                f"`{keyword}` is no keyword of JSON Schema; that the order of a list does not "
                f"count is said by `{UNORDERED}: true`"
            )
        elif keyword not in _VALUES:
            check_order_marks(inner)
