"""A model may think aloud before it answers: the answer is what follows the thought."""

from __future__ import annotations

from dataclasses import dataclass

# How models mark where a thought begins and where it ends.
MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply without its thought."""

    answer: str
    """What follows the thought; empty where it never ended."""
    unfinished: bool = False
    """Whether the reply ended within its thought."""


def without_thought(reply: str) -> Answered:
    """A reply without the thought that it begins with.

    A chat template or a server may have opened the thought in the prompt, so an end without a
    beginning closes one, too.
    """
    text = reply.lstrip()
    for begin, end in MARKS:
        opened = text.startswith(begin)
        before, closed, after = text.rpartition(end)
        if closed and (opened or begin not in before):
            return without_thought(after)
        if opened:
            return Answered("", unfinished=True)
    return Answered(reply)
