"""Conversations as items: each answer of an assistant after the conversation that leads to it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.answers.thoughts import without_thought
from harness.answers.tools import read_tools
from harness.data.chat import (
    PROMPT,
    as_text,
    conversation_columns,
    messages_of,
    system_beside,
    why_no_answer,
    why_no_messages,
)
from harness.data.messages import NotTextError, Turn, holds_thought, turns_of
from harness.data.rows import Row, Rows
from harness.errors import DataError, Problem
from harness.records import Message
from harness.spec.data import ConversationSpec
from harness.wording import listed

TOOLS = "tools"
"""Column in which conversations say which tools there are."""
_ROLES = ("system", "user", "assistant", "tool")
# As makers of data say of an answer whether it is learnt.
_WEIGHTS = ("weight", "train", "loss")
# As short and plain as the strictest chat templates want the ids of calls.
_CALL_ID = "call{:05d}"


class UnusableError(ValueError):
    """A conversation that no item can be made of; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and the conversation up to it."""

    number: int
    """Number of the answer among those of its conversation, from 1."""
    messages: tuple[Message, ...]
    """The conversation up to the answer, a system message first where it has one."""
    text: str
    """The same as text, without the system message at its head."""
    answer: str
    """What the assistant answers."""
    tools: str = ""
    """The tools that may be called, as a JSON list in OpenAI's form; empty where none are named."""


@dataclass(slots=True)
class ConversationReader:
    """Makes items of the conversations of one source.

    Raises:
        DataError: the column holds no conversations.
    """

    table: Rows
    """What the source holds."""
    spec: ConversationSpec
    """Where conversations stand, and which of their answers are asked for."""
    _seen: dict[str, int] = field(default_factory=dict)
    """What was left out or stands otherwise -> number of conversations."""

    def __post_init__(self) -> None:
        named = conversation_columns(self.table.conversations)
        if self.spec.column not in named:
            there = (
                f"conversations stand in {listed(f'`{n}`' for n in named)}"
                if named
                else ("no column holds conversations")
            )
            what = (
                f"data.conversations.column: {self.spec.column!r} holds no lists of messages with "
                f"a role and a content each; {there}"
            )
            raise DataError(Problem(self.table.source, what))

    def read(self, row: Row) -> list[Asked]:
        """The answers of a row's conversation that are asked for.

        Raises:
            UnusableError: there is none, or the conversation cannot be read.
        """
        name = self.spec.column
        raw, spoken, system, messages = self._read(row)
        asked = list(self._asked(system, messages))
        if not asked:
            raise UnusableError(f"{name}: {_why_nothing_is_asked(spoken)}")
        last = messages[-1][1]
        if self.spec.turns == "last":
            if asked[-1].number != sum(m["role"] == "assistant" for _, m, _ in messages) or (
                last["role"] != "assistant" or "tool_calls" in last
            ):
                raise UnusableError(f"{name}: {_why_not_last(spoken, messages[-1])}")
            asked = asked[-1:]
        elif last["role"] != "assistant" or "tool_calls" in last:
            self._note("go on after their last answer: what follows it is left out")
        if any(map(holds_thought, raw)):
            self._note("say apart what was thought before an answer: that is left out")
        tools = self._tools(row)
        return [replace(each, tools=tools) for each in asked] if tools else asked

    def _tools(self, row: Row) -> str:
        written = row.values.get(TOOLS)
        if not written or TOOLS not in self.table.columns:
            return ""
        try:
            tools = read_tools(written)
        except ValueError:
            self._note("have a `tools` that cannot be read as a list of tools: no prompt shows it")
            return ""
        return json.dumps([tool.function for tool in tools.values()], ensure_ascii=False)

    def whole(self, row: Row) -> Asked:
        """A row's conversation whose answer is yet to be given.

        Raises:
            UnusableError: nobody waits for an answer in it, or it cannot be read.
        """
        _, _, system, messages = self._read(row)
        if not messages or messages[-1][1]["role"] not in ("user", "tool"):
            raise UnusableError(
                f"{self.spec.column}: the conversation ends with no message of a user or a tool, "
                "so that nothing is asked; leave out what follows the last question"
            )
        # As those are read that have an answer, which shows no thoughts of earlier ones.
        answer: Message = {"role": "assistant", "content": "?"}
        *_, asked = self._asked(system, [*messages, (None, answer, [])])
        return replace(asked, answer="", tools=self._tools(row))

    def _read(
        self, row: Row
    ) -> tuple[list[Any], list[list[Turn]], str, list[tuple[Any, Message, list[Turn]]]]:
        """A row's messages as they stand, their turns, the system message, the rest."""
        name = self.spec.column
        raw = messages_of(row, name, self.table.conversations)
        if not raw:
            raise UnusableError(f"{name}: {why_no_messages(row.values.get(name))}")
        try:
            spoken = [list(turns_of(message, n)) for n, message in enumerate(raw, 1)]
            messages = list(_messages(raw, spoken))
        except NotTextError as error:
            raise UnusableError(f"{name}: {error}") from None
        head = [m for _, m, _ in itertools.takewhile(lambda each: _is_system(each[1]), messages)]
        system = "\n\n".join(m["content"] for m in head) or system_beside(row, self.table.columns)
        return raw, spoken, system, messages[len(head) :]

    @property
    def text_column(self) -> str:
        """The column of :attr:`Asked.text`."""
        return self.spec.column + PROMPT

    def notes(self) -> list[str]:
        """What was left out or stands otherwise, a sentence each."""
        return [f"{count} conversation(s) {what}" for what, count in self._seen.items()]

    def _note(self, what: str) -> None:
        self._seen[what] = self._seen.get(what, 0) + 1

    def _asked(
        self, system: str, messages: Sequence[tuple[Any, Message, list[Turn]]]
    ) -> Iterator[Asked]:
        so_far: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
        turns: list[Turn] = []
        number, thought, calls = 0, False, False
        for raw, message, spoken in messages:
            number += message["role"] == "assistant"
            calls |= "tool_calls" in message
            is_asked = any(m["role"] in ("user", "tool") and m["content"].strip() for m in so_far)
            if is_answer(raw, message) and is_asked:
                yield Asked(number, tuple(so_far), as_text(turns), message["content"])
            said = without_thought(message["content"]).answer.strip()
            if message["role"] == "assistant" and said not in ("", message["content"].strip()):
                # As chat templates have it: what was thought is no part of what goes on.
                thought = True
                so_far = [*so_far, {**message, "content": said}]
                turns += [t if t.role == "call" else replace(t, text=said) for t in spoken]
            else:
                so_far = [*so_far, message]
                turns += spoken
        if calls:
            self._note("hold calls of tools: these are shown, and not asked for")
        if thought:
            self._note("hold thoughts before an answer: no later prompt of theirs shows them")
        if any(m["role"] == "assistant" and _weight(raw) == 0 for raw, m, _ in messages):
            self._note("have answers of weight 0: these are shown, and not asked for")


def is_answer(raw: Any, message: Message) -> bool:
    """Whether a message is an answer in text that counts.

    Args:
        raw: the message as it stands in the data; a ``weight`` of 0, or
            what others call so, says that it is not learnt.
    """
    return (
        message["role"] == "assistant"
        and "tool_calls" not in message
        and bool(message["content"].strip())
        and _weight(raw) != 0
    )


def _weight(raw: Any) -> Any:
    """Whether an answer is learnt, 1 or 0; as it stands where it is neither."""
    said = raw if isinstance(raw, dict) else {}
    weight = next((said[name] for name in _WEIGHTS if said.get(name) is not None), 1)
    return {"0": 0, "1": 1}.get(weight, weight) if isinstance(weight, str) else weight


def _is_system(message: Message) -> bool:
    return bool(message["role"] == "system")


def _messages(
    raw: Sequence[Any], spoken: Sequence[list[Turn]]
) -> Iterator[tuple[Any, Message, list[Turn]]]:
    """(raw message, message, its turns): an assistant's text and its calls are one message."""
    calls = 0
    waiting: list[str] = []
    for number, (each, turns) in enumerate(zip(raw, spoken, strict=True), 1):
        for kind, group in itertools.groupby(turns, key=_speaks):
            own = list(group)
            if kind not in _ROLES:
                raise NotTextError(
                    f"message {number} has the role {kind!r}, which is none of {listed(_ROLES)}"
                )
            if kind == "tool":
                for turn in own:
                    yield each, _reply_of_tool(turn, waiting), [turn]
                continue
            message: Message = {
                "role": kind,
                "content": "\n".join(turn.text for turn in own if turn.role != "call"),
            }
            if kind == "assistant" and _weight(each) not in (0, 1):
                raise NotTextError(
                    f"message {number} (assistant) has the weight {_weight(each)!r}: an answer is "
                    "learnt (1) or not (0)"
                )
            called = [turn for turn in own if turn.role == "call"]
            if called:
                message["tool_calls"] = []
                for turn in called:
                    calls += 1
                    message["tool_calls"].append(_tool_call(turn, number, calls))
                waiting += [call["id"] for call in message["tool_calls"]]
            elif kind == "user" and not message["content"].strip():
                raise NotTextError(f"message {number} (user) is empty: nothing is asked there")
            elif kind == "assistant" and not without_thought(message["content"]).answer.strip():
                # Shown so, it would teach that an answer may be nothing.
                raise NotTextError(
                    "the answer that ends the conversation is empty"
                    if number == len(raw)
                    else f"message {number} (assistant) is empty"
                )
            yield each, message, own


def _speaks(turn: Turn) -> str:
    return "assistant" if turn.role == "call" else turn.role


def _tool_call(turn: Turn, number: int, count: int) -> Message:
    name, arguments = turn.name, turn.arguments
    if not name:
        # Notations that know one text a message write the call as JSON.
        called = _called(turn.text)
        if called is None:
            raise NotTextError(
                f"message {number} calls a tool, but not as JSON with a name and arguments"
            )
        name, arguments = called.name, called.arguments
    function = {"name": name, "arguments": {} if arguments is None else arguments}
    return {
        "id": turn.call_id or _CALL_ID.format(count),
        "type": "function",
        "function": function,
    }


def _called(text: str) -> Turn | None:
    call = next(turns_of({"role": "assistant", "tool_calls": [_parsed(text)]}, 1))
    return call if call.name else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _reply_of_tool(turn: Turn, waiting: list[str]) -> Message:
    """What a tool replied, to the first call that waits where it does not say to which."""
    if turn.call_id in waiting:
        waiting.remove(turn.call_id)
    call_id = turn.call_id or (waiting.pop(0) if waiting else "")
    message: Message = {"role": "tool", "content": turn.text}
    if turn.name:
        message["name"] = turn.name
    if call_id:
        message["tool_call_id"] = call_id
    return message


def _why_nothing_is_asked(spoken: Sequence[list[Turn]]) -> str:
    turns = [turn for turns in spoken for turn in turns]
    if any(turn.role == "assistant" and turn.text.strip() for turn in turns):
        return "nothing is asked before the answer, or no answer is to be learnt (weight 0)"
    return why_no_answer(turns[-1]) if turns[-1].role != "assistant" else "no answer holds text"


def _why_not_last(spoken: Sequence[list[Turn]], last: tuple[Any, Message, list[Turn]]) -> str:
    raw, message, _ = last
    if message["role"] == "assistant" and "tool_calls" not in message:
        if _weight(raw) == 0:
            return "the answer that ends the conversation has weight 0: it is not to be learnt"
        return "nothing is asked before the answer"
    return why_no_answer(spoken[-1][-1])
