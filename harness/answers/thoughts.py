"""A model may think aloud before it answers: the answer is what follows the thought."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
_OF_THOUGHT = re.compile("think|thought|reason", re.IGNORECASE)
# How the end of a thought is named after its beginning.
_ENDS = (
    (re.compile(r"^([^\w\s/])(?!/)"), r"\1/"),
    (re.compile("begin"), "end"),
    (re.compile("BEGIN"), "END"),
    (re.compile("start"), "end"),
    (re.compile("START"), "END"),
    (re.compile("open"), "close"),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply without its thought."""

    answer: str
    """What follows the thought; empty where it never ended."""
    unfinished: bool = False
    """Whether the reply ended within its thought."""


def every_mark(tokens: Iterable[str]) -> set[str]:
    """The usual marks of thoughts, and those among a tokenizer's added tokens."""
    return {mark for pair in MARKS for mark in pair} | set(own_marks(tokens))


def own_marks(tokens: Iterable[str]) -> dict[str, str]:
    """A tokenizer's own marks of thoughts -> the usual one that means the same.

    Marks are taken for such that are tokens of their own, speak of thinking, and come in pairs.

    Args:
        tokens: the tokenizer's added tokens.
    """
    known = {mark for pair in MARKS for mark in pair}
    new = {token for token in tokens if _OF_THOUGHT.search(token) and token not in known}
    marks: dict[str, str] = {}
    for begin in sorted(new):
        for how, instead in _ENDS:
            end = how.sub(instead, begin, count=1)
            if end != begin and end in new:
                marks |= {begin: MARKS[0][0], end: MARKS[0][1]}
    return marks


def with_usual_marks(reply: str, own: Mapping[str, str]) -> str:
    """A reply with the usual marks in place of a tokenizer's own."""
    for mark, usual in own.items():
        reply = reply.replace(mark, usual)
    return reply


def without_open_thought(prompt: str) -> str:
    """The end of a prompt without the thought that it opens: whoever thinks opens one."""
    for begin, end in MARKS:
        place = prompt.rfind(begin)
        if place >= 0 and end not in prompt[place:]:
            return prompt[:place]
    return prompt


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
