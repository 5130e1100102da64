"""Calls of tools as values: what JSON that holds one says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.answers.json_cells import read_json_text
from harness.answers.json_text import JsonObject, composed_value

ARGUMENTS = ("arguments", "parameters", "args", "input", "kwargs")
NAMES = ("name", "function", "tool", "tool_name", "function_name")
# Of these names only calls make use; people and things have a `name`, too.
CALLING = ("function", "tool_name", "function_name", "action_input", "tool_input")
_WRAPPERS = ("tool_calls", "calls", "function_calls")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    name: str
    """Name of the tool."""
    arguments: JsonObject
    """Argument -> value."""
    bare: bool = field(default=False, compare=False)
    """Whether it is a name and nothing else, as things of other kinds have one, too."""


class BrokenCallError(ValueError):
    """What is marked as a call and cannot be read as one; the message is a sentence's end."""


def calls_of(value: object) -> list[Call]:
    """The calls in a JSON value: one, a list of them, or a message that holds them.

    Raises:
        BrokenCallError: it is none of these.
    """
    if isinstance(value, Mapping):
        for key in _WRAPPERS:
            if isinstance(value.get(key), list):
                return [replace(call, bare=False) for call in calls_of(value[key])]
        for key in ("function_call", "functionCall"):
            if isinstance(value.get(key), Mapping):
                return [_call(value[key])]
        return [_call(value)]
    if isinstance(value, list):
        return [call for part in value for call in calls_of(part)]
    raise BrokenCallError(f"{value!r:.60} is no call, which has a name and arguments")


def _call(value: Any) -> Call:
    is_wrapped = isinstance(value, Mapping) and isinstance(value.get("function"), Mapping)
    if is_wrapped:
        value = value["function"]
    name = None
    if isinstance(value, Mapping):
        name = next((value[key] for key in NAMES if isinstance(value.get(key), str)), None)
    bare = isinstance(value, Mapping) and set(value) <= {*NAMES, "type", "id"}
    if name is None or not name.strip() or not (bare or set(value) & set(ARGUMENTS)):
        raise BrokenCallError(f"{value!r:.60} is no call, which has a name and arguments")
    arguments: Any = next((value[key] for key in ARGUMENTS if value.get(key) is not None), {})
    if isinstance(arguments, str):
        arguments = value_of_json(arguments) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise BrokenCallError(f"the arguments of {name!r} are no object: {arguments!r:.60}")
    return Call(name.strip(), composed_arguments(arguments), bare=bare and not is_wrapped)


def composed_arguments(arguments: JsonObject) -> JsonObject:
    """Arguments by the composed form of Unicode.

    Raises:
        BrokenCallError: they hold what JSON has not.
    """
    try:
        json.dumps(arguments, allow_nan=False)
        composed: JsonObject = composed_value(arguments)
    except (ValueError, TypeError) as error:
        raise BrokenCallError(f"arguments hold what JSON has not: {error}") from error
    return composed


def value_of_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        BrokenCallError: it is none.
    """
    try:
        return read_json_text(text).value
    except ValueError as error:
        raise BrokenCallError(str(error)) from error
