"""A small conversation as a chat template writes it, and what ends its answers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.models.token_tree import common_beginning
from harness.prompting.control_tokens import ControlTokens


@dataclass(frozen=True, slots=True)
class WrittenConversation:
    """Two questions with their answers, as a template writes them."""

    before: str
    """What stands before the first question."""
    first: str
    """What stands between the first question and its answer."""
    between: str
    """What stands between the first answer and the second question."""
    last: str
    """What stands between the second question and its answer."""
    after: str
    """What stands behind the last answer."""


def end_of(probe: WrittenConversation, control: ControlTokens) -> str:
    """What ends an answer: all control tokens that stand behind every one, else the first."""
    shared = probe.after[: common_beginning(probe.after, probe.between)]
    ends = control.last_end(shared)
    return end_in(probe.after, control) if ends is None else shared[:ends].strip()


def end_in(text: str, control: ControlTokens) -> str:
    """What ends an answer, of all that is written behind it: up to its first control token."""
    stripped = text.strip()
    return stripped[: control.first_end(stripped)]
