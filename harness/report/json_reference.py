"""The fields of the JSON report as Markdown, made from the records and their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.findings import Findings, StudyComparison
from harness.records import Artifact, ExperimentRecord

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    object: "any value",
    Any: "any value",
    NoneType: "null",
}


def json_reference() -> str:
    """A section for every record that a report, or a comparison, can hold."""
    kinds = dict.fromkeys(
        kind
        for top in (ExperimentRecord, Artifact, Findings, StudyComparison)
        for kind in _reached(top)
    )
    return "\n\n".join(map(_section, kinds)) + "\n"


def _reached(kind: type) -> Iterator[type]:
    yield kind
    for hint in get_type_hints(kind).values():
        for held in _records(hint):
            yield from _reached(held)


def _records(hint: Any) -> Iterator[type]:
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for part in get_args(hint):
        yield from _records(part)


def _section(kind: type) -> str:
    text = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
    text = re.sub(r"\bNone\b", "null", text)
    hints = get_type_hints(kind)
    rows = [f"| `{one.name}` | {_value(hints[one.name])} |" for one in fields(kind)]
    return "\n".join(
        [f"### {kind.__name__}", "", text, "", "| field | value |", "|---|---|", *rows]
    )


def _value(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _either([f"`{part}`" if part else "empty" for part in parts])
    if origin in (Union, UnionType):
        return _either([_value(part) for part in parts])
    if origin is tuple:
        several = len(parts) == 2 and parts[1] is Ellipsis
        held = _value(parts[0]) if several else " and ".join(map(_value, parts))
        return f"list, each {held}" if several else f"list of {held}"
    if origin is dict:
        return f"names, each with {_value(parts[1])}"
    if is_dataclass(hint) and isinstance(hint, type):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _WORDS[hint]


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


__all__ = ["json_reference"]
