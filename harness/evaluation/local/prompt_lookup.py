"""Guesses at how a reply goes on, for the model to check several tokens in one pass.

Replies repeat what stands before them: JSON the words of its item, a small model itself. What
followed the newest tokens where they stood last is guessed to follow again (prompt lookup
decoding). A guess is kept as far as the model would have written it, so it changes no reply
but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable

# Tokens that must have stood before: after a wrong guess, and otherwise.
LONG, SHORT = 3, 2
# Tokens of a guess, at most.
MOST = 16


class PromptLookup:
    """Guesses for one reply.

    Args:
        prompt: tokens before it.
    """

    def __init__(self, prompt: Iterable[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._trusted = 1
        self.extend(prompt)

    def extend(self, tokens: Iterable[int]) -> None:
        """Take note of what was written."""
        for token in tokens:
            place = len(self._tokens)
            for length in (SHORT, LONG):
                if place >= length:
                    self._after[tuple(self._tokens[-length:])] = place
            self._tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """The next tokens, ``most`` at most; none where there is nothing to go by."""
        most = min(most, self._trusted)
        for length in (LONG, SHORT) if self._trusted > 1 else (LONG,):
            place = self._after.get(tuple(self._tokens[-length:]))
            if place is not None:
                return self._tokens[place:][:most]
        return []

    def judge(self, guessed: int, right: int) -> None:
        """Learn how much of the last guess was right: the next is longer, or shorter."""
        if guessed:
            self._trusted = min(MOST, 2 * guessed) if right == guessed else max(1, right)
