"""A reply that grows token by token, with guesses and, where it is kept to one, its constraint.

A constraint says what may come next. Where that is one token only it is written unasked: the
likeliest of one is that one. A guess is checked by what may come after each of its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.local.constrained import Constraint, Walk
from harness.evaluation.local.prompt_lookup import PromptLookup, SharedLookup
from harness.models.token_tree import common_beginning


class GrowingReply:
    """One reply.

    Args:
        prompt: tokens before it, beside those that all prompts begin with.
        constraint: what it is kept to; None where it is free.
        room: number of tokens that the model may be asked for.
        shared: what guesses are looked up in, beside the prompt and the reply.

    Attributes:
        tokens: those written so far.
        pending: the newest of them, which the model has not read; none before the first was asked
            for, unless the constraint left no choice.
        ended: whether its constraint or its room has come to an end.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        constraint: Constraint | None,
        room: int,
        shared: SharedLookup,
    ) -> None:
        self._prompt = prompt
        self._shared = shared
        self._lookup: PromptLookup | None = None
        self._walk: Walk | None = None if constraint is None else constraint.walk()
        self._room = room
        self.tokens: list[int] = []
        self.pending: list[int] = []
        self.ended = False
        self.write([])

    @property
    def constrained(self) -> bool:
        """Whether it is kept to a constraint."""
        return self._walk is not None

    def guess(self, most: int) -> list[int]:
        """What may follow its newest token, as far as that is allowed."""
        if most <= 0:
            return []
        # Made where it is wanted: it takes many times the room of a prompt, of which many wait.
        if self._lookup is None:
            self._lookup = PromptLookup(self._prompt, self._shared)
            self._lookup.extend(self.tokens)
        guess = self._lookup.guess(most)
        if self._walk is None or not guess:
            return guess
        walk, allowed = self._walk.copy(), 0
        while allowed < len(guess) and walk.rest is None and walk.allows(guess[allowed]):
            walk.take(guess[allowed])
            allowed += 1
        # What comes after the end is not asked for.
        return guess[: allowed - (walk.rest is not None)]

    def allow(self, guess: Sequence[int], masks: NDArray[np.bool_]) -> None:
        """Say what may come next, and after each token of a guess.

        Args:
            masks: all true for a free reply, else set here, shape (1 + len(guess), vocabulary).
        """
        masks[:] = self._walk is None
        if self._walk is None:
            return
        walk = self._walk.copy() if guess else self._walk
        walk.allow(masks[0])
        for token, mask in zip(guess, masks[1:], strict=True):
            walk.take(token)
            walk.allow(mask)

    def accept(self, guess: Sequence[int], predicted: Sequence[int]) -> list[int]:
        """The tokens that the model writes: as far as the guess was right, and one more."""
        right = common_beginning(guess, predicted) if guess else 0
        if self._lookup is not None:
            self._lookup.judge(len(guess), right)
        return list(predicted[: right + 1])

    def write(self, tokens: Sequence[int]) -> None:
        """Go on with these tokens, of which the model has read all but the last, and with those
        to which there is no other."""
        self.pending = list(tokens[-1:])
        self._extend(tokens)
        walk = self._walk
        if walk is not None:
            for token in tokens:
                walk.take(token)
            self._write_what_must_follow(walk)
        self.ended = self.ended or len(self.tokens) >= self._room

    def leave(self) -> None:
        """Give back what it guessed by: nothing is added any more."""
        self._lookup = None

    def _extend(self, tokens: Sequence[int]) -> None:
        self.tokens += tokens
        if self._lookup is not None:
            self._lookup.extend(tokens)

    def _write_what_must_follow(self, walk: Walk) -> None:
        while walk.rest is None and len(self.tokens) < self._room:
            only = walk.only()
            if only is None:
                return
            walk.take(only)
            self.pending.append(only)
            self._extend([only])
        if walk.rest is not None:
            self.tokens += walk.rest
            self.ended = True
