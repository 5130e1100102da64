"""What a validated YAML file got wrong, each error with the line and the field it is about."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import Problem
from harness.records.frozen_spec import NO_NUMBER


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a pydantic error belongs."""

    fields: tuple[str, ...]
    """Keys that lead down to it."""
    line: int
    """Line in the file, from 1."""
    members: tuple[tuple[tuple[str, ...], str], ...]
    """Pairs of a union's place and the member of it that the error is about; pydantic puts their
    names into its locations, where they match no key."""


def located_problems(
    path: Path, root: yaml.Node, model: type[BaseModel], error: ValidationError
) -> list[Problem]:
    """What pydantic refused in a file, each with its line and field, sorted by line.

    Args:
        path: the file.
        root: its node tree.
        model: what its values were to be.
        error: what pydantic said.
    """
    faults: dict[tuple[int, str], list[str]] = {}
    for detail, where in _of_nearest_members(root, error):
        place = where
        name = str(detail["loc"][-1]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            what = f"unknown key `{name}`{_suggestion(model, name, place.fields[:-1])}"
        elif detail["type"] == "missing":
            what = "this key is required and missing"
        elif detail["type"] == "string_type" and not isinstance(detail["input"], dict | list):
            what = f"must be text, and YAML reads it as {detail['input']!s}: put quotes around it"
        elif detail["type"] == NO_NUMBER:
            what = f"must be a number, and YAML reads it as {detail['input']}: write a number"
        else:
            message, place = _where_it_says(
                root, detail["msg"].removeprefix("Value error, "), place
            )
            value = detail.get("input")
            shown = "" if isinstance(value, dict | list) else f" (got {value!r})"
            what = message[0].lower() + message[1:] + shown
        faults.setdefault((place.line, ".".join(place.fields)), []).append(what)
    problems = []
    for (line, field), messages in sorted(faults.items()):
        what = "; or ".join(dict.fromkeys(messages))
        problems.append(Problem(f"{path}:{line}", f"{field}: {what}" if field else what))
    return problems


def _of_nearest_members(
    root: yaml.Node, error: ValidationError
) -> list[tuple[ErrorDetails, _Place]]:
    """The errors, but of each union only those of the member that the input is nearest to."""
    located = [(detail, _locate(root, detail)) for detail in error.errors(include_url=False)]
    distances: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for detail, place in located:
        for union, member in place.members:
            own = str(detail["loc"][-1]) == member
            distances[union][member] += _distance(detail, own=own)
    return [
        (detail, place)
        for detail, place in located
        # An empty list is too short; one with bad elements is only said to be.
        if not (detail["type"] == "too_short" and detail["input"])
        and all(
            distances[union][member] == min(distances[union].values())
            for union, member in place.members
        )
    ]


def _distance(detail: ErrorDetails, *, own: bool) -> int:
    if detail["type"] in ("missing", "extra_forbidden"):
        return 1
    another_kind = isinstance(detail["input"], dict | list) and detail["type"] != "value_error"
    return 100 if detail["type"] == "model_type" or (own and another_kind) else 0


def _locate(root: yaml.Node, detail: ErrorDetails) -> _Place:
    """The part of a pydantic location that exists in the file, and its line."""
    location = [str(part) for part in detail["loc"]]
    node, line = root, root.start_mark.line + 1
    fields, members = list[str](), list[tuple[tuple[str, ...], str]]()
    for index, part in enumerate(location):
        child = _child(node, part)
        if child is not None:
            node, line = child
            fields.append(part)
        elif detail["type"] == "missing" and index == len(location) - 1:
            fields.append(part)
        else:
            members.append((tuple(location[:index]), part))
    return _Place(tuple(fields), line, tuple(members))


def _where_it_says(root: yaml.Node, message: str, place: _Place) -> tuple[str, _Place]:
    """A rule over several fields names the one that breaks it: the rest of its message, and that.

    It names the field from the top, or from the part that it is a rule of. Where the file has no
    such field both are as they were.
    """
    name, told, rest = message.partition(": ")
    named = tuple(name.split("."))
    for fields in (named, (*place.fields, *named)) if told else ():
        line = _line_of(root, fields)
        if line is not None:
            return rest, _Place(fields, line, place.members)
    return message, place


def _line_of(root: yaml.Node, fields: Sequence[str]) -> int | None:
    """The line where what the keys lead to begins; None where they lead nowhere."""
    node, line = root, root.start_mark.line + 1
    for part in fields:
        child = _child(node, part)
        if child is None:
            return None
        node, line = child
    return line


def line_in(root: yaml.Node, location: Sequence[str]) -> int:
    """Line, from 1, of the innermost part of a location that exists in the file."""
    node, line = root, root.start_mark.line + 1
    for part in location:
        child = _child(node, part)
        if child is None:
            break
        node, line = child
    return line


def _child(node: yaml.Node, part: str) -> tuple[yaml.Node, int] | None:
    """The value under a key or at a place of a list, and the line where it begins."""
    if isinstance(node, yaml.MappingNode):
        # What is merged in stands before the keys that override it.
        for key, value in reversed(node.value):
            if str(key.value) == part:
                return value, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
        value = node.value[int(part)]
        return value, value.start_mark.line + 1
    return None


def _suggestion(model: type[BaseModel], key: str, parents: Sequence[str]) -> str:
    known = _known_keys(model, parents)
    first, *rest = key.split(".")
    if rest and first in known:
        # As reports and messages name a field.
        above = ".".join((first, *rest[:-1]))
        return f": it is the path of a field; write `{rest[-1]}:` below `{above}:`"
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean `{close[0]}`?" if close and close[0] != key else ""


def _known_keys(model: type[BaseModel], parents: Sequence[str]) -> list[str]:
    names: set[str] = set()
    pending: list[type[BaseModel]] = [model]
    seen: set[type[BaseModel]] = set()
    # All keys of all models below the parent: enough for a spelling suggestion.
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for name, field in current.model_fields.items():
            if current is not model or not parents:
                names.add(field.alias or name)
            pending.extend(_models_in(field.annotation))
    return sorted(names)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    models: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        models.extend(_models_in(argument))
    return models


__all__ = ["line_in", "located_problems"]
