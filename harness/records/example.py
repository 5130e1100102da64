"""Rows of the user's task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.records.plain import JsonValue

Message = dict[str, JsonValue]
"""One message as chat templates take it: ``role`` and ``content``; ``tool_calls`` where an
assistant calls tools, ``tool_call_id`` and ``name`` where a tool replies."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the user's task."""

    id: str
    """Name of the row, unique within the data set."""
    inputs: dict[str, str]
    """Template field -> text."""
    answer: str
    """The canonical text of a right reply (for JSON: compact, keys in schema order)."""
    group: str
    """Name of the row's cluster; examples of one group share a split and are resampled together."""
    line: int = 0
    """Line of the source file, from 1, for error messages."""
    columns: dict[str, JsonValue] = field(default_factory=dict)
    """Column -> value of the whole row, for metrics that read it; empty where none does."""
    slices: dict[str, str] = field(default_factory=dict)
    """Column of ``data.slices`` -> the row's value, trimmed, empty where there is none. It only
    divides a report, so it is in no file of examples and in no hash."""
    messages: tuple[Message, ...] = ()
    """The conversation up to the answer, where the item is one; ``inputs`` show it as text, too. A
    system message of its own is the first of them. Empty for other items."""
    tools: str = ""
    """The tools that the row says may be called, as JSON; empty where it says none."""
    conversation: str = ""
    """Name of the conversation that the answer is a turn of, of which there may be several; empty
    for other items."""
    worked: str = ""
    """A reply of the model's own that reasons its way to the right answer, which a worked example
    shows in place of the answer where a prompt asks for reasoning; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The audited partition. The search is only ever handed ``train`` and ``validation``."""

    train: tuple[Example, ...]
    """Examples to train on, and the pool of few-shot examples."""
    validation: tuple[Example, ...]
    """Examples that the search is judged on."""
    test: tuple[Example, ...]
    """Examples that only the finalists are judged on."""
    out_of_domain: dict[str, tuple[Example, ...]] = field(default_factory=dict)
    """Name of an out-of-domain set -> its examples; empty where none is declared."""


def system_of(example: Example) -> str:
    """The system message at the head of the example's conversation; empty where it has none."""
    head = example.messages[0] if example.messages else {"role": "", "content": ""}
    return str(head["content"]) if head["role"] == "system" else ""


def whole_conversations(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples without those that another one, of the same conversation, goes on from."""
    longest: dict[str, Example] = {}
    for example in examples:
        if example.conversation:
            known = longest.setdefault(example.conversation, example)
            if len(example.messages) > len(known.messages):
                longest[example.conversation] = example
    return tuple(
        example
        for example in examples
        if not example.conversation or longest[example.conversation] is example
    )


__all__ = [
    "Example",
    "Message",
    "Splits",
    "system_of",
    "whole_conversations",
]
