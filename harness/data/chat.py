"""Conversations as columns: what is asked, what is answered, and what the system message says.

A row may hold a list of messages, each with a role and a content, as files for chat models do. A
template shows columns of text, so each such list is given as three more: with ``messages``,
``messages_prompt`` (what stands before the last answer), ``messages_response`` (that answer) and
``messages_system``.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace

from harness.answers.json_cells import may_be_json, read_json_text
from harness.data.messages import (
    NotTextError,
    Turn,
    content_text,
    holds_thought,
    is_exchange,
    is_message,
    turns_of,
)
from harness.data.rows import Row, Rows
from harness.records import JsonValue

PROMPT, RESPONSE, SYSTEM = "_prompt", "_response", "_system"
# A list of messages named so goes on with the one in a column of these names.
_ASKED, _GOES_ON = "prompt", ("completion", "chosen", "rejected", "response", "answer")
_SYSTEMS = ("system", "system_prompt", "systemInstruction", "system_instruction")
_WRAPPERS = ("messages", "conversations", "conversation", "contents")


def is_conversation(value: JsonValue) -> bool:
    """Whether a value is a list of messages."""
    return isinstance(value, list) and bool(value) and all(map(is_message, value))


def with_conversations(table: Rows) -> Rows:
    """The rows with the columns of their conversations; unchanged where they have none.

    A list of messages may also stand as JSON text. What cannot be read as text, or does not end
    with an answer, gives no value, and its row says why.
    """
    lists = [
        name
        for name in table.columns
        if any(_messages(row.values.get(name)) for row in table.rows)
        and not {name + part for part in (PROMPT, RESPONSE, SYSTEM)} & set(table.columns)
    ]
    if not lists:
        return table
    shown = conversation_columns(lists)
    added = [name + part for name in shown for part in (PROMPT, RESPONSE, SYSTEM)]
    rows, called, thoughts = [], 0, 0
    for row in table.rows:
        values, lacking = dict(row.values), dict(row.lacking)
        calls = thinks = False
        for name in shown:
            messages = messages_of(row, name, lists)
            thinks |= any(map(holds_thought, messages))
            beside = system_beside(row, table.columns)
            calls |= _add_conversation(name, messages, beside, values, lacking)
        called += calls
        thoughts += thinks
        rows.append(Row(row.line, values, lacking))
    notes = []
    if called:
        notes.append(f"{called} row(s) hold calls of tools: these stand in the prompt as text")
    if thoughts:
        notes.append(f"{thoughts} row(s) say what was thought before an answer: that is left out")
    return replace(
        table,
        columns=(*table.columns, *added),
        rows=tuple(rows),
        conversations=tuple(lists),
        conversation_notes=tuple(notes),
    )


def conversation_columns(lists: Collection[str]) -> list[str]:
    """The columns that hold conversations, of those that hold lists of messages.

    What is asked in a column of its own is part of the conversation that another goes on with.
    """
    goes_on = _ASKED in lists and any(name in _GOES_ON for name in lists)
    return [name for name in lists if not (goes_on and name == _ASKED)]


def messages_of(row: Row, name: str, lists: Collection[str]) -> list[JsonValue]:
    """The messages of a row's conversation, as they stand there; empty where it holds none.

    Args:
        name: one of :func:`conversation_columns`.
        lists: columns that hold lists of messages.
    """
    messages = _messages(row.values.get(name))
    if name in _GOES_ON and _ASKED in lists and messages:
        return _joined(_messages(row.values.get(_ASKED)), messages)
    return messages


def _messages(value: JsonValue) -> list[JsonValue]:
    """The messages that a value holds; empty where it is no conversation."""
    if isinstance(value, str) and may_be_json(value):
        try:
            value = read_json_text(value).value
        except ValueError:
            return []
    if isinstance(value, dict):
        value = next((value[name] for name in _WRAPPERS if name in value), _by_message(value))
    if isinstance(value, list) and value and all(map(is_exchange, value)):
        value = [
            {"role": role, "content": content}
            for exchange in value
            for role, content in exchange.items()
        ]
    return value if isinstance(value, list) and is_conversation(value) else []


def _by_message(value: dict[str, JsonValue]) -> JsonValue:
    """Messages whose roles and contents are lists of their own, as data sets keep them."""
    lists = list(value.values())
    if not lists or not all(isinstance(column, list) for column in lists):
        return None
    if len({len(column) for column in lists}) > 1:
        return None
    return [dict(zip(value, parts, strict=True)) for parts in zip(*lists, strict=True)]


def _joined(asked: list[JsonValue], answered: list[JsonValue]) -> list[JsonValue]:
    return answered if answered[: len(asked)] == asked else [*asked, *answered]


def system_beside(row: Row, columns: Sequence[str]) -> str:
    """The system message that stands in a column of its own."""
    for name in _SYSTEMS:
        value = row.values.get(name) if name in columns else None
        if isinstance(value, dict):
            value = value.get("parts")
        try:
            text = content_text(value)
        except NotTextError:
            continue
        if text.strip():
            return text
    return ""


def _add_conversation(
    name: str,
    messages: list[JsonValue],
    system: str,
    values: dict[str, JsonValue],
    lacking: dict[str, str],
) -> bool:
    """Add the columns of a conversation, or why they are not there; whether it calls tools."""
    try:
        turns = [
            turn for number, message in enumerate(messages, 1) for turn in turns_of(message, number)
        ]
    except NotTextError as error:
        turns, missing = [], f"{name}: {error}"
    else:
        missing = f"{name}: {why_no_messages(values.get(name))}"
    if not turns:
        lacking |= dict.fromkeys((name + PROMPT, name + RESPONSE, name + SYSTEM), missing)
        return False
    # What the system says later stands in the prompt, where it was said.
    system_texts = [
        turn.text for turn in itertools.takewhile(lambda turn: turn.role == "system", turns)
    ]
    values[name + SYSTEM] = "\n\n".join(system_texts) or system
    answered = turns[-1].role == "assistant"
    asked = turns[len(system_texts) : -1 if answered else None]
    if not answered:
        lacking[name + RESPONSE] = f"{name}: {why_no_answer(turns[-1])}"
    elif not turns[-1].text.strip():
        lacking[name + RESPONSE] = f"{name}: the answer that ends the conversation is empty"
    else:
        values[name + RESPONSE] = turns[-1].text
    if not any(turn.text.strip() for turn in asked):
        lacking[name + PROMPT] = f"{name}: nothing is asked before the answer"
    else:
        values[name + PROMPT] = as_text(asked)
    return any(turn.role in ("call", "tool") for turn in asked)


def as_text(turns: Sequence[Turn]) -> str:
    """Turns as one text, in which each says whose it is; a single question stands as it is."""
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].text
    return "\n\n".join(f"{turn.speaker}: {turn.text}" for turn in turns)


def why_no_messages(value: JsonValue) -> str:
    """Why a value is no conversation, a phrase."""
    if isinstance(value, str) and may_be_json(value):
        try:
            read_json_text(value)
        except ValueError as error:
            return str(error)
    return "holds no list of messages with a role and a content each"


def why_no_answer(last: Turn) -> str:
    """Why a conversation with such a last turn does not end with an answer, a phrase."""
    if last.role == "call":
        return (
            "the conversation ends with a tool call, not with an answer in text; add the answer "
            "that follows, or leave the row out; to ask for calls give them a column of their own, "
            "for an answer of kind calls"
        )
    whose = {"user": "the user", "tool": "a tool", "system": "the system"}.get(last.role)
    return (
        f"the conversation ends with a message of {whose or repr(last.role)}, so it does not end "
        "with an answer; remove what follows the last answer, or leave the row out"
    )
