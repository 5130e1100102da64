"""Align the scores of arms item by item: by the item's hash, never by its position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import StoreError
from harness.records import ScoreVector

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Scores of one or more groups of vectors on the items that all of them have."""

    doc_hashes: tuple[str, ...]
    """The hash of each item that lm-eval gives, sorted, shape (items,)."""
    scores: tuple[Floats, ...]
    """One array per group, shape (seeds, items), oriented so that higher is better."""
    clusters: Codes
    """Which cluster, 0 to ``cluster_count`` - 1, an item belongs to, shape (items,)."""
    cluster_count: int
    """Number of clusters."""
    left_out: int
    """Number of items that at least one vector lacks."""
    unscored: int
    """Number of items that all vectors have but at least one could not score. Neither kind is in
    ``scores``."""
    within_unit: bool = True
    """Whether no score can be beyond 0 and 1, as far as is declared of the metric."""

    @property
    def items(self) -> int:
        """Number of items that all vectors scored."""
        return len(self.doc_hashes)

    @property
    def binary(self) -> bool:
        """Every score is 0 or 1 (or 0 or -1, for a metric where lower is better)."""
        return self.within_unit and all(
            bool(np.isin(np.abs(scores), (0.0, 1.0)).all()) for scores in self.scores
        )

    @property
    def bounded(self) -> bool:
        """Every score lies within -1 and 1, and none could lie elsewhere."""
        return self.within_unit and all(bool((np.abs(scores) <= 1).all()) for scores in self.scores)

    @property
    def independent(self) -> bool:
        """No two items share a cluster."""
        return self.cluster_count == self.items


def align(*groups: Sequence[ScoreVector]) -> Aligned:
    """Put groups of vectors (an arm's seeds are a group) on their common items.

    Items are sorted by hash, so that the order in which they were stored changes nothing. An item
    without a cluster is its own cluster.

    Raises:
        StoreError: a vector holds an item twice, its columns differ in length, or the vectors do
            not agree on the direction of the metric.
    """
    vectors = [vector for group in groups for vector in group]
    if len({vector.higher_is_better for vector in vectors}) > 1:
        raise StoreError(
            f"metric {vectors[0].metric!r} of task {vectors[0].task!r} is stored with both "
            "directions; score the arms again with one definition of the metric"
        )
    # Most vectors hold the items of the others, in the same order.
    rows: dict[tuple[str, ...], dict[str, int]] = {}
    for vector in vectors:
        if vector.doc_hashes not in rows:
            rows[vector.doc_hashes] = {item: row for row, item in enumerate(vector.doc_hashes)}
        _check(vector, rows[vector.doc_hashes])
    sets = [set(own) for own in rows.values()]
    everywhere = set.intersection(*sets) if sets else set()
    anywhere = set().union(*sets)
    common = sorted(everywhere)
    matrices = [_matrix(group, rows, common) for group in groups]
    scored = np.ones(len(common), dtype=bool)
    for matrix in matrices:
        scored &= np.isfinite(matrix).all(axis=0)
    kept = [doc_hash for doc_hash, keep in zip(common, scored, strict=True) if keep]
    labels = _cluster_labels(vectors[0], rows[vectors[0].doc_hashes], kept) if vectors else []
    codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    return Aligned(
        doc_hashes=tuple(kept),
        scores=tuple(matrix[:, scored] for matrix in matrices),
        clusters=np.array([codes[label] for label in labels], dtype=np.intp),
        cluster_count=len(codes),
        left_out=len(anywhere) - len(common),
        unscored=len(common) - len(kept),
        within_unit=all(vector.within_unit for vector in vectors),
    )


def _check(vector: ScoreVector, rows: dict[str, int]) -> None:
    """Check that a vector holds each item once, in columns of one length.

    Raises:
        StoreError: it does not.
    """
    if len(vector.clusters) != len(vector.doc_hashes) or vector.values.shape != (
        len(vector.doc_hashes),
    ):
        raise StoreError(
            f"arm {vector.arm!r}, task {vector.task!r}, metric {vector.metric!r}: items, clusters "
            "and values differ in length; score the trial again"
        )
    if len(rows) != len(vector.doc_hashes):
        twice = len(vector.doc_hashes) - len(rows)
        raise StoreError(
            f"arm {vector.arm!r}, seed {vector.seed}, task {vector.task!r}: an item must stand "
            f"once, but {twice} stand again; remove repeated items from the data set"
        )


def _matrix(
    group: Sequence[ScoreVector],
    rows: dict[tuple[str, ...], dict[str, int]],
    common: Sequence[str],
) -> Floats:
    matrix = np.empty((len(group), len(common)))
    for seed, vector in enumerate(group):
        index = rows[vector.doc_hashes]
        order = [index[doc_hash] for doc_hash in common]
        sign = 1.0 if vector.higher_is_better else -1.0
        matrix[seed] = sign * np.asarray(vector.values, dtype=np.float64)[order]
    return matrix


def _cluster_labels(
    vector: ScoreVector, rows: dict[str, int], doc_hashes: Sequence[str]
) -> list[tuple[str, str]]:
    labels = []
    for doc_hash in doc_hashes:
        cluster = vector.clusters[rows[doc_hash]]
        labels.append(("cluster", cluster) if cluster else ("item", doc_hash))
    return labels


__all__ = ["Aligned", "Codes", "Floats", "align"]
