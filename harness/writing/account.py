"""What a writing has spent, and how much it may."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.records import WritingTask
from harness.writing.rows import AnsweredRow


@dataclass(slots=True)
class Account:
    """Counts rows and tokens, of rejected proposals as of others, whoever paid for them before."""

    task: WritingTask
    """The limits."""
    rows: int = 0
    """Rows that were answered."""
    answering_tokens: int = 0
    """Tokens of their prompts and replies."""
    writing_tokens: int = 0
    """Tokens that the writer read and wrote."""
    tokens_a_row: float = 0.0
    """Mean tokens of a row under the user's own instruction; 0 until it was asked."""
    seconds: Callable[[], float] = field(default_factory=lambda: _since(time.monotonic()))
    """Tells the seconds that the writing has taken."""

    def answered(self, rows: Sequence[AnsweredRow]) -> None:
        """Count rows that were answered."""
        self.rows += len(rows)
        self.answering_tokens += sum(row.tokens for row in rows)

    def wrote(self, tokens: int) -> None:
        """Count a request to the writer."""
        self.writing_tokens += tokens

    @property
    def tokens(self) -> int:
        """All tokens spent."""
        return self.answering_tokens + self.writing_tokens

    @property
    def in_rows(self) -> float:
        """What was spent, in rows of the length that the user's own instruction makes them."""
        written = self.writing_tokens / self.tokens_a_row if self.tokens_a_row else 0.0
        return self.rows + written

    def spent(self) -> str:
        """The limit that is reached, as a phrase; empty where there is room."""
        task = self.task
        if self.in_rows >= task.most_rows:
            return "its share of the budget is spent"
        if task.most_tokens is not None and self.tokens >= task.most_tokens:
            return "its share of the budget's tokens is spent"
        if task.most_seconds is not None and self.seconds() >= task.most_seconds:
            return "its share of the budget's minutes is spent"
        return ""


def _since(began: float) -> Callable[[], float]:
    return lambda: time.monotonic() - began


__all__ = ["Account"]
