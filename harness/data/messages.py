"""One message of a conversation, in the notations of those who make chat models, as turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.records import JsonValue

_ROLES = {
    "human": "user", "prompter": "user", "bot": "assistant", "gpt": "assistant", "ai": "assistant",
    "model": "assistant", "chatbot": "assistant", "chatgpt": "assistant", "developer": "system",
    "function": "tool", "ipython": "tool", "observation": "tool", "tool_response": "tool",
    "tool_result": "tool", "function_response": "tool", "function_call": "call",
    "tool_call": "call",
}  # fmt: skip
_KNOWN = {"user", "assistant", "system", "tool"}
_SPEAKERS = {
    "system": "System",
    "user": "User",
    "assistant": "Assistant",
    "call": "Assistant calls",
    "tool": "Tool",
}
_CONTENTS = ("content", "value", "parts", "text", "message")
_CALLS = ("tool_calls", "function_call")
_ARGUMENTS = ("arguments", "input", "args")
_TEXT_PARTS = ("text", "input_text", "output_text")
# What a model thought before it answered is no part of its answer.
_THOUGHT_PARTS = ("thinking", "redacted_thinking", "reasoning")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


class NotTextError(ValueError):
    """A message that is not all text; the message says what it holds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said in one turn of a conversation."""

    role: str
    """Who speaks: ``user``, ``assistant``, ``system``, ``call`` (of a tool), ``tool`` (its result),
    or the role as it stands."""
    speaker: str
    """The speaker as a prompt of several turns names it."""
    text: str
    """What was said."""
    name: str = ""
    """Name of the tool that is called, or that replies; empty where none is known."""
    arguments: JsonValue = None
    """What a tool is called with, an object where it can be read as one; None elsewhere."""
    call_id: str = ""
    """Id of the call of a tool; empty where it has none."""


def is_message(value: object) -> bool:
    """Whether a value says who speaks and what: by role and content, or by from and value."""
    if not isinstance(value, dict):
        return False
    role = _role(value)
    pairs = ("role", "content"), ("from", "value"), ("role", "parts")
    named = any(a in value and b in value for a, b in pairs)
    has_content = any(name in value for name in (*_CONTENTS, *_CALLS))
    return bool(role) and has_content and (named or role in _KNOWN)


def is_exchange(value: object) -> bool:
    """Whether a value is what was said by role, such as ``{"human": …, "assistant": …}``."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_ROLES.get(str(role).lower(), str(role).lower()) in _KNOWN for role in value)
    )


def turns_of(message: Any, number: int) -> Iterator[Turn]:
    """The turns of a message: its text, its calls of tools, the results that it brings.

    Args:
        number: number of the message in its conversation, from 1, for the error.

    Raises:
        NotTextError: it holds what is no text, such as an image.
    """
    role = _role(message)
    content = next((message[n] for n in _CONTENTS if message.get(n) is not None), None)
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        content = content["parts"]
    name = message.get("name")
    speaker = _SPEAKERS.get(role, role)
    if role == "tool" and isinstance(name, str) and name:
        speaker = f"{speaker} {name}"
    texts: list[str] = []
    try:
        for part in content if isinstance(content, list) else [content]:
            if _is_thought(part):
                continue
            turn = _of_tool(part)
            if turn is None:
                texts.append(_part_text(part))
                continue
            if texts:
                yield Turn(role, speaker, "\n".join(texts))
                texts = []
            yield turn
        calls = [_call(called) for called in _calls(message)]
    except NotTextError as error:
        raise NotTextError(f"message {number} ({role}) {error}") from None
    if any(texts) or not (calls or _has_tool(content)):
        named = name if role == "tool" and isinstance(name, str) else ""
        yield Turn(
            role, speaker, "\n".join(texts), named, call_id=str(message.get("tool_call_id") or "")
        )
    yield from calls


def holds_thought(message: Any) -> bool:
    """Whether a message says what was thought before it, in a part or a field of its own."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(map(_is_thought, parts)) or any(message.get(name) for name in _THOUGHTS)


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _THOUGHT_PARTS


def content_text(content: JsonValue) -> str:
    """The text of a content, whose parts stand on lines of their own.

    Raises:
        NotTextError: it holds what is no text.
    """
    parts = content if isinstance(content, list) else [content]
    return "\n".join(_part_text(part) for part in parts)


def _role(message: dict[str, Any]) -> str:
    sender = message.get("role") or message.get("from") or message.get("author")
    if isinstance(sender, dict):
        sender = sender.get("role")
    if not isinstance(sender, str):
        return ""
    lowered = sender.strip().lower()
    role = _ROLES.get(lowered, lowered)
    return role if role in _KNOWN or role == "call" else sender


def _part_text(part: Any) -> str:
    if part is None:
        return ""
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        kind = part.get("type")
        if kind in (None, *_TEXT_PARTS) and isinstance(part.get("text"), str):
            return str(part["text"])
        held = kind if isinstance(kind, str) else next(iter(_filled(part)), "none")
        raise NotTextError(
            f"holds a part of type {held!r}, which is not text; only text can be read"
        )
    raise NotTextError(f"holds {json.dumps(part, default=str)[:40]} where text is expected")


def _filled(part: dict[str, Any]) -> list[str]:
    return [name for name, value in part.items() if value is not None]


def _has_tool(content: Any) -> bool:
    return isinstance(content, list) and any(_of_tool(part) is not None for part in content)


def _of_tool(part: Any) -> Turn | None:
    """The turn that a part is which calls a tool or brings its result; None for others."""
    if not isinstance(part, dict):
        return None
    kind = part.get("type")
    if kind == "tool_use":
        return _call(part)
    if kind == "tool_result":
        called = str(part.get("tool_use_id") or "")
        return Turn("tool", _SPEAKERS["tool"], content_text(part.get("content")), call_id=called)
    if isinstance(part.get("functionCall"), dict):
        return _call(part["functionCall"])
    if isinstance(part.get("functionResponse"), dict):
        response = part["functionResponse"]
        name = str(response.get("name") or "")
        reply = _compact(response.get("response"))
        return Turn("tool", f"{_SPEAKERS['tool']} {name}".strip(), reply, name)
    return None


def _calls(message: dict[str, Any]) -> list[Any]:
    called = message.get("tool_calls")
    if isinstance(called, list) and called:
        return called
    return [message["function_call"]] if message.get("function_call") else []


def _call(call: Any) -> Turn:
    call_id = str(call.get("id") or "") if isinstance(call, dict) else ""
    if isinstance(call, dict) and isinstance(call.get("function"), dict):
        call = call["function"]
    if not isinstance(call, dict):
        return Turn("call", _SPEAKERS["call"], _compact(call))
    name = str(call.get("name") or "")
    arguments = next((call[n] for n in _ARGUMENTS if call.get(n) is not None), "{}")
    speaker = f"{_SPEAKERS['call']} {name}".strip()
    return Turn("call", speaker, _compact(arguments), name, _object(arguments), call_id)


def _object(arguments: Any) -> JsonValue:
    """What a tool is called with: an object where its text is one, since templates write it so."""
    if isinstance(arguments, str):
        try:
            read = json.loads(arguments)
        except ValueError:
            return arguments
        return read if isinstance(read, dict) else arguments
    return arguments


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
