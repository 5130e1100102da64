"""Chat messages as those who refuse some of them take them, and what of each must be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from harness.answers.json_text import JsonObject
from harness.answers.tools import listed_tools, telling_how, tools_of
from harness.records import JsonValue, Message

_BETWEEN = "\n\n"
# Nine letters and digits, as some templates ask for.
_CALL_ID = "call{:05d}"
# What a tool replies in a worked example, whose reply nobody knows.
_DONE = "ok"


def as_calls(answer: str, first: int, said: str) -> list[Message]:
    """Calls, given as the JSON list that data hold, as messages of a conversation that goes on.

    Args:
        first: number of the first call in the conversation.
        said: what stands before the calls.
    """
    made = [
        {"id": _CALL_ID.format(number), "type": "function", "function": call}
        for number, call in enumerate(json.loads(answer), first)
    ]
    replies = [{"role": "tool", "content": _DONE, "tool_call_id": call["id"]} for call in made]
    return [{"role": "assistant", "content": said, "tool_calls": made}, *replies]


def without_tools(
    messages: Sequence[Mapping[str, JsonValue]], tools: Sequence[JsonObject]
) -> list[Message]:
    """The chat for who takes no tools beside it: they follow the instruction, and calls are text.

    Args:
        messages: with worked examples as :func:`as_calls` makes them.
    """
    chat = [dict(message) for message in messages if message["role"] != "tool"]
    for message in chat:
        if called := message.pop("tool_calls", None):
            functions = [with_arguments_as_values(call["function"]) for call in called]
            made = json.dumps(functions, ensure_ascii=False)
            message["content"] = " ".join(filter(None, (message["content"], made)))
    system = str(chat[0]["content"]) if chat[0]["role"] == "system" else ""
    listed = listed_tools(tools_of(json.dumps(list(tools))).values())
    told = _BETWEEN.join(filter(None, (system, telling_how(system), listed)))
    return [{"role": "system", "content": told}, *chat[bool(system) :]]


def without_system(messages: Sequence[Mapping[str, JsonValue]]) -> list[Message]:
    """The chat with the system message at its head at that of the first user message."""
    chat = [dict(message) for message in messages]
    place = next((n for n, message in enumerate(chat) if message["role"] == "user"), None)
    if chat[0]["role"] != "system" or place is None:
        return chat
    content = f"{chat[0]['content']}{_BETWEEN}{chat[place]['content']}"
    chat[place] = {**chat[place], "content": content}
    return chat[1:]


def alternating(messages: Sequence[Mapping[str, JsonValue]]) -> list[Message]:
    """The chat with what a user says in several messages in a row as one."""
    chat: list[Message] = []
    for role, group in groupby(messages, key=lambda message: message["role"]):
        run = [dict(message) for message in group]
        if role == "user":
            content = _BETWEEN.join(str(message["content"]) for message in run)
            run = [{**run[0], "content": content}]
        chat += run
    return chat


def said_twice(messages: Sequence[Mapping[str, JsonValue]]) -> bool:
    """Whether a user says something in several messages in a row."""
    roles = [message["role"] for message in messages]
    return ("user", "user") in pairwise(roles)


def with_arguments_as_text(message: Mapping[str, JsonValue]) -> Message:
    """The message with what tools are called with as JSON text, as servers take and send it."""
    if "tool_calls" not in message:
        return dict(message)
    calls = [
        {**call, "function": {**function, "arguments": _as_text(function["arguments"])}}
        for call in message["tool_calls"]
        for function in (call["function"],)
    ]
    return {**message, "tool_calls": calls}


def with_arguments_as_values(function: Mapping[str, JsonValue]) -> JsonObject:
    """What is called, with arguments that are JSON text as the object that it is."""
    arguments = function["arguments"]
    return {
        **function,
        "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments,
    }


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def must_show(message: Mapping[str, JsonValue]) -> Iterator[tuple[str, ...]]:
    """Texts of a message, each in the forms in which a template may write it.

    What tools are called with, and what they reply, many write as JSON.
    """
    content = str(message["content"]).strip()
    yield (content, _in_json(content)) if message["role"] == "tool" else (content,)
    for call in message.get("tool_calls", ()):
        yield (call["function"]["name"],)
        for leaf in _leaves(call["function"]["arguments"]):
            yield (leaf, _in_json(leaf))


def first_missing(text: str, messages: Sequence[Mapping[str, JsonValue]]) -> str | None:
    """The first text of the messages that a rendering does not hold in their order; else None."""
    place = 0
    for message in messages:
        begun = place
        for number, forms in enumerate(must_show(message)):
            places = [found for form in forms if (found := text.find(form, begun)) >= 0]
            if not places:
                return forms[0]
            # What a tool is called with, a template may write in any order.
            place = max(place, min(places)) if number == 0 else place
    return None


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _leaves(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value.strip() if isinstance(value, str) else json.dumps(value)
