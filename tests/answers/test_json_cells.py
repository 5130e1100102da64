"""JSON in cells: in each notation the same value, and never code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers.json_cells import may_be_json, read_json_text

VALUE = {"mast": True, "sails": [1, 2.5, None], "name": "it's"}


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        (json.dumps(VALUE), "JSON"),
        (f"  {json.dumps(VALUE, indent=1)}\n", "JSON"),
        (f"```json\n{json.dumps(VALUE)}\n```", "fenced JSON"),
        (f"```\n{json.dumps(VALUE)}\n```\n", "fenced JSON"),
        (f"~~~JSON\n{json.dumps(VALUE)}\n~~~", "fenced JSON"),
        (json.dumps(json.dumps(VALUE)), "JSON encoded twice"),
        (json.dumps(json.dumps(json.dumps(VALUE))), "JSON encoded twice"),
        (repr(VALUE), "Python literals"),
        (f"```python\n{VALUE!r}\n```", "Python literals"),
        ("{'mast': True, 'sails': (1, 2.5, None), 'name': 'it\\'s',}", "Python literals"),
    ],
)
def test_notations(text: str, notation: str) -> None:
    read = read_json_text(text)
    assert (read.value, read.notation) == (VALUE, notation)
    assert may_be_json(text)


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": {"c": 2, "c": 3}}', "{'a': 1, 'b': {'c': 2, 'c': 3}}"]
)
def test_a_field_that_stands_twice(text: str) -> None:
    with pytest.raises(ValueError, match="the field 'c' stands twice in an object; keep one"):
        read_json_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "{'a': __import__('os')}",
        "{'a': open('x')}",
        "{'a': {1, 2}}",
        "{1: 2}",
        "{'a': b'x'}",
        "{'a': 1j}",
        '{"a": true,}',
        "{'a': true}",
        "{'a': nan}",
        "{" * 60 + "}" * 60,
        "[" * 100_000,
        "{'a': " + "'x'," * 400_000 + "}",
        "Here: {}",
        "```json\n{}",
        "",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not valid JSON"):
        read_json_text(text)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(tree=st.dictionaries(st.text(), TREES, max_size=3))
def test_any_object_is_read_back(tree: dict[str, Any]) -> None:
    for text in (json.dumps(tree), repr(tree), f"```json\n{json.dumps(tree)}\n```"):
        assert read_json_text(text).value == tree


@pytest.mark.parametrize(
    "text", ["['oak' 'elm']", "[['oak' 'elm']\n ['ash' 'fir']]", "{'a': 'b' 'c'}"]
)
def test_texts_side_by_side_are_not_joined(text: str) -> None:
    """An array of numpy is written so; Python would make one text of two."""
    with pytest.raises(ValueError, match="not valid JSON"):
        read_json_text(text)
