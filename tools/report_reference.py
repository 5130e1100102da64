"""The fields of the JSON report as Markdown, made from the records and their docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.findings import Findings, StudyComparison
from harness.records import Artifact, ExperimentRecord
from harness.wording import listed

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
    text = inspect.cleandoc(kind.__doc__ or "")
    hints = get_type_hints(kind)
    meanings = _meanings(kind)
    rows = [
        f"| `{field.name}` | {_value(hints[field.name])} | {meanings.get(field.name, '')} |"
        for field in fields(kind)
    ]
    head = ["| field | value | meaning |", "|---|---|---|"]
    return "\n".join([f"### {kind.__name__}", "", _page_text(text), "", *head, *rows])


def _page_text(docstring: str) -> str:
    """The words of a docstring as a page of JSON has them."""
    return re.sub(r"\bNone\b", "null", docstring.replace("``", "`"))


def _meanings(kind: type) -> dict[str, str]:
    """Field -> the docstring that stands under it."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    meanings = {}
    for field, text in pairwise(body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                meanings[name] = _page_text(" ".join(words.split())).replace("|", "\\|")
    return meanings


def _value(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return listed([f"`{part}`" if part else "empty" for part in parts], "or")
    if origin in (Union, UnionType):
        return listed([_value(part) for part in parts], "or")
    if origin is tuple:
        several = len(parts) == 2 and parts[1] is Ellipsis
        held = _value(parts[0]) if several else listed(map(_value, parts))
        return f"list, each {held}" if several else f"list of {held}"
    if origin is dict:
        return f"names, each with {_value(parts[1])}"
    if is_dataclass(hint) and isinstance(hint, type):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _WORDS[hint]


__all__ = ["json_reference"]
