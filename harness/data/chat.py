"""Conversations as columns: what is asked, what is answered, and what the system message says.

A row may hold a list of messages, each with a role and a content, as files for chat models do. A
template shows columns of text, so each such list is given as three more: with ``messages``,
``messages_prompt`` (what stands before the last answer), ``messages_response`` (that answer) and
``messages_system``.
"""

from __future__ import annotations

from typing import Any

from harness.data.rows import Row, Rows
from harness.records import JsonValue

PROMPT, RESPONSE, SYSTEM = "_prompt", "_response", "_system"
_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_NAMES = {"user": "User", "assistant": "Assistant"}


def with_conversations(table: Rows) -> Rows:
    """The rows with the columns of their conversations; unchanged where they have none.

    A list that is no conversation with an answer at its end gives no values, so that its row is
    reported as one whose columns are missing.
    """
    lists = [name for name in table.columns if any(_turns(r.values.get(name)) for r in table.rows)]
    if not lists:
        return table
    added = [name + part for name in lists for part in (PROMPT, RESPONSE, SYSTEM)]
    if set(added) & set(table.columns):
        return table
    rows = tuple(Row(row.line, row.values | _columns(row.values, lists)) for row in table.rows)
    return Rows(table.source, (*table.columns, *added), rows, table.problems)


def _columns(values: dict[str, JsonValue], lists: list[str]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name in lists:
        turns = _turns(values.get(name))
        if not turns or turns[-1][0] != "assistant":
            continue
        asked = [(role, text) for role, text in turns[:-1] if role != "system"]
        # A single question stands as it is; in a longer exchange each turn says whose it is.
        told = [f"{_NAMES.get(role, role)}: {text}" for role, text in asked]
        found[name + PROMPT] = asked[0][1] if len(asked) == 1 else "\n\n".join(told)
        found[name + RESPONSE] = turns[-1][1]
        found[name + SYSTEM] = "\n\n".join(text for role, text in turns if role == "system")
    return found


def _turns(value: JsonValue) -> list[tuple[str, str]]:
    """(role, text) of each message; empty where the value is no list of messages."""
    if not isinstance(value, list):
        return []
    turns = [_turn(message) for message in value]
    return [turn for turn in turns if turn is not None] if all(turns) else []


def _turn(message: Any) -> tuple[str, str] | None:
    if not isinstance(message, dict):
        return None
    role, text = message.get("role", message.get("from")), message.get("content")
    text = message.get("value") if text is None else text
    if not isinstance(role, str) or not isinstance(text, str):
        return None
    return _ROLES.get(role, role), text
