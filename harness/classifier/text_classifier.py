"""TF-IDF of words and characters, and a linear classifier or nearest neighbours, by scikit-learn.

To fit one takes seconds and is the same every time, so that none is ever stored: whoever needs it
fits it to the same rows again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness.spec.settings import ClassifierSettings

# What a row has of a part that its answer lacks.
NOTHING = ""
# Of so many rows or more, what stands in one row alone is not counted: it can say nothing there.
MANY_ROWS = 1000
MOST_ITERATIONS = 1000
# Words of one letter, and numbers, may decide: scikit-learn's own pattern leaves them out.
WORD, CHARACTER = r"(?u)\b\w+\b", r"(?u)\S"
# A number that is shipped, and the place of one in a sparse row.
NUMBER_BYTES, PLACE_BYTES = 4, 4


@dataclass(frozen=True, slots=True)
class TextClassifier:
    """A fitted classifier: of each part of an answer a class."""

    vectoriser: Any
    """scikit-learn's, from texts to sparse rows."""
    parts: Mapping[str, Any]
    """Part of the answer -> its estimator, or the only class that its training rows had."""

    def classify(self, texts: Sequence[str]) -> list[dict[str, str]]:
        """Part -> class of each text; parts that its answer is to lack are left out."""
        rows = self.vectoriser.transform(texts)
        columns = {
            part: [found] * len(texts) if isinstance(found, str) else found.predict(rows)
            for part, found in self.parts.items()
        }
        return [
            {part: str(column[n]) for part, column in columns.items() if column[n] != NOTHING}
            for n in range(len(texts))
        ]

    @property
    def numbers(self) -> int:
        """Numbers that were fitted: weights, or the training rows themselves."""
        rows = self._rows()
        weights: int = sum(fitted.size for fitted in self._weights())
        return weights + (0 if rows is None else int(rows.nnz))

    @property
    def bytes(self) -> int:
        """What it takes to ship: its numbers in float32, and what it counts, as text."""
        counted = sum(
            len(term.encode()) + 1 + NUMBER_BYTES
            for _, counter in self.vectoriser.transformer_list
            for term in counter.vocabulary_
        )
        rows = self._rows()
        places = 0 if rows is None else rows.nnz * PLACE_BYTES
        return counted + self.numbers * NUMBER_BYTES + places

    def _weights(self) -> list[Any]:
        fitted = [found for found in self.parts.values() if hasattr(found, "coef_")]
        return [array for one in fitted for array in (one.coef_, one.intercept_)]

    def _rows(self) -> Any:
        """Training rows that nearest neighbours keep, once for all parts; None elsewhere."""
        kept = (getattr(found, "_fit_X", None) for found in self.parts.values())
        return next((rows for rows in kept if rows is not None), None)


def fit_classifier(
    texts: Sequence[str],
    classes: Sequence[Mapping[str, str]],
    settings: ClassifierSettings,
    seed: int,
) -> TextClassifier:
    """Fit a classifier to training rows.

    Args:
        texts: the text of each row.
        classes: part of the answer -> class, of each row.
        seed: of the support vector machine, which takes rows in a random order.

    Raises:
        ValueError: the texts hold nothing that could be counted; says so of the first.
    """
    from threadpoolctl import threadpool_limits

    vectoriser, rows = _counted(texts, settings)
    parts: dict[str, Any] = {}
    # Several threads wait for each other longer than such small sums take.
    with threadpool_limits(1):
        for part in sorted({part for row in classes for part in row}):
            column = [row.get(part, NOTHING) for row in classes]
            only = len(set(column)) == 1
            parts[part] = column[0] if only else _estimator(settings, len(texts), seed)
            if not only:
                parts[part].fit(rows, column)
    return TextClassifier(vectoriser, parts)


def _counted(texts: Sequence[str], settings: ClassifierSettings) -> tuple[Any, Any]:
    """scikit-learn's vectoriser, fitted to texts, and their sparse rows."""
    least = 2 if len(texts) >= MANY_ROWS else 1
    # Signs and scripts without spaces have no words, or none twice: each character is one there.
    for word in (WORD, CHARACTER):
        vectoriser = _vectoriser(settings, least, word)
        with suppress(ValueError):
            return vectoriser, vectoriser.fit_transform(texts)
    where = "" if least == 1 else " in two of them"
    raise ValueError(
        f"the texts have no character to count{where} (the first is {texts[0]!r:.60}); see that "
        "the template names the column that holds the text"
    )


def _vectoriser(settings: ClassifierSettings, least: int, word: str) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    counters = {
        "words": {"token_pattern": word, "ngram_range": (1, 2)},
        "characters": {"analyzer": "char_wb", "ngram_range": (2, 5)},
    }
    return FeatureUnion(
        [
            (name, TfidfVectorizer(sublinear_tf=True, min_df=least, **options))
            for name, options in counters.items()
            if settings.features in (name, "both")
        ]
    )


def _estimator(settings: ClassifierSettings, rows: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import LinearSVC

    weight = "balanced" if settings.balanced else None
    match settings.method:
        case "nearest":
            return KNeighborsClassifier(
                min(settings.neighbours, rows), metric="cosine", weights="distance"
            )
        case "logistic":
            return LogisticRegression(C=settings.c, class_weight=weight, max_iter=MOST_ITERATIONS)
        case "svm":
            return LinearSVC(
                C=settings.c,
                class_weight=weight,
                max_iter=MOST_ITERATIONS,
                random_state=seed % 2**32,
            )
