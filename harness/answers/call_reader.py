"""Calls of tools, in the notations of those who make models and of those who call them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import regex

from harness.answers.call_python import calls_in_python, python_calls
from harness.answers.call_texts import (
    FENCE,
    PYTHON_TAG,
    values_in,
    whole_json,
    without_marks_in_arguments,
)
from harness.answers.call_values import (
    ARGUMENTS,
    CALLING,
    NAMES,
    BrokenCallError,
    Call,
    calls_of,
    composed_arguments,
    value_of_json,
)
from harness.answers.json_cells import (
    RepeatedFieldError,
    coerced,
    object_of,
)
from harness.answers.json_text import DECODER, JsonObject
from harness.answers.tools import Tool

# Whichever begins first, so that marks in a text of an argument are a part of it.
_MARKED = regex.compile(
    r"<(?P<tag>tool_call|function_call|tool_calls|functioncall)>(?P<inside>.*?)"
    r"(?P<ended></(?P=tag)>|(?=<(?P=tag)>)|\Z)"
    r"|<(?:function=|invoke\s+name=\")(?P<name>[\w.:-]+)\"?>(?P<arguments>.*?)"
    r"(?P<ended></(?:function|invoke)>|\Z)"
    r"|\[TOOL_CALLS\](?P<listed>.*)",
    regex.S,
)
_PARAMETER = regex.compile(
    r"<parameter(?:=|\s+name=\")([\w.:-]+)\"?>\s*(.*?)\s*</parameter>"
    r"|<arg_key>\s*(.*?)\s*</arg_key>\s*<arg_value>\s*(.*?)\s*</arg_value>",
    regex.S,
)
_PARAMETER_BEGUN = regex.compile(r"<parameter\b|</?arg_(?:key|value)>")
_NAME_FIRST = regex.compile(r"\s*([\w.:-]+)\s*(<arg_key>.*)?", regex.S)
_MISTRAL = "[TOOL_CALLS]"
_MISTRAL_NAMED = regex.compile(r"\s*([\w.:-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(?=\{)")
# Names in notations that are not read: of who thinks in words, in tags, to a channel.
_ACTION = regex.compile(
    r"(?m)^\W*Action\W*:\W*([\w.:-]+)"
    r"|<[\w|]+(?:\s+name)?\s*=\s*[\"']?([\w.:-]+)"
    r"|\bto=(?:functions\.)?([\w.:-]+)"
)
_CALLED = regex.compile(r"\s*\[?\s*([A-Za-z_][\w.]*)\s*\(.*\)\s*\]?\s*", regex.S)
# Of a list, of code, of bold words, of the end of a sentence or a statement.
_MARKS_AROUND = regex.compile(r"\A\s*(?:(?:[-*•>]|\(?\d{1,2}[.)])\s+)?[*`]*|[*`.,;]*\s*\Z")
# Within words: something is passed, so that neither `time(s)` nor "no need of time()" counts.
_CALLED_WITHIN = regex.compile(r"(?<![\w.])([A-Za-z_][\w.]*)\((?=\s*(?:\w+\s*=[^=]|[\"'\d\[{]))")
_BEGINNING = regex.compile(r"[\[{][\[{\s]*[\"'](?:name|function)[\"']")


def read_calls(text: str, tools: Mapping[str, Tool] | None = None) -> list[Call] | None:
    """The calls that a reply makes, in their order; None where it is words alone.

    All that it marks as calls counts. Without marks all calls count, within fences and outside.

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
    if whole_json(text) and (calls := _bare(text, tools)) is not None:
        return calls
    if (calls := _within_marks(text, tools)) is not None:
        return calls
    marked = without_marks_in_arguments(text).find(PYTHON_TAG)
    after = text if marked < 0 else text[marked + len(PYTHON_TAG) :]
    calls = _unmarked(after, tools)
    if calls is None and marked >= 0:
        raise BrokenCallError("the mark of a call, and none behind it")
    return calls


def _within_marks(text: str, tools: Mapping[str, Tool]) -> list[Call] | None:
    """All that is marked as calls; None where nothing is."""
    calls = None
    for one in _MARKED.finditer(without_marks_in_arguments(text)):
        calls = calls or []
        listed, arguments, inside = (
            text[slice(*one.span(group))] for group in ("listed", "arguments", "inside")
        )
        if one["listed"] is not None:
            calls += _listed(listed, tools)
        elif one["name"]:
            calls.append(_named(one["name"], arguments, tools, ended=bool(one["ended"])))
        else:
            calls += _tagged(inside, tools, ended=bool(one["ended"]))
    return calls


def _tagged(text: str, tools: Mapping[str, Tool], *, ended: bool) -> list[Call]:
    """What stands in a tag of calls: JSON, a name with its arguments in tags, or marked calls."""
    if named := _NAME_FIRST.fullmatch(text):
        return [_named(named[1], named[2] or "", tools, ended=ended)]
    marked = None if whole_json(text) else _within_marks(text, tools)
    return calls_of(value_of_json(text)) if marked is None else marked


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


def _named_arguments(text: str, tool: Tool | None) -> JsonObject:
    """Arguments as one JSON object, or each in a tag of its own: as the tool's schema types it.

    Where the schema gives no type it is JSON or else text.
    """
    parameters = list(_PARAMETER.finditer(text))
    if not parameters:
        value = value_of_json(text) if text.strip() else {}
        if not isinstance(value, dict):
            raise BrokenCallError(f"arguments are no object: {value!r:.60}")
        return composed_arguments(value)
    if _PARAMETER_BEGUN.search(_PARAMETER.sub("", text)):
        raise BrokenCallError("an argument breaks off")
    schemas = (tool.parameters if tool else {}).get("properties", {})
    pairs = [(one[1] or one[3], one[2] or one[4] or "") for one in parameters]
    return composed_arguments(
        object_of([(name, _argument(v, schemas.get(name))) for name, v in pairs])
    )


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


def _listed(text: str, tools: Mapping[str, Tool]) -> list[Call]:
    """What follows Mistral's mark: a list of calls, or a name with its arguments, repeatedly."""
    calls: list[Call] = []
    more = _MISTRAL
    while more:
        named = _MISTRAL_NAMED.match(text)
        rest = text[named.end() :] if named else text
        if not named and _breaks_off(rest):
            raise BrokenCallError("a call that breaks off")
        value, start, end = next(values_in(rest), (None, 0, 0))
        if _MISTRAL in rest[:start]:
            raise BrokenCallError("the mark of a call, and none behind it")
        if not named:
            calls += calls_of(value)
        elif isinstance(value, dict):
            calls.append(Call(named[1], composed_arguments(value)))
        else:
            raise BrokenCallError(f"the arguments of {named[1]!r} are no object")
        behind, more, text = rest[end:].partition(_MISTRAL)
        calls += _bare(behind, tools, calls) or []
    return calls


def _unmarked(text: str, tools: Collection[str]) -> list[Call] | None:
    """Calls that are marked by nothing, within fences and outside of them."""
    fences = list(FENCE.finditer(text))
    fenced = [_bare(fence[2], tools) for fence in fences]
    if all(one is None for one in fenced):
        return _bare(text, tools)
    made = [call for calls in fenced for call in calls or ()]
    starts, ends = [fence.start() for fence in fences], [fence.end() for fence in fences]
    outside = [
        _bare(text[end:start], tools, made)
        for end, start in zip([0, *ends], [*starts, len(text)], strict=True)
    ]
    in_order = chain.from_iterable(zip_longest(outside, fenced))
    return [call for calls in in_order for call in calls or ()]


def _bare(text: str, tools: Collection[str], beside: Sequence[Call] = ()) -> list[Call] | None:
    """Calls that are marked by nothing: JSON with a name and arguments, or as Python calls.

    Args:
        beside: calls that stand beside the text, which its words may say again.
    """
    # In a text of an argument, JSON is a part of it.
    if (written := python_calls(text)) is not None:
        return written
    calls: list[Call] | None = None
    words, place = [], 0
    for value, start, end in values_in(text):
        made = _made(value, tools)
        if made is not None:
            calls = (calls or []) + made
            words.append(text[place:start])
            place = end
    whole = "".join([*words, text[place:]]).strip()
    if _breaks_off(text):
        raise BrokenCallError("a call that breaks off")
    if _call_in_words(whole, tools, {call.name for call in (*beside, *(calls or ()))}):
        raise BrokenCallError("a call among words, or with arguments that have no names")
    return calls


def _made(value: Any, tools: Collection[str]) -> list[Call] | None:
    """The calls of a JSON value among words; None where it is something else."""
    if value == []:
        return []
    try:
        made = calls_of(value)
        if any(call.bare and call.name not in tools for call in made):
            raise BrokenCallError("a name without arguments that is none of the tools")
    except BrokenCallError:
        if _attempts(value, tools):
            raise
        return None
    return made


def _attempts(value: Any, tools: Collection[str]) -> bool:
    """Whether JSON that is no call was meant for one."""
    if isinstance(value, list):
        return any(
            isinstance(part, dict)
            and not (set(NAMES).isdisjoint(part) and set(tools).isdisjoint(part))
            for part in value
        )
    return isinstance(value, dict) and (
        not set(CALLING).isdisjoint(value)
        or any(name in tools and isinstance(inner, dict) for name, inner in value.items())
        or any(value.get(key) in tools for key in NAMES if isinstance(value.get(key), str))
        or not (set(NAMES).isdisjoint(value) or set(ARGUMENTS).isdisjoint(value))
    )


def _breaks_off(text: str) -> bool:
    """Whether a call begins in a text and does not end there."""
    return not whole_json(text) and any(
        not _begins_with_json(text[found.start() :]) for found in _BEGINNING.finditer(text)
    )


def _call_in_words(words: str, tools: Collection[str], made: Collection[str]) -> bool:
    """Whether words call a tool: any, or beside calls one that these do not.

    Args:
        made: names of the tools that are called beside the words.
    """
    others = set(tools) - set(made)
    lines = words.splitlines()
    bare = [_MARKS_AROUND.sub("", line) for line in lines]
    if any((named := _CALLED.fullmatch(line)) and named[1] in tools for line in bare):
        return True
    if calls_in_python(words, others):
        return True
    alone = not made and words.strip("`*. ") in tools
    return alone or any(_calls_known(line, others) for line in lines)


def _calls_known(line: str, tools: Collection[str]) -> bool:
    """Whether a line holds a call of a known tool, as code or words do."""
    if any(not set(tools).isdisjoint(found.groups()) for found in _ACTION.finditer(line)):
        return True
    return any(found[1] in tools for found in _CALLED_WITHIN.finditer(line))


def _begins_with_json(text: str) -> bool:
    try:
        DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return True
