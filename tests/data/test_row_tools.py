"""Tools of rows say what may be called, and no more of what is asked: they make no rows alike."""

from __future__ import annotations

import json

from harness.data import audit_leakage, merge_duplicates
from harness.records import Example

TOOLS = json.dumps(
    [{"name": f"tool{n}", "description": "does one thing or another"} for n in range(9)]
)
OTHERS = json.dumps([{"name": "else"}])


def row(identity: str, text: str, tools: str = TOOLS, *, shown: bool = True) -> Example:
    inputs = {"text": text} | ({"tools": tools} if shown else {})
    return Example(identity, inputs, "[]", identity, tools=tools)


def flagged(train: Example, test: Example) -> dict[str, int]:
    found = audit_leakage([train], {"test": [test]}).flagged["test"]
    return {kind: count for kind, count in found.items() if count}


def test_long_lists_of_tools_leak_nothing() -> None:
    for shown in (True, False):
        one = row("1", "Wake me at seven", shown=shown)
        assert flagged(one, row("2", "What is the weather in Rome?", shown=shown)) == {}
        assert flagged(one, row("2", "wake me, at seven!", shown=shown)) == {"exact": 1}


def test_a_request_under_other_tools_is_another_item() -> None:
    one, other = row("1", "Wake me at seven"), row("2", "Wake me at seven", OTHERS)
    assert flagged(one, other) == {}
    assert [e.group for e in merge_duplicates([one, other])] == ["1", "2"]
    same = row("3", "wake me at seven")
    assert [e.group for e in merge_duplicates([one, same])] == ["1", "1"]
