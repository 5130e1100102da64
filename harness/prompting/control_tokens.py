"""Control tokens of a model that stand in somebody's text: read as text, never obeyed."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from harness.answers.call_marks import call_tokens
from harness.answers.thoughts import every_mark


class ControlTokens:
    """The tokens by which a model's input is ruled: ends of turns, of texts, of thoughts.

    A text that holds the letters of one would end its own turn. Those are taken that the tokenizer
    calls special, and those of its other added tokens that its chat template writes. Tokens of one
    character and of white space are left out: texts hold them in good faith.

    Args:
        tokenizer: tokenizer of transformers.

    Attributes:
        contents: the tokens, longer ones first.
        special: those that the tokenizer calls special -> their ids.
    """

    def __init__(self, tokenizer: Any) -> None:
        written = str(tokenizer.chat_template or "")
        numbered = tokenizer.added_tokens_decoder
        added = numbered.values()
        self.special = {
            token.content: number for number, token in numbered.items() if token.special
        }
        self.contents = tuple(
            sorted(
                {
                    token.content
                    for token in added
                    if (token.special or token.content in written)
                    and len(token.content) > 1
                    and not token.content.isspace()
                },
                # The longer one first, where one begins with another.
                key=lambda content: (-len(content), content),
            )
        )
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._unifies = getattr(backend, "normalizer", None) is not None
        self._pattern = re.compile("|".join(map(re.escape, self.contents)) or "(?!)")

    def found(self, text: str) -> list[str]:
        """Control tokens that stand in a text, in order, each as often as it does."""
        return self._pattern.findall(text) or self._pattern.findall(self._unified(text))

    def as_text(self, text: str) -> str:
        """The text with a space after the first character of each, so that none is one any more."""
        plain = self._apart(text)
        unified = self._unified(plain)
        return self._apart(unified) if self._pattern.search(unified) else plain

    def _apart(self, text: str) -> str:
        return self._pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _unified(self, text: str) -> str:
        """The text as a tokenizer may read it that takes full-width letters for usual ones."""
        return unicodedata.normalize("NFKC", text) if self._unifies else ""

    def first_end(self, text: str) -> int | None:
        """Where the first control token of a text ends; None where it holds none."""
        match = self._pattern.search(text)
        return None if match is None else match.end()

    def last_end(self, text: str) -> int | None:
        """Where the last control token of a text ends; None where it holds none."""
        return max((match.end() for match in self._pattern.finditer(text)), default=None)


def unsaid_tokens(tokenizer: Any) -> dict[int, str]:
    """Special tokens that are no part of what a reply says, by id: all but marks in it."""
    added = tokenizer.added_tokens_decoder
    contents = [token.content for token in added.values()]
    marks = every_mark(contents) | call_tokens(contents)
    return {
        number: one.content
        for number, one in added.items()
        if one.special and one.content not in marks
    }
