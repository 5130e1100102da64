"""Text that two sets of examples share: equal, nearly equal, or with a run of words in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from harness.answers.words import words
from harness.data.grams import Grams, code_words, jaccard
from harness.data.minhash import proposed_pairs
from harness.data.normalise import normalised, normalised_setting, own_texts
from harness.records import Example, LeakKind

NGRAM = 8
SHINGLE = 3
NEAR = 0.8
# An n-gram in more texts than this is boilerplate: it says nothing of any one of them.
_BOILERPLATE = 10


@dataclass(frozen=True, slots=True)
class Overlap:
    """A text of one set and a text of another that share words."""

    kind: LeakKind
    """How the two are alike."""
    a: int
    """Index of the text in the first set."""
    b: int
    """Index of the text in the second set."""
    similarity: float
    """How alike they are, 0 to 1: 1 for exact; Jaccard similarity of 3-shingles for near; for
    ngram, the share of the 8-grams of ``b`` that ``a`` holds."""


class Texts:
    """The texts of a set in the forms that are compared; index i is example i."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.whole = [normalised(example) for example in examples]
        self.settings = [normalised_setting(example) for example in examples]
        coded = code_words(examples)
        self.shingles = Grams(coded, len(examples), SHINGLE)
        self.ngrams = Grams(coded, len(examples), NGRAM)


def overlaps(one: Texts, other: Texts) -> list[Overlap]:
    """Every pair that shares text, each under the first kind that applies.

    Under different system messages or tools the same text is another item: what such a pair shares
    is a run of words at most.
    """
    pairs = _exact(one, other)
    near = _near(one, other)
    known = {(pair.a, pair.b) for pair in near}
    pairs.extend(near)
    pairs.extend(pair for pair in _shared_ngrams(one, other) if (pair.a, pair.b) not in known)
    return pairs


def longest_run(one: Example, other: Example) -> int:
    """Length in words of the longest run that an input of one shares with an input of the other."""
    longest = 0
    for left in map(words, own_texts(one)):
        for right in map(words, own_texts(other)):
            if left == right:
                longest = max(longest, len(left))
            elif min(len(left), len(right)) > longest:
                match = SequenceMatcher(None, left, right, autojunk=False).find_longest_match()
                longest = max(longest, match.size)
    return longest


def _exact(one: Texts, other: Texts) -> list[Overlap]:
    first_one: dict[str, int] = {}
    first_other: dict[str, int] = {}
    for i, text in enumerate(one.whole):
        first_one.setdefault(text, i)
    for i, text in enumerate(other.whole):
        first_other.setdefault(text, i)
    pairs = {(a, first_other[text]) for a, text in enumerate(one.whole) if text in first_other}
    pairs |= {(first_one[text], b) for b, text in enumerate(other.whole) if text in first_one}
    return [Overlap("exact", a, b, 1.0) for a, b in sorted(pairs)]


def _near(one: Texts, other: Texts) -> list[Overlap]:
    # |A and B| / |A or B| >= 0.8 needs 0.8 of either side's shingles somewhere on the other side,
    # which few texts have: the rest needs no signature.
    mine, theirs = one.shingles, other.shingles
    left = np.flatnonzero(mine.share_in(theirs) >= NEAR).tolist()
    right = np.flatnonzero(theirs.share_in(mine) >= NEAR).tolist()
    pairs: list[Overlap] = []
    for a, b in sorted(proposed_pairs(mine, left, theirs, right)):
        if one.whole[a] != other.whole[b] and one.settings[a] == other.settings[b]:
            similarity = jaccard(mine.of(a), theirs.of(b))
            if similarity >= NEAR:
                pairs.append(Overlap("near", a, b, similarity))
    return pairs


def _shared_ngrams(one: Texts, other: Texts) -> list[Overlap]:
    """Join of the two lists of 8-grams, without boilerplate; vectorised."""
    order = np.argsort(other.ngrams.hashes, kind="stable")
    hashes, owners = other.ngrams.hashes[order], other.ngrams.owners[order]
    low = np.searchsorted(hashes, one.ngrams.hashes, side="left")
    times = np.searchsorted(hashes, one.ngrams.hashes, side="right") - low
    kept = np.flatnonzero((times > 0) & (times <= _BOILERPLATE))
    kept = kept[_rank_within_equal(one.ngrams.hashes[kept]) < _BOILERPLATE]
    low, times = low[kept], times[kept]
    step = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    a = np.repeat(one.ngrams.owners[kept], times)
    b = owners[np.repeat(low, times) + step]
    width = max(len(other.whole), 1)
    pairs, shared = np.unique(a * width + b, return_counts=True)
    return [
        Overlap(
            "ngram", pair // width, pair % width, count / int(other.ngrams.counts[pair % width])
        )
        for pair, count in zip(pairs.tolist(), shared.tolist(), strict=True)
        if one.whole[pair // width] != other.whole[pair % width]
    ]


def _rank_within_equal(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many equal values stand before each; shape as given."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values)) - np.searchsorted(ordered, ordered, side="left")
    return rank
