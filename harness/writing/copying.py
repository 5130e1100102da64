"""Whether an instruction quotes training rows, which would answer them by heart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.answers.words import words
from harness.records import Example

# As the leakage audit has it: so many words in a row are no chance.
LENGTH = 8


def quoted(instruction: str, own: str, train: Iterable[Example]) -> tuple[str, ...]:
    """Runs of 8 words that an instruction shares with training rows, in its order.

    Runs that stand in the user's own instruction are left out: the user put them there. Those that
    overlap are told as one.

    Args:
        own: the user's instruction.
        train: rows, of which inputs and answers are looked at.
    """
    told = words(instruction)
    known = set(_runs(words(own)))
    suspects = {run for run in _runs(told) if run not in known}
    if not suspects:
        return ()
    found: set[tuple[str, ...]] = set()
    for item in train:
        for text in (*item.inputs.values(), item.answer):
            found |= suspects.intersection(_runs(words(text)))
    return tuple(_joined(told, found))


def _runs(text: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(text[at : at + LENGTH]) for at in range(len(text) - LENGTH + 1))


def _joined(text: Sequence[str], found: set[tuple[str, ...]]) -> Iterator[str]:
    starts = [at for at, run in enumerate(_runs(text)) if run in found]
    first = None
    for at in starts:
        if first is None:
            first, last = at, at
        elif at <= last + LENGTH:
            last = at
        else:
            yield " ".join(text[first : last + LENGTH])
            first, last = at, at
    if first is not None:
        yield " ".join(text[first : last + LENGTH])


__all__ = ["LENGTH", "quoted"]
