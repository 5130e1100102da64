"""Calls of tools, in the notations of those who make models and of those who call them."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import regex

from harness.answers.json_cells import (
    JsonText,
    RepeatedFieldError,
    coerced,
    literal_value,
    may_be_json,
    object_of,
    read_json_text,
)
from harness.answers.json_text import DECODER, JsonObject, composed_value
from harness.answers.tools import Tool

_ARGUMENTS = ("arguments", "parameters", "args", "input", "kwargs")
_NAMES = ("name", "function", "tool", "tool_name", "function_name")
# Of these names only calls make use; people and things have a `name`, too.
_CALLING = ("function", "tool_name", "function_name", "action_input", "tool_input")
_WRAPPERS = ("tool_calls", "calls", "function_calls")
_TAGGED = regex.compile(
    r"<(tool_call|function_call|tool_calls|functioncall)>(.*?)(</\1>|(?=<\1>)|\Z)", regex.S
)
_NAMED = regex.compile(
    r"<(?:function=|invoke\s+name=\")([\w.:-]+)\"?>(.*?)(</(?:function|invoke)>|\Z)", regex.S
)
_PARAMETER = regex.compile(
    r"<parameter(?:=|\s+name=\")([\w.:-]+)\"?>\s*(.*?)\s*</parameter>"
    r"|<arg_key>\s*(.*?)\s*</arg_key>\s*<arg_value>\s*(.*?)\s*</arg_value>",
    regex.S,
)
_PARAMETER_BEGUN = regex.compile(r"<parameter\b|</?arg_(?:key|value)>")
_NAME_FIRST = regex.compile(r"\s*([\w.:-]+)\s*(<arg_key>.*)?", regex.S)
_MISTRAL = regex.compile(r"\[TOOL_CALLS\]", regex.S)
_MISTRAL_NAMED = regex.compile(r"\s*([\w.:-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(?=\{)")
# Names in notations that are not read: of who thinks in words, in tags, to a channel.
_ACTION = regex.compile(
    r"(?m)^\W*Action\W*:\W*([\w.:-]+)"
    r"|<[\w|]+(?:\s+name)?\s*=\s*[\"']?([\w.:-]+)"
    r"|\bto=(?:functions\.)?([\w.:-]+)"
)
_PYTHON_TAG = "<|python_tag|>"
_FENCE = regex.compile(r"(`{3,}|~{3,})[^\n`]*\n(.*?)\n?[^\S\n]*\1", regex.S)
_CALLED = regex.compile(r"\s*\[?\s*([A-Za-z_][\w.]*)\s*\(.*\)\s*\]?\s*", regex.S)
# Within words: something is passed, so that neither `time(s)` nor "no need of time()" counts.
_CALLED_WITHIN = regex.compile(r"(?<![\w.])([A-Za-z_][\w.]*)\((?=\s*(?:\w+\s*=[^=]|[\"'\d\[{]))")
_BEGINNING = regex.compile(r"[\[{][\[{\s]*[\"'](?:name|function)[\"']")
_LONGEST = 100_000


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


def read_calls(text: str, tools: Mapping[str, Tool] | None = None) -> list[Call] | None:
    """The calls that a reply makes; None where it is words alone.

    Args:
        tools: name -> known tool, by which a call among words is told from words, and a text that
            stands for an argument from a number.

    Raises:
        BrokenCallError: it tries to call, and cannot be read as calls.
    """
    try:
        return _read(text, tools or {})
    except RepeatedFieldError as error:
        raise BrokenCallError(str(error)) from error


def _read(text: str, tools: Mapping[str, Tool]) -> list[Call] | None:
    # In a text of an argument, marks of calls are a part of it.
    if _whole(text) and (calls := _bare(text, tools)) is not None:
        return calls
    if found := list(_NAMED.finditer(text)):
        return [_named(one[1], one[2], tools, ended=bool(one[3])) for one in found]
    if found := list(_TAGGED.finditer(text)):
        return [call for one in found for call in _tagged(one[2], tools, ended=bool(one[3]))]
    if mark := _MISTRAL.search(text):
        return _after_mark(text[mark.end() :])
    said, marked, after = text.partition(_PYTHON_TAG)
    text = after if marked else said
    fenced = [_bare(fence[2], tools) for fence in _FENCE.finditer(text)]
    made = [call for calls in fenced for call in calls or ()]
    calls = made if any(one is not None for one in fenced) else _bare(text, tools)
    if calls is None and marked:
        raise BrokenCallError("the mark of a call, and none behind it")
    return calls


def _tagged(text: str, tools: Mapping[str, Tool], *, ended: bool) -> list[Call]:
    """What stands in a tag of calls: JSON, or a name with its arguments in tags of their own."""
    if named := _NAME_FIRST.fullmatch(text):
        return [_named(named[1], named[2] or "", tools, ended=ended)]
    return calls_of(_json(text))


def _named(name: str, arguments: str, tools: Mapping[str, Tool], *, ended: bool) -> Call:
    """A call whose name stands before its arguments.

    Args:
        ended: what marks its end is there; without, and without arguments, it may break off.
    """
    if not (ended or arguments.strip()):
        raise BrokenCallError(f"the call of {name!r} breaks off")
    return Call(name, _named_arguments(arguments, tools.get(name)))


def calls_as_json(reply: str, tools: Mapping[str, Tool]) -> str | None:
    """The calls of a reply as a JSON list, empty of words alone; None where none can be read."""
    try:
        calls = read_calls(reply, tools) or []
    except BrokenCallError:
        return None
    made = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return json.dumps(made, ensure_ascii=False)


def _call(value: Any) -> Call:
    is_wrapped = isinstance(value, Mapping) and isinstance(value.get("function"), Mapping)
    if is_wrapped:
        value = value["function"]
    name = None
    if isinstance(value, Mapping):
        name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    bare = isinstance(value, Mapping) and set(value) <= {*_NAMES, "type", "id"}
    if name is None or not name.strip() or not (bare or set(value) & set(_ARGUMENTS)):
        raise BrokenCallError(f"{value!r:.60} is no call, which has a name and arguments")
    arguments: Any = next((value[key] for key in _ARGUMENTS if value.get(key) is not None), {})
    if isinstance(arguments, str):
        arguments = _json(arguments) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise BrokenCallError(f"the arguments of {name!r} are no object: {arguments!r:.60}")
    return Call(name.strip(), _composed(arguments), bare=bare and not is_wrapped)


def _composed(arguments: JsonObject) -> JsonObject:
    try:
        json.dumps(arguments, allow_nan=False)
        composed: JsonObject = composed_value(arguments)
    except (ValueError, TypeError) as error:
        raise BrokenCallError(f"arguments hold what JSON has not: {error}") from error
    return composed


def _json(text: str) -> Any:
    try:
        return read_json_text(text).value
    except ValueError as error:
        raise BrokenCallError(str(error)) from error


def _named_arguments(text: str, tool: Tool | None) -> JsonObject:
    """Arguments as one JSON object, or each in a tag of its own: as the tool's schema types it.

    Where the schema gives no type it is JSON or else text.
    """
    parameters = list(_PARAMETER.finditer(text))
    if not parameters:
        value = _json(text) if text.strip() else {}
        if not isinstance(value, dict):
            raise BrokenCallError(f"arguments are no object: {value!r:.60}")
        return _composed(value)
    if _PARAMETER_BEGUN.search(_PARAMETER.sub("", text)):
        raise BrokenCallError("an argument breaks off")
    schemas = (tool.parameters if tool else {}).get("properties", {})
    pairs = [(one[1] or one[3], one[2] or one[4] or "") for one in parameters]
    return _composed(object_of([(name, _argument(v, schemas.get(name))) for name, v in pairs]))


def _argument(text: str, schema: object) -> Any:
    value = coerced(text, schema)
    # A schema that is true or missing says nothing.
    told = schema if isinstance(schema, dict) else {}
    if (
        not isinstance(value, str)
        or "string" in told.get("type", ())
        or text in told.get("enum", ())
    ):
        return value
    try:
        return json.loads(text, object_pairs_hook=object_of)
    except RepeatedFieldError:
        raise
    except ValueError:
        return text


def _after_mark(text: str) -> list[Call]:
    """What follows Mistral's mark: a list of calls, or a name with its arguments, repeatedly."""
    calls = []
    for part in _MISTRAL.split(text):
        if named := _MISTRAL_NAMED.match(part):
            value = next(_values(part[named.end() :]), None)
            if not isinstance(value, dict):
                raise BrokenCallError(f"the arguments of {named[1]!r} are no object")
            calls.append(Call(named[1], _composed(value)))
        elif _breaks_off(part):
            raise BrokenCallError("a call that breaks off")
        else:
            first = next(_values(part), None)
            calls += calls_of(first)
    return calls


def _bare(text: str, tools: Collection[str]) -> list[Call] | None:
    """Calls that are marked by nothing: JSON with a name and arguments, or as Python calls."""
    calls: list[Call] = []
    seen = False
    for value in _values(text):
        if value == []:
            seen = True
            continue
        try:
            made = calls_of(value)
            if any(call.bare and call.name not in tools for call in made):
                raise BrokenCallError("a name without arguments that is none of the tools")
        except BrokenCallError:
            if _attempts(value, tools):
                raise
            continue
        calls += made
        seen = True
    if seen and not _breaks_off(text):
        return calls
    whole = text.strip()
    if not seen and _CALLED.fullmatch(whole) and len(whole) < _LONGEST:
        written = _python(whole)
        if written is not None:
            return written
    if _breaks_off(text):
        raise BrokenCallError("a call that breaks off")
    known = any(_calls_known(line, tools) for line in whole.splitlines())
    if known or whole.strip("`*. ") in tools:
        raise BrokenCallError("a call among words, or with arguments that have no names")
    return None


def _attempts(value: Any, tools: Collection[str]) -> bool:
    """Whether JSON that is no call was meant for one."""
    if isinstance(value, list):
        return any(
            isinstance(part, dict)
            and not (set(_NAMES).isdisjoint(part) and set(tools).isdisjoint(part))
            for part in value
        )
    return isinstance(value, dict) and (
        not set(_CALLING).isdisjoint(value)
        or any(name in tools and isinstance(inner, dict) for name, inner in value.items())
        or any(value.get(key) in tools for key in _NAMES if isinstance(value.get(key), str))
        or not (set(_NAMES).isdisjoint(value) or set(_ARGUMENTS).isdisjoint(value))
    )


def _breaks_off(text: str) -> bool:
    """Whether a call begins in a text and does not end there."""
    return not _whole(text) and any(
        not _begins_with_json(text[found.start() :]) for found in _BEGINNING.finditer(text)
    )


def _calls_known(line: str, tools: Collection[str]) -> bool:
    """Whether a line calls a known tool, as code does."""
    if (named := _CALLED.fullmatch(line)) and named[1] in tools:
        return True
    if any(not set(tools).isdisjoint(found.groups()) for found in _ACTION.finditer(line)):
        return True
    return any(found[1] in tools for found in _CALLED_WITHIN.finditer(line))


def _values(text: str) -> Iterator[Any]:
    """The JSON objects and lists in a text, one after the other."""
    if (whole := _whole(text)) is not None:
        yield whole.value
        return
    place = 0
    while (found := regex.search(r"[{\[]", text, pos=place)) is not None:
        try:
            value, place = DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            place = found.start() + 1
            continue
        if isinstance(value, dict | list):
            yield value


def _whole(text: str) -> JsonText | None:
    """The JSON that a text is; None where it is something else, or much too long."""
    if not may_be_json(text) or len(text) > _LONGEST:
        return None
    try:
        return read_json_text(text)
    except ValueError:
        return None


def _begins_with_json(text: str) -> bool:
    try:
        DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _python(text: str) -> list[Call] | None:
    """Calls as Python writes them, with arguments by name; None where it is something else."""
    try:
        tree = ast.parse(text, mode="eval").body
        nodes: Sequence[ast.expr] = tree.elts if isinstance(tree, ast.List) else [tree]
        calls = []
        for node in nodes:
            if not isinstance(node, ast.Call) or node.args:
                return None
            arguments = object_of([(str(a.arg), literal_value(a.value)) for a in node.keywords])
            calls.append(Call(ast.unparse(node.func), _composed(arguments)))
    except (RepeatedFieldError, BrokenCallError):
        raise
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return calls
