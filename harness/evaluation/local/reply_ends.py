"""Where a generated reply ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria


class EndsIn(StoppingCriteria):
    """Ends each row by itself, as soon as any of ``stops`` stands in its newest tokens.

    lm-eval's own waits until all rows have written the same one of several, so what a reply is
    can hang on its batch.

    Args:
        width: tokens of a row before its reply.
        tokens: those that end a reply by themselves, and stay in it.
    """

    def __init__(
        self, stops: Sequence[str], tokenizer: Any, width: int, tokens: frozenset[int]
    ) -> None:
        self._stops = [stop for stop in stops if stop]
        self._tokenizer = tokenizer
        self._width = width
        self.tokens = tokens
        lengths = [len(tokenizer.encode(stop, add_special_tokens=False)) for stop in self._stops]
        # As lm-eval does: the text may have been written in other tokens than its own.
        self._newest = max(lengths, default=0) + 2
        self._ended: dict[int, int] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **more: Any) -> torch.Tensor:
        replies = input_ids[:, self._width :].tolist()
        for row, (reply, stopped) in enumerate(zip(replies, self.each(replies), strict=True)):
            if stopped or reply[-1] in self.tokens:
                self._ended.setdefault(row, len(reply))
        done = [row in self._ended for row in range(len(replies))]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def each(self, replies: Sequence[Sequence[int]]) -> list[bool]:
        """Whether each reply has just written a stop."""
        texts = self._tokenizer.batch_decode([reply[-self._newest :] for reply in replies])
        return [any(stop in text for stop in self._stops) for text in texts]

    def cut(self, rows: torch.Tensor) -> list[list[int]]:
        """The replies, without what fills a row after its own end."""
        replies = rows[:, self._width :].tolist()
        return [reply[: self._ended.get(row, len(reply))] for row, reply in enumerate(replies)]
