"""A text as token ids, for whatever goes on with it: a beginning it may have, an end never."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# Any text that no tokenizer drops.
_WORD = "x"
# Texts whose ids are kept: a prompt is asked for again with each of its answers.
_KEPT = 32


class TextEncoder:
    """Token ids of a text, with what the tokenizer puts before every text.

    What it puts behind (an end of text, with some) is left out: after it no model goes on, and
    whatever follows would be scored as the beginning of another text. A text that begins with the
    beginning already, since a template wrote it, gets no second one.

    Args:
        tokenizer: tokenizer of transformers.

    Attributes:
        beginning: ids before every text; empty with most tokenizers.
        bare: token ids of a text alone.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.bare = lru_cache(_KEPT)(self._bare)
        whole, bare = tokenizer(_WORD)["input_ids"], self.bare(_WORD)
        place = next((n for n in range(len(whole)) if tuple(whole[n : n + len(bare)]) == bare), 0)
        self.beginning = tuple(whole[:place])

    def __call__(self, text: str) -> tuple[int, ...]:
        """Ids of a text that stands by itself, ready to be gone on with."""
        bare = self.bare(text)
        if bare[: len(self.beginning)] == self.beginning:
            return bare
        return self.beginning + bare

    def _bare(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
