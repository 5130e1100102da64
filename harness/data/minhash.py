"""Pairs of texts that are probably alike, by MinHash and locality-sensitive hashing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.grams import Grams

# A pair of similarity s is proposed with probability 1 - (1 - s^5)^25: 0.9999 at 0.8.
_BANDS = 25
_ROWS = 5
# In a bucket of thousands, all pairs would be quadratic; a few partners each flag everyone.
_PARTNERS = 4


def proposed_pairs(
    left: Grams, left_texts: Sequence[int], right: Grams, right_texts: Sequence[int]
) -> set[tuple[int, int]]:
    """(text of left, text of right) pairs worth comparing, among the texts given.

    Every text of a bucket that both sides share gets up to a few partners; where buckets are
    small, as they are unless a data set is made of near-copies, these are all pairs.
    """
    if not (left_texts and right_texts):
        # So it is with most data: nothing is computed, nor the library loaded.
        return set()
    left_bands = _bands(left, left_texts)
    right_bands = _bands(right, right_texts)
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: defaultdict[bytes, list[int]] = defaultdict(list)
        for text, bands in zip(right_texts, right_bands, strict=True):
            buckets[bands[band].tobytes()].append(text)
        visitors: defaultdict[bytes, list[int]] = defaultdict(list)
        for text, bands in zip(left_texts, left_bands, strict=True):
            key = bands[band].tobytes()
            if key in buckets:
                visitors[key].append(text)
        for key, lefts in visitors.items():
            rights = buckets[key]
            pairs.update((a, b) for a in lefts for b in rights[:_PARTNERS])
            pairs.update((a, b) for b in rights for a in lefts[:_PARTNERS])
    return pairs


def _bands(grams: Grams, texts: Sequence[int]) -> list[NDArray[np.uint64]]:
    """Signatures of the texts, each of shape (bands, rows)."""
    from datasketch import MinHash

    # The grams are hashes already, so MinHash takes them as they are.
    sketches = MinHash.generator(
        ((grams.of(text) & np.uint64(0xFFFFFFFF)).tolist() for text in texts),
        num_perm=_BANDS * _ROWS,
        hashfunc=int,
    )
    return [sketch.hashvalues.reshape(_BANDS, _ROWS) for sketch in sketches]
