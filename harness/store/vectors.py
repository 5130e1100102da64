"""Item-by-item values of trials, out of the tables."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.records import ItemRow, ScoreVector, SuiteKind
from harness.store.connection import named_rows

# The search's own validation items are many, and no report pairs them.
_TRIALS = """
SELECT t.trial_id, t.arm, t.kind, t.phase, t.seed, l.suite, l.task, l.split, l.score_key, s.chance
FROM named_trial t JOIN named_score l USING (entry) JOIN score s USING (score_key)
WHERE t.experiment_id = $experiment_id AND t.status = 'complete'
  AND (t.phase <> 'search' OR l.suite = 'general') AND l.suite = coalesce($suite, l.suite)
  AND (t.phase <> 'search' OR t.trial_id = coalesce($searched, t.trial_id))
ORDER BY t.trial_id, t.entry, l.suite, l.task, l.split
"""

# Several short questions take a fraction of the time of long ones, which take longer to plan than
# to answer. What is many rows is joined and sorted here, by numbers in place of texts.
_SERIES = """
SELECT i.score_key, i.metric, i.filter_rank, i.filter, m.higher_is_better
FROM item_score i JOIN score_metric m ON m.score_key = i.score_key AND m.metric = i.metric
WHERE i.score_key IN (SELECT unnest($keys))
GROUP BY i.score_key, i.metric, i.filter_rank, i.filter, m.higher_is_better
ORDER BY i.score_key, i.metric, i.filter_rank
"""

# Most scores are of the same few sets of items, which are told apart by 128 bits.
_SETS = """
SELECT score_key, count(*) AS items, bit_xor(hash) AS bits, sum(hash) AS total
FROM (SELECT score_key, hash(position, doc_hash, cluster, item_id, target, text) AS hash
      FROM item_output WHERE score_key IN (SELECT unnest($keys)))
GROUP BY score_key
"""

_SET_ITEMS = """
SELECT score_key, hash(doc_hash) AS hash, doc_hash, cluster, item_id
FROM item_output WHERE score_key IN (SELECT unnest($keys))
ORDER BY score_key, position
"""

_VALUES = """
WITH score AS (
    SELECT unnest($keys) AS score_key, generate_subscripts($keys, 1) - 1 AS number
)
SELECT s.number AS number, list_position($metrics, i.metric) - 1 AS metric,
       i.filter_rank AS filter_rank, hash(i.doc_hash) AS hash, i.value AS value
FROM item_score i JOIN score s USING (score_key)
"""

_TESTED = """
SELECT t.arm, t.seed, t.trial_id, l.score_key, l.task
FROM named_trial t JOIN named_score l USING (entry)
WHERE t.experiment_id = $experiment_id AND t.phase = 'finalist' AND t.status = 'complete'
  AND l.suite = 'domain' AND l.split = 'test'
ORDER BY t.arm, t.seed, t.trial_id
"""

_TEXTS = """
SELECT score_key, position, doc_hash, item_id, target, text
FROM item_output WHERE score_key IN (SELECT unnest($keys))
ORDER BY score_key, position
"""

_REPLIES = """
SELECT score_key, position, output
FROM item_output WHERE score_key IN (SELECT unnest($keys))
"""


@dataclass(frozen=True, slots=True)
class _Series:
    """One metric of one score, item by item."""

    metric: str
    """Name of the metric; of a filter after the first, ``metric (filter)``."""
    higher_is_better: bool
    """Direction of the metric."""
    doc_hashes: tuple[str, ...]
    """The hash of each item that lm-eval gives, shape (n,)."""
    clusters: tuple[str, ...]
    """The cluster of each item, shape (n,)."""
    item_ids: tuple[str, ...]
    """Ids in the data set or suite, shape (n,)."""
    values: NDArray[np.float64]
    """The metric of each item, float64, shape (n,); NaN where unscored."""


def vectors_of(
    connection: duckdb.DuckDBPyConnection,
    experiment_id: str,
    suite: SuiteKind | None = None,
    searched: str | None = None,
) -> tuple[ScoreVector, ...]:
    """Every per-item metric of every complete trial; of search trials, the general suite's only.

    With ``suite``, what was scored in that one; with ``searched``, of all search trials that one's.

    Ordered by trial, suite, task, split and metric; items in the order of scoring. Trials that
    share a score share its arrays. Where several filters give a metric, the first filter's vector
    has its plain name, as its aggregate has; the others are named ``metric (filter)``.
    """
    parameters = {"experiment_id": experiment_id, "suite": suite, "searched": searched}
    asked = list(named_rows(connection, _TRIALS, parameters))
    series = _series_by_key(connection, sorted({row["score_key"] for row in asked}))
    return tuple(
        ScoreVector(
            trial_id=row["trial_id"],
            arm=row["arm"],
            kind=row["kind"],
            phase=row["phase"],
            seed=row["seed"],
            suite=row["suite"],
            task=row["task"],
            split=row["split"],
            metric=scored.metric,
            higher_is_better=scored.higher_is_better,
            chance=row["chance"],
            doc_hashes=scored.doc_hashes,
            clusters=scored.clusters,
            item_ids=scored.item_ids,
            values=scored.values,
        )
        for row in asked
        for scored in series[row["score_key"]]
    )


def item_rows_of(
    connection: duckdb.DuckDBPyConnection,
    experiment_id: str,
    metric: str,
    vectors: Sequence[ScoreVector],
) -> tuple[ItemRow, ...]:
    """Every item of the domain test of every complete finalist, with its value of ``metric``.

    Args:
        vectors: those of the study, which have the values.
    """
    tested = connection.execute(_TESTED, {"experiment_id": experiment_id}).fetchall()
    keys = sorted({row[3] for row in tested})
    set_of = _item_sets(connection, keys)
    texts: defaultdict[str, list[tuple[int, str, str, str, str]]] = defaultdict(list)
    read = {"keys": sorted(set(set_of.values()))}
    for key, *item in connection.execute(_TEXTS, read).fetchall():
        texts[key].append(tuple(item))
    replies: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for key, position, output in connection.execute(_REPLIES, {"keys": keys}).fetchall():
        replies[key][position] = output
    values = {
        (vector.trial_id, vector.task): dict(
            zip(vector.doc_hashes, vector.values.tolist(), strict=True)
        )
        for vector in vectors
        if (vector.phase, vector.suite, vector.split) == ("finalist", "domain", "test")
        and vector.metric == metric
    }
    rows = []
    for arm, seed, trial_id, key, task in tested:
        output, value_of = replies[key], values.get((trial_id, task), {})
        for position, doc_hash, item_id, target, text in texts[set_of.get(key, key)]:
            value = value_of.get(doc_hash, math.nan)
            rows.append(
                ItemRow(
                    arm, seed, doc_hash, item_id, target, output[position],
                    None if math.isnan(value) else value, text,
                )
            )  # fmt: skip
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class _ItemSet:
    """Items that scores have in common, in the order of scoring."""

    hashes: NDArray[np.uint64]
    """A number for each, shape (n,)."""
    columns: tuple[tuple[str, ...], ...]
    """Hashes of lm-eval, clusters and ids, each of shape (n,)."""

    def in_order(
        self, hashes: NDArray[np.uint64], values: NDArray[np.float64]
    ) -> tuple[tuple[tuple[str, ...], ...], NDArray[np.float64]]:
        """The columns of the items that have values, and those, in the order of scoring."""
        if np.array_equal(hashes, self.hashes):
            return self.columns, values
        by_hash = np.argsort(self.hashes, kind="stable")
        found = np.searchsorted(self.hashes, hashes, sorter=by_hash)
        places = by_hash[np.minimum(found, len(by_hash) - 1)]
        known = np.flatnonzero(self.hashes[places] == hashes)
        order = known[np.argsort(places[known], kind="stable")]
        rows = places[order].tolist()
        columns = tuple(tuple(column[row] for row in rows) for column in self.columns)
        return columns, values[order]


def _item_sets(connection: duckdb.DuckDBPyConnection, keys: list[str]) -> dict[str, str]:
    """Score -> the score that its set of items is read from."""
    alike: dict[tuple[int, ...], str] = {}
    found = connection.execute(_SETS, {"keys": keys}).fetchall()
    return {key: alike.setdefault(tuple(bits), key) for key, *bits in sorted(found)}


def _items_of(connection: duckdb.DuckDBPyConnection, keys: list[str]) -> dict[str, _ItemSet]:
    """Score -> its items."""
    columns = connection.execute(_SET_ITEMS, {"keys": keys}).fetchnumpy()
    counts = Counter(columns["score_key"].tolist())
    ends = np.cumsum(list(counts.values())).tolist()
    hashes = np.asarray(columns["hash"], dtype=np.uint64)
    texts = [list(map(str, columns[name])) for name in ("doc_hash", "cluster", "item_id")]
    return {
        key: _ItemSet(hashes[start:end], tuple(tuple(text[start:end]) for text in texts))
        for key, start, end in zip(counts, [0, *ends[:-1]], ends, strict=True)
    }


def _series_by_key(
    connection: duckdb.DuckDBPyConnection, keys: list[str]
) -> defaultdict[str, list[_Series]]:
    series: defaultdict[str, list[_Series]] = defaultdict(list)
    heads = list(named_rows(connection, _SERIES, {"keys": keys}))
    if not heads:
        return series
    metrics = sorted({head["metric"] for head in heads})
    columns = connection.execute(_VALUES, {"keys": keys, "metrics": metrics}).fetchnumpy()
    names = ("number", "metric", "filter_rank")
    places = np.stack([np.ma.filled(columns[name], -1) for name in names])
    order = np.lexsort(places[::-1])
    places, hashes = places[:, order], np.asarray(columns["hash"], dtype=np.uint64)[order]
    values = np.ma.filled(np.ma.asarray(columns["value"], dtype=np.float64), np.nan)[order]
    begins = [0, *(np.flatnonzero((places[:, 1:] != places[:, :-1]).any(axis=0)) + 1).tolist()]
    spans = {
        tuple(places[:, start].tolist()): slice(start, end)
        for start, end in zip(begins, [*begins[1:], len(order)], strict=True)
    }
    set_of = _item_sets(connection, keys)
    items = _items_of(connection, sorted(set(set_of.values())))
    number_of = {key: number for number, key in enumerate(keys)}
    # A score without outputs has no items.
    for head in (head for head in heads if head["score_key"] in set_of):
        key, metric, rank = head["score_key"], head["metric"], head["filter_rank"]
        span = spans[number_of[key], metrics.index(metric), rank]
        (doc_hashes, clusters, item_ids), own = items[set_of[key]].in_order(
            hashes[span], values[span]
        )
        own.flags.writeable = False
        plain = all(earlier.metric != metric for earlier in series[key])
        series[key].append(
            _Series(
                metric=metric if plain else f"{metric} ({head['filter']})",
                higher_is_better=head["higher_is_better"],
                doc_hashes=doc_hashes,
                clusters=clusters,
                item_ids=item_ids,
                values=own,
            )
        )
    return series
