"""A model may be asked to think in words before it answers: how, and where its answer then begins.

A reply that thinks aloud because it was told to is brought into the form of one whose model always
does (:mod:`harness.answers.thoughts`), so that whoever reads it finds the answer in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import regex

from harness.answers.extract import Extract
from harness.answers.extract_marks import asking_for
from harness.answers.thoughts import MARKS, without_thought

Reasoning = Literal["none", "brief", "free"]


@dataclass(frozen=True, slots=True)
class AskedReasoning:
    """How a model is asked to think in words before it answers."""

    how: Reasoning = "none"
    """Not, in a sentence or two, or step by step."""
    room: int = 0
    """Tokens that this may have beside those of the answer; 0 where it is not asked to."""

    def words(self, extract: Extract | None) -> str:
        """What an instruction says of it, and of where the answer stands; empty without it.

        Args:
            extract: where the answers of the task stand, if it says so.
        """
        if self.how == "none":
            return ""
        where = f"Then write `{MARK}` and the answer alone."
        return f"{_HOW[self.how]} {where if extract is None else asking_for(extract)}"


NOT_ASKED = AskedReasoning()
MARK = "Final answer:"
"""What stands before the answer of a task that does not say where its answers stand."""
# Models set it bold, and write it in capitals.
_MARKED = regex.compile(r"\**final answer\**\s*:\**", regex.IGNORECASE)
_HOW = {
    "brief": "Before you answer, think in one or two sentences.",
    "free": "Before you answer, think step by step.",
}


def as_thought(reply: str) -> str:
    """A reply that reasons up to :data:`MARK`, with all before its answer as a thought.

    One without the mark never came to its answer: it ended within the thought.
    """
    begin, end = MARKS[0]
    rest = without_thought(reply)
    if rest.unfinished:
        return reply
    places = list(_MARKED.finditer(rest.answer))
    if not places:
        return f"{begin}{_unmarked(reply)}"
    answer = rest.answer[places[-1].end() :]
    thought = reply[: len(reply) - len(rest.answer) + places[-1].start()]
    return f"{begin}{_unmarked(thought)}{end}{answer}"


def thought_of(reply: str) -> str:
    """What a reply as :func:`as_thought` has it says before its answer; empty where nothing."""
    rest = without_thought(reply)
    if rest.unfinished or not reply.endswith(rest.answer):
        return ""
    return _unmarked(reply[: len(reply) - len(rest.answer)]).strip()


def _unmarked(text: str) -> str:
    """The text without marks of thoughts, which would end the one that it is put into."""
    for pair in MARKS:
        for mark in pair:
            text = text.replace(mark, "")
    return text


__all__ = ["MARK", "NOT_ASKED", "AskedReasoning", "Reasoning", "as_thought", "thought_of"]
