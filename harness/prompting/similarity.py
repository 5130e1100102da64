"""How alike a text is to each text of a pool."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

WORD = r"(?u)\b\w+\b"

# A text -> its likeness to each text of the pool, shape (pool,), higher is more alike.
Similarity = Callable[[str], NDArray[np.float64]]


def similarity(selection: str, pool: Sequence[str]) -> Similarity:
    """The likeness that a selection of shots compares by: ``nearest`` or ``bm25``."""
    return tf_idf(pool) if selection == "nearest" else bm25(pool)


def tf_idf(pool: Sequence[str]) -> Similarity:
    """Cosine of TF-IDF vectors of words, term frequencies damped by their logarithm."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    try:
        matrix = vectoriser.fit_transform(pool)
    except ValueError:
        # No word in the whole pool (only symbols): nothing to compare by.
        return _all_alike(len(pool))

    def compare(text: str) -> NDArray[np.float64]:
        return (matrix @ vectoriser.transform([text]).T).toarray()[:, 0]  # type: ignore[no-any-return]

    return compare


def bm25(pool: Sequence[str]) -> Similarity:
    """BM25 with the text as query (Robertson and Zaragoza, "The Probabilistic Relevance
    Framework: BM25 and Beyond", 2009), as Lucene counts it, k1 1.5 and b 0.75.

    Unlike the cosine it is not symmetric: long texts of the pool gain little by their length.
    """
    from bm25s import BM25

    pattern = re.compile(WORD)

    def words(text: str) -> list[str]:
        return pattern.findall(text.lower())

    corpus = [words(text) for text in pool]
    if not any(corpus):
        return _all_alike(len(pool))
    index = BM25(method="lucene", k1=1.5, b=0.75, backend="numpy")
    index.index(corpus, show_progress=False)

    def compare(text: str) -> NDArray[np.float64]:
        known = index.get_tokens_ids(words(text))
        return np.asarray(index.get_scores_from_ids(known), dtype=np.float64)

    return compare


def _all_alike(count: int) -> Similarity:
    return lambda text: np.zeros(count)


def top(scores: NDArray[np.float64], count: int) -> list[int]:
    """Places of the ``count`` highest scores, the highest first; of equal ones the first."""
    if count <= 0:
        return []
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    candidates = np.flatnonzero(scores >= least)
    order = np.argsort(-scores[candidates], kind="stable")
    return [int(place) for place in candidates[order][:count]]
