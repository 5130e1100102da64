"""Leakage audit: training examples that also stand in data meant for judging.

Three kinds, from certain to suggestive, each pair reported under the first that applies:

- ``exact``: the same words, without case and punctuation;
- ``near``: Jaccard similarity of word 3-shingles of at least 0.8. MinHash proposes the pairs, the
  true similarity decides;
- ``ngram``: 8 words in a row in common. Texts below 8 words cannot match so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.grams import Grams, code_words, jaccard
from harness.data.minhash import proposed_pairs
from harness.data.normalise import normalised
from harness.records import Example

LeakKind = Literal["exact", "near", "ngram"]
KINDS: tuple[LeakKind, ...] = ("exact", "near", "ngram")

NGRAM = 8
SHINGLE = 3
NEAR = 0.8
# An n-gram in more texts than this is boilerplate: it says nothing of any one of them.
_BOILERPLATE = 10


@dataclass(frozen=True, slots=True)
class LeakedPair:
    """A training example and an example of another split that share text.

    similarity: 1 for exact; Jaccard similarity of 3-shingles for near; for ngram, the share of the
    other example's 8-grams that the training example holds.
    """

    kind: LeakKind
    train_id: str
    split: str
    other_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class LeakageAudit:
    """What the audit found.

    pairs: for each flagged example, of either side, its strongest pair by split and kind; not
        every pair, whose number may be quadratic.
    flagged: split -> kind -> number of its examples that share text with training, each counted
        under its strongest kind. Every audited split and kind is there, if only with 0.
    dropped: ids of training examples that were removed because of it.
    """

    pairs: tuple[LeakedPair, ...]
    flagged: dict[str, dict[str, int]]
    dropped: tuple[str, ...] = ()

    def flagged_ids(self, split: str, kinds: Iterable[LeakKind] = KINDS) -> frozenset[str]:
        """Ids of the examples of a split that share text with training, by any of the kinds."""
        wanted = set(kinds)
        return frozenset(
            pair.other_id for pair in self.pairs if pair.split == split and pair.kind in wanted
        )

    def training_ids(self, kinds: Iterable[LeakKind] = ("exact", "near")) -> frozenset[str]:
        """Ids of the training examples in pairs of the kinds."""
        wanted = set(kinds)
        return frozenset(pair.train_id for pair in self.pairs if pair.kind in wanted)


def audit_leakage(
    train: Sequence[Example], others: Mapping[str, Sequence[Example]]
) -> LeakageAudit:
    """Compare training inputs with those of every other split. Answers are not looked at.

    Args:
        others: split name -> examples; a general suite's items can be given as a split too.
    """
    pairs: list[LeakedPair] = []
    flagged: dict[str, dict[str, int]] = {}
    trained = _Texts(train)
    for split, examples in others.items():
        found = _compare(trained, _Texts(examples))
        pairs.extend(
            LeakedPair(kind, train[a].id, split, examples[b].id, round(similarity, 4))
            for kind, a, b, similarity in _strongest(found)
        )
        best: dict[int, LeakKind] = {}
        for kind, _, b, _ in found:
            best[b] = min(best.get(b, kind), kind, key=KINDS.index)
        counts = Counter(best.values())
        flagged[split] = {kind: counts[kind] for kind in KINDS}
    return LeakageAudit(tuple(pairs), flagged)


_Found = tuple[LeakKind, int, int, float]
"""Kind, index in training, index in the other split, similarity."""


class _Texts:
    """The texts of a split in the forms that are compared; index i is example i."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.whole = [normalised(example) for example in examples]
        coded = code_words(examples)
        self.shingles = Grams(coded, len(examples), SHINGLE)
        self.ngrams = Grams(coded, len(examples), NGRAM)


def _compare(train: _Texts, other: _Texts) -> list[_Found]:
    found = _exact(train, other)
    near = _near(train, other)
    known = {(a, b) for _, a, b, _ in near}
    found.extend(near)
    found.extend(pair for pair in _shared_ngrams(train, other) if pair[1:3] not in known)
    return found


def _exact(train: _Texts, other: _Texts) -> list[_Found]:
    first_train: dict[str, int] = {}
    first_other: dict[str, int] = {}
    for i, text in enumerate(train.whole):
        first_train.setdefault(text, i)
    for i, text in enumerate(other.whole):
        first_other.setdefault(text, i)
    pairs = {(a, first_other[text]) for a, text in enumerate(train.whole) if text in first_other}
    pairs |= {(first_train[text], b) for b, text in enumerate(other.whole) if text in first_train}
    return [("exact", a, b, 1.0) for a, b in sorted(pairs)]


def _near(train: _Texts, other: _Texts) -> list[_Found]:
    # |A and B| / |A or B| >= 0.8 needs 0.8 of either side's shingles somewhere on the other side,
    # which few texts have: the rest needs no signature.
    one, two = train.shingles, other.shingles
    left = np.flatnonzero(one.share_in(two) >= NEAR).tolist()
    right = np.flatnonzero(two.share_in(one) >= NEAR).tolist()
    found: list[_Found] = []
    for a, b in sorted(proposed_pairs(one, left, two, right)):
        if train.whole[a] != other.whole[b]:
            similarity = jaccard(one.of(a), two.of(b))
            if similarity >= NEAR:
                found.append(("near", a, b, similarity))
    return found


def _shared_ngrams(train: _Texts, other: _Texts) -> list[_Found]:
    """Join of the two lists of 8-grams, without boilerplate; vectorised."""
    order = np.argsort(other.ngrams.hashes, kind="stable")
    hashes, owners = other.ngrams.hashes[order], other.ngrams.owners[order]
    low = np.searchsorted(hashes, train.ngrams.hashes, side="left")
    times = np.searchsorted(hashes, train.ngrams.hashes, side="right") - low
    kept = np.flatnonzero((times > 0) & (times <= _BOILERPLATE))
    kept = kept[_rank_within_equal(train.ngrams.hashes[kept]) < _BOILERPLATE]
    low, times = low[kept], times[kept]
    step = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    a = np.repeat(train.ngrams.owners[kept], times)
    b = owners[np.repeat(low, times) + step]
    width = max(len(other.whole), 1)
    pairs, shared = np.unique(a * width + b, return_counts=True)
    return [
        ("ngram", pair // width, pair % width, count / int(other.ngrams.counts[pair % width]))
        for pair, count in zip(pairs.tolist(), shared.tolist(), strict=True)
        if train.whole[pair // width] != other.whole[pair % width]
    ]


def _rank_within_equal(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many equal values stand before each; shape as given."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values)) - np.searchsorted(ordered, ordered, side="left")
    return rank


def _strongest(found: Iterable[_Found]) -> list[_Found]:
    """The pairs that are the strongest of their training or of their other example."""
    ranked = sorted(found, key=lambda pair: (KINDS.index(pair[0]), -pair[3], pair[1], pair[2]))
    kept: list[_Found] = []
    seen_train: set[int] = set()
    seen_other: set[int] = set()
    for pair in ranked:
        if pair[1] not in seen_train or pair[2] not in seen_other:
            kept.append(pair)
        seen_train.add(pair[1])
        seen_other.add(pair[2])
    return kept
