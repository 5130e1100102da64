"""Two JSON values are the same where the schema means the same by them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers.json_text import DEEPEST, first_object, whole_object
from harness.answers.json_values import (
    UNORDERED,
    Value,
    ValueReader,
    check_order_marks,
    field_f1,
    shared_leaves,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, -0.0])
    | st.sampled_from(["", "a", "A", "1", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
ANY: dict[str, Any] = {"type": "object"}


def read(value: object, schema: dict[str, Any] = ANY) -> Value:
    return ValueReader(schema).read(value)


def best_pairing(ones: list[Value], others: list[Value]) -> int:
    """The most leaves that a one-to-one pairing shares, by trying all."""
    if len(ones) > len(others):
        ones, others = others, ones
    return max(
        sum(itertools.starmap(shared_leaves, zip(ones, order, strict=True)))
        for order in itertools.permutations(others, len(ones))
    )


@given(VALUES, VALUES)
def test_shared_leaves_are_symmetric_and_bounded(one: object, other: object) -> None:
    a, b = read(one), read(other)
    assert shared_leaves(a, b) == shared_leaves(b, a) <= min(a.leaves, b.leaves)
    assert 0 <= field_f1(a, b) <= 1
    assert (a == b) is (b == a)
    if a == b:
        assert field_f1(a, b) == 1


@given(VALUES, VALUES)
def test_field_f1_is_1_exactly_for_values_equal_but_for_the_order_of_lists(
    one: object, other: object
) -> None:
    def unordered(value: Value) -> Value:
        parts = [(name, unordered(part)) for name, part in value.parts]
        return Value(value.kind, value.scalar, tuple(sorted(parts, key=repr)), value.leaves)

    a, b = read(one), read(other)
    assert (field_f1(a, b) == 1) is (unordered(a) == unordered(b))


@given(st.lists(VALUES, min_size=1, max_size=4), st.lists(VALUES, min_size=1, max_size=4))
def test_elements_are_paired_as_well_as_can_be(one: list[object], other: list[object]) -> None:
    a, b = list(map(read, one)), list(map(read, other))
    lists = read(one), read(other)
    assert shared_leaves(*lists) == (
        lists[0].leaves if lists[0] == lists[1] else best_pairing(a, b)
    )


def test_known_counts() -> None:
    def f1(one: object, other: object) -> float:
        return field_f1(read(one), read(other))

    assert f1({"n": [3, 3, 4]}, {"n": [3, 4, 4]}) == pytest.approx(2 / 3)
    assert f1({"n": []}, {}) == f1({"n": []}, {"n": [1]}) == f1({"n": {}}, {"n": []}) == 0
    assert f1({"n": []}, {"n": []}) == f1({}, {}) == 1
    # Of the two elements one is whole, of the other one field of two is right.
    assert f1([{"a": 1, "b": 2}, {"a": 3, "b": 4}], [{"a": 3, "b": 4}, {"a": 1, "b": 9}]) == 3 / 4
    # No leaf is lent from one element to another.
    assert f1([{"a": 1, "b": 2}, {"a": 3, "b": 4}], [{"a": 1, "b": 4}]) == 2 * 1 / (4 + 2)
    assert f1({"a": [[1, 2], [3]]}, {"a": [[3], [2, 1]]}) == 1


def test_values_are_equal_across_notations_not_kinds() -> None:
    assert read(2) == read(2.0) == read(json.loads("2e0"))
    assert read(-0.0) == read(0)
    values: list[object] = [1, True, "1", [1], None, {}, [], "", 1.5]
    assert len(set(map(read, values))) == len(values)
    assert read("Ein  Wort ") == read("\ufeffein wort") == read("ｅｉｎ\u00a0wort")
    assert read("e\u0301") == read("É") != read("e")
    assert read("m²") != read("m2")
    assert read({"a": 1, "b": 2}) == read({"b": 2, "a": 1})
    assert read(2**53 + 1) != read(2.0**53)


def test_listed_texts_are_read_as_labels_and_never_as_each_other() -> None:
    schema = {
        "type": "object",
        "$defs": {"unit": {"enum": ["kg", "KG", "stone", None, 1]}},
        "properties": {
            "one": {"$ref": "#/$defs/unit"},
            "many": {"items": {"$ref": "#/$defs/unit"}},
        },
    }
    values = ValueReader(schema)

    def unit(text: object) -> Value:
        (one,) = (value for _, value in values.read({"one": text}).parts)
        ((_, many),) = values.read({"many": [text]}).parts
        assert many.parts == (("", one),)
        return one

    assert unit("Stone.") == unit("stone")
    assert len({unit(text) for text in ("kg", "KG", "Kg", "stone", None, 1, "1")}) == 7


def test_the_order_of_a_list_counts_unless_the_schema_says_otherwise() -> None:
    def same(mark: dict[str, Any]) -> bool:
        field = {"anyOf": [{"type": "array", **mark}, {"type": "null"}]}
        schema = {"type": "object", "properties": {"a": field}}
        return read({"a": [1, 2, 2]}, schema) == read({"a": [2, 1, 2.0]}, schema)

    assert same({UNORDERED: True})
    assert not same({UNORDERED: False})
    assert not same({"uniqueItems": True})
    schema = {"type": "object", "additionalProperties": {"type": "array", UNORDERED: True}}
    assert read({"a": [1, 1, 2]}, schema) != read({"a": [1, 2, 2]}, schema)
    nested = {"type": "array", UNORDERED: True, "items": {"type": "array"}}
    assert read([[1, 2], [3]], nested) == read([[3], [1, 2]], nested) != read([[3], [2, 1]], nested)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "x-unorderd": True},
        {"type": "array", "x_unordered": True},
        {"type": "array", "x-order": False},
        {"type": "array", "unordered": True},
        {"type": "array", "x-unordered": "yes"},
        {"type": "string", "x-unordered": True},
        {"properties": {"a": {"items": {"type": "object", "X-Unordered": True}}}},
        {"anyOf": [{"type": "array", "x-ordered": False}]},
    ],
)
def test_a_misspelt_mark_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="x-unordered"):
        check_order_marks(schema)


def test_names_and_values_are_no_marks() -> None:
    check_order_marks(
        {
            "properties": {
                "order": {"type": "string"},
                "x-unordered": {"type": ["array", "null"], "x-unordered": True},
            },
            "required": ["order"],
            "propertyOrdering": ["order"],
            "enum": [{"order": 1}],
            "default": {"unordered": True},
            "$defs": {"ordered": True},
        }
    )


# --------------------------------------------------------------------------- JSON in replies


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a {b} {"c": {"d": 1}} {"e": 2}', {"c": {"d": 1}}),
        ('[{"a": 1}]', {"a": 1}),
        ('```json\n{"a": "}"}\n```', {"a": "}"}),
        ('{{"a": 1}}', {"a": 1}),
        ('Use {name: {"x": 1}} or {"a": 1}', {"a": 1}),
        ('{see {"a": 1}', {"a": 1}),
        ('{"a": NaN} {"b": 1}', {"b": 1}),
        ('{"a": {"b": 1},} {"c": 1}', {"c": 1}),
        ('{"e\\u0301": "e\u0301"}', {"é": "é"}),
        ('{"a": 1', None),
        ('{"a": {"b": 1}', None),
        ("{'a': {}}", None),
        ('{"a": 1, "a": 2}', None),
        ('{"a": {"b": 1, "b": 1}}', None),
        ('{"a": -Infinity}', None),
        ('{"a": 1e999}', None),
        ('{"a": ' + "7" * 5000 + "}", None),
        ('{"a": ' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), None),
        ('{"a": ' * 100_000, None),
        ("{" * 20_000, None),
        ("{a" * 20_000, None),
        ("", None),
    ],
)
def test_the_first_object_is_found_amid_text(text: str, found: object) -> None:
    assert first_object(text) == found


def test_a_whole_object_has_nothing_around_it() -> None:
    assert whole_object(' {"a": 1}\n')
    for text in (
        '{"a": 1}.',
        "[]",
        "",
        '{"a": 1, "a": 1}',
        '{"a": NaN}',
        "{" * 50_000,
        '{"a":' * 50_000,
    ):
        assert not whole_object(text)
