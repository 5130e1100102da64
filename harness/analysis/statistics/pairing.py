"""Align the scores of arms item by item: by the item's hash, never by its position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress

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
    if not vectors:
        return Aligned((), tuple(np.empty((0, 0)) for _ in groups), np.empty(0, np.intp), 0, 0, 0)
    # Most vectors hold the items of the others, in the same order.
    columns = {id(vector.doc_hashes): vector.doc_hashes for vector in vectors}
    shared = _shared(vectors[0].clusters, *columns.values())
    place = {column: number for number, column in enumerate(columns)}
    for vector in vectors:
        _check(vector, shared.distinct[place[id(vector.doc_hashes)]])
    matrices = [
        np.stack([_oriented(vector)[shared.rows[place[id(vector.doc_hashes)]]] for vector in group])
        if group
        else np.empty((0, len(shared.doc_hashes)))
        for group in groups
    ]
    scored = np.ones(len(shared.doc_hashes), dtype=bool)
    for matrix in matrices:
        scored &= np.isfinite(matrix).all(axis=0)
    kept, clusters = shared.doc_hashes, shared.clusters
    if not scored.all():
        kept = tuple(compress(kept, scored))
        clusters = _numbered(clusters[scored].tolist())
    return Aligned(
        doc_hashes=kept,
        scores=tuple(matrix[:, scored] for matrix in matrices),
        clusters=clusters,
        cluster_count=int(clusters.max(initial=-1)) + 1,
        left_out=shared.anywhere - len(shared.doc_hashes),
        unscored=len(shared.doc_hashes) - len(kept),
        within_unit=all(vector.within_unit for vector in vectors),
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What columns of items have in common."""

    doc_hashes: tuple[str, ...]
    """The items that all of them hold, sorted."""
    rows: tuple[Codes, ...]
    """Where those stand in each column."""
    clusters: Codes
    """Number of the cluster of each."""
    distinct: tuple[int, ...]
    """Number of different items of each column."""
    anywhere: int
    """Number of items that at least one of them holds."""


# A study asks the same few sets of items of hundreds of trials, and compares each pair many times.
@lru_cache(maxsize=256)
def _shared(clusters: tuple[str, ...], *columns: tuple[str, ...]) -> _Shared:
    """What the columns have in common; ``clusters`` are those of the items of the first."""
    rows = [{item: row for row, item in enumerate(column)} for column in columns]
    common = sorted(set.intersection(*map(set, rows)))
    places = tuple(np.array([own[item] for item in common], dtype=np.intp) for own in rows)
    # Of columns that differ in length nothing is read.
    own = dict(enumerate(clusters))
    labels = [own.get(row) or row for row in places[0].tolist()]
    everywhere = len(set().union(*rows))
    return _Shared(tuple(common), places, _numbered(labels), tuple(map(len, rows)), everywhere)


def _numbered(labels: Iterable[str | int]) -> Codes:
    """The number of each label, in order of first appearance."""
    known: dict[str | int, int] = {}
    codes = np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.intp)
    codes.flags.writeable = False
    return codes


def _oriented(vector: ScoreVector) -> Floats:
    """Values so that higher is better."""
    values = np.asarray(vector.values, dtype=np.float64)
    return values if vector.higher_is_better else -values


def _check(vector: ScoreVector, distinct: int) -> None:
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
    if distinct != len(vector.doc_hashes):
        twice = len(vector.doc_hashes) - distinct
        raise StoreError(
            f"arm {vector.arm!r}, seed {vector.seed}, task {vector.task!r}: an item must stand "
            f"once, but {twice} stand again; remove repeated items from the data set"
        )


__all__ = ["Aligned", "Codes", "Floats", "align"]
