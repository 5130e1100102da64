"""A classifier as an lm-eval model: its reply to a text is the answer of the classes it finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.model import LM

# Texts that are classified at once, between two reports of progress.
AT_ONCE = 512


class ClassifierLM(LM):  # type: ignore[misc]
    """Stands in for a language model where a classifier answers; a request's context is the text.

    Args:
        answer: the answers to texts, in their order.

    Attributes:
        on_progress: called with (done, total).
    """

    def __init__(self, answer: Callable[[Sequence[str]], list[str]]) -> None:
        super().__init__()
        self._answer = answer
        self.on_progress: Callable[[int, int], None] = lambda done, total: None

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """Answers in the order of ``requests``."""
        texts = [str(request.args[0]) for request in requests]
        replies: list[str] = []
        for start in range(0, len(texts), AT_ONCE):
            replies += self._answer(texts[start : start + AT_ONCE])
            self.on_progress(len(replies), len(texts))
        return replies

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        """Refuse."""
        raise NotImplementedError("a classifier knows of no likelihood of a text")

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        """Refuse."""
        raise NotImplementedError("a classifier knows of no likelihood of a text")

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        """None: it reads no tokens and writes none."""
        return 0, 0

    def time_alone(self, requests: Sequence[Any]) -> float:
        """Seconds that the requests of one item take by themselves."""
        began = time.perf_counter()
        self.generate_until(requests)
        return time.perf_counter() - began
