"""Guesses at how a reply goes on, for the model to check several tokens in one pass.

Replies repeat what stands before them: JSON the words of its item, a small model itself. And
replies to prompts of one kind are alike. What followed the newest tokens most often, in a reply's
own text or in all replies, is guessed to follow again (prompt lookup decoding), as long as such
guesses have proved right often enough. A guess is kept as far as the model would have written it,
so it changes no reply but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

# How many of the newest tokens are looked up.
LENGTHS = (4, 3, 2, 1)
# A guess ends where it is right less often than this.
LIKELY = 0.35
# By which part of what was learnt before each further guess outweighs it.
FADING = 0.99
# How many guesses of a kind, before there was any, are presumed right, of how many: after so many
# tokens at most, and after more.
FEW = 2
AFTER_FEW, AFTER_MORE = (4.0, 8.0), (6.0, 8.0)

Source = tuple[bool, int, int]
"""Where a guess comes from: whether from the reply's own text, how many tokens were looked up, and
in how many quarters of their places the guessed one followed."""


class Continuations:
    """What followed each few tokens of some texts, and how often."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], _Followers] = {}

    def note(self, text: Sequence[int]) -> None:
        """Count the last token of a text as one that follows those before it."""
        for length in LENGTHS:
            if length < len(text):
                before = tuple(text[-length - 1 : -1])
                self._after.setdefault(before, _Followers()).add(text[-1])

    def likeliest(self, text: Sequence[int]) -> Iterator[tuple[int, int, float]]:
        """What followed the last tokens of a text most often, of equals what did last.

        Yields:
            Number of tokens looked up, the token after them, and its share of what followed them.
        """
        for length in LENGTHS:
            found = self._after.get(tuple(text[-length:])) if length <= len(text) else None
            if found is not None:
                yield length, found.best, found.counts[found.best] / found.total


class _Followers:
    """Tokens that followed the same few tokens."""

    __slots__ = ("best", "counts", "total")

    def __init__(self) -> None:
        self.best = -1
        self.total = 0
        self.counts: dict[int, int] = {}

    def add(self, token: int) -> None:
        self.total += 1
        self.counts[token] = self.counts.get(token, 0) + 1
        if self.counts[token] >= self.counts.get(self.best, 0):
            self.best = token


class SharedLookup:
    """What the replies to prompts that begin alike have in common.

    Args:
        beginning: tokens that open all prompts.
    """

    def __init__(self, beginning: Sequence[int] = ()) -> None:
        self.written = Continuations()
        self._right: dict[Source, tuple[float, float]] = {}
        for place in range(len(beginning)):
            self.written.note(beginning[max(0, place - LENGTHS[0]) : place + 1])

    def chance(self, source: Source) -> float:
        """How often guesses from there have been right of late; at first that is presumed."""
        right, all_guesses = self._record(source)
        return right / all_guesses

    def judge(self, source: Source, *, right: bool) -> None:
        """Learn from a guess."""
        before, all_guesses = self._record(source)
        self._right[source] = before * FADING + right, all_guesses * FADING + 1

    def _record(self, source: Source) -> tuple[float, float]:
        return self._right.get(source, AFTER_FEW if source[1] <= FEW else AFTER_MORE)


class PromptLookup:
    """Guesses for one reply.

    Args:
        prompt: tokens before it.
        shared: what is looked up beside them.
    """

    def __init__(self, prompt: Iterable[int], shared: SharedLookup) -> None:
        self._own = Continuations()
        self._shared = shared
        self._newest: list[int] = []
        self._sources: list[Source] = []
        for token in prompt:
            self._go_on(token)

    def extend(self, tokens: Iterable[int]) -> None:
        """Take note of what was written."""
        for token in tokens:
            self._go_on(token)
            self._shared.written.note(self._newest)

    def guess(self, most: int) -> list[int]:
        """The next tokens, ``most`` at most; none where there is nothing to go by."""
        guess: list[int] = []
        self._sources = []
        text, chance = list(self._newest), 1.0
        while len(guess) < most:
            best = max(self._next(text), key=itemgetter(0), default=None)
            if best is None or chance * best[0] < LIKELY:
                break
            part, token, source = best
            chance *= part
            guess.append(token)
            text.append(token)
            self._sources.append(source)
        return guess

    def judge(self, guessed: int, right: int) -> None:
        """Learn how much of the last guess was right.

        Args:
            guessed: tokens of it that were checked.
            right: those before the first that was wrong.
        """
        for place, source in enumerate(self._sources[: min(guessed, right + 1)]):
            self._shared.judge(source, right=place < right)

    def _next(self, text: Sequence[int]) -> Iterator[tuple[float, int, Source]]:
        """What may come next: its chance, the token, and where it is from; from the reply's own
        text first, and by most tokens."""
        for own, texts in ((True, self._own), (False, self._shared.written)):
            for length, token, share in texts.likeliest(text):
                source = (own, length, int(4 * share))
                yield self._shared.chance(source), token, source

    def _go_on(self, token: int) -> None:
        self._newest = [*self._newest[-LENGTHS[0] :], token]
        self._own.note(self._newest)
