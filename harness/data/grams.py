"""Word n-grams of many texts at once, as arrays of hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.answers.words import words
from harness.data.normalise import own_texts
from harness.records import Example

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def code_words(examples: Sequence[Example]) -> list[tuple[int, list[int]]]:
    """(index of the example, its words as 64-bit codes), one entry an input field."""
    codes = _Codes()
    return [
        (owner, [codes[word] for word in words(text)])
        for owner, example in enumerate(examples)
        for text in own_texts(example)
    ]


class _Codes(dict[str, int]):
    """Word -> 64-bit code, computed when a word is first asked for."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        code = self[word] = int.from_bytes(digest, "little")
        return code


class Grams:
    """The distinct word n-grams of each text, as 64-bit polynomial hashes.

    owners, hashes: shape (grams,), sorted by owner, then hash. counts: grams of each text, shape
    (texts,). A gram never crosses from one input field to the next.
    """

    def __init__(self, coded: Sequence[tuple[int, list[int]]], texts: int, n: int) -> None:
        kept = [(owner, codes) for owner, codes in coded if len(codes) >= n]
        lengths = np.array([len(codes) for _, codes in kept], dtype=np.int64)
        total = int(lengths.sum())
        flat = np.fromiter((c for _, codes in kept for c in codes), dtype=np.uint64, count=total)
        owner = np.repeat(np.array([o for o, _ in kept], dtype=np.int64), lengths)
        size = max(total - n + 1, 0)
        rolled = np.zeros(size, dtype=np.uint64)
        inside = np.ones(size, dtype=bool)
        for offset in range(n):
            rolled = rolled * _MULTIPLIER + flat[offset : offset + size]
        for back in range(1, n):
            starts = np.cumsum(lengths)[:-1] - back
            inside[starts[(starts >= 0) & (starts < size)]] = False
        owner, rolled = owner[:size][inside], rolled[inside]
        order = np.lexsort((rolled, owner))
        owner, rolled = owner[order], rolled[order]
        first = np.ones(len(owner), dtype=bool)
        first[1:] = (owner[1:] != owner[:-1]) | (rolled[1:] != rolled[:-1])
        self.owners: NDArray[np.int64] = owner[first]
        self.hashes: NDArray[np.uint64] = rolled[first]
        self.counts: NDArray[np.int64] = np.bincount(self.owners, minlength=texts)
        self._ends = np.cumsum(self.counts)

    def of(self, text: int) -> NDArray[np.uint64]:
        """The distinct grams of one text, sorted."""
        end = self._ends[text]
        return self.hashes[end - self.counts[text] : end]

    def share_in(self, other: Grams) -> NDArray[np.float64]:
        """Share of each text's grams that occur anywhere in ``other``; 0 for texts without any."""
        known = np.isin(self.hashes, other.hashes)
        hits = np.bincount(self.owners[known], minlength=len(self.counts))
        return hits / np.maximum(self.counts, 1)


def jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Size of the intersection over size of the union of two sets of grams; 0 for two empty."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0
