"""General text beside the task: which of it a step gets, as examples without a question."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from harness.prompting import TokenisedExample
from harness.prompting.encoding import TextEncoder


def encode_texts(tokenizer: Any, texts: Iterable[str], longest: int) -> list[TokenisedExample]:
    """One example a text, cut at ``longest`` tokens: every token but the first is to be learnt.

    The first has nothing before it, so it is the prompt. Texts of fewer than two tokens have
    nothing to learn and are left out.
    """
    encoded = []
    encode = TextEncoder(tokenizer)
    for number, text in enumerate(texts):
        tokens = encode(text)[:longest]
        if len(tokens) > 1:
            encoded.append(TokenisedExample(f"text {number}", tokens[:1], tokens[1:]))
    return encoded


def replayed_per_epoch(examples: int, share: float) -> int:
    """Texts among which ``examples`` make up the rest: text is ``share`` of all, to the nearest."""
    return round(examples * share / (1 - share))


def spread(count: int, parts: int) -> list[int]:
    """``count`` things over ``parts``, as evenly as whole numbers allow; sums to ``count``."""
    ends = [count * part // parts for part in range(parts + 1)]
    return [end - start for start, end in itertools.pairwise(ends)]


class TextStream:
    """Texts drawn without replacement; once all have been drawn, anew in another order."""

    def __init__(self, texts: Sequence[TokenisedExample], rng: np.random.Generator) -> None:
        self._texts = texts
        self._rng = rng
        self._left: list[int] = []

    def take(self, count: int) -> list[TokenisedExample]:
        """The next ``count`` texts."""
        taken = []
        for _ in range(count):
            if not self._left:
                self._left = self._rng.permutation(len(self._texts)).tolist()
            taken.append(self._texts[self._left.pop()])
        return taken
