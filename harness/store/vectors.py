"""Item-by-item values of trials, out of the tables."""

from __future__ import annotations

from collections import defaultdict
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
# to answer.
_SERIES = """
SELECT i.score_key, i.metric, i.filter, m.higher_is_better, count(*) AS items
FROM item_score i JOIN score_metric m ON m.score_key = i.score_key AND m.metric = i.metric
WHERE i.score_key IN (SELECT unnest($keys))
GROUP BY i.score_key, i.metric, i.filter_rank, i.filter, m.higher_is_better
ORDER BY i.score_key, i.metric, i.filter_rank
"""

_VALUES = """
SELECT i.doc_hash AS doc_hash, o.cluster AS cluster, o.item_id AS item_id, i.value AS value
FROM item_score i JOIN item_output o ON o.score_key = i.score_key AND o.doc_hash = i.doc_hash
WHERE i.score_key IN (SELECT unnest($keys))
ORDER BY i.score_key, i.metric, i.filter_rank, o.position
"""

_ITEMS = """
SELECT t.arm, t.seed, o.doc_hash, o.item_id, o.target, o.output, i.value, o.text
FROM named_trial t
JOIN named_score l USING (entry)
JOIN item_output o USING (score_key)
LEFT JOIN item_score i
    ON i.score_key = o.score_key AND i.doc_hash = o.doc_hash AND i.metric = $metric
    AND i.filter_rank = 0
WHERE t.experiment_id = $experiment_id AND t.phase = 'finalist' AND t.status = 'complete'
  AND l.suite = 'domain' AND l.split = 'test'
ORDER BY t.arm, t.seed, t.trial_id, o.position
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
    connection: duckdb.DuckDBPyConnection, experiment_id: str, metric: str
) -> tuple[ItemRow, ...]:
    """Every item of the domain test of every complete finalist, with its value of ``metric``."""
    parameters = {"experiment_id": experiment_id, "metric": metric}
    return tuple(ItemRow(**row) for row in named_rows(connection, _ITEMS, parameters))


def _series_by_key(
    connection: duckdb.DuckDBPyConnection, keys: list[str]
) -> defaultdict[str, list[_Series]]:
    parameters = {"keys": keys}
    heads = list(named_rows(connection, _SERIES, parameters))
    columns = connection.execute(_VALUES, parameters).fetchnumpy()
    values = np.ma.filled(np.ma.asarray(columns["value"], dtype=np.float64), np.nan)
    values.flags.writeable = False
    doc_hashes: list[str] = np.asarray(columns["doc_hash"], dtype=object).tolist()
    clusters: list[str] = np.asarray(columns["cluster"], dtype=object).tolist()
    item_ids: list[str] = np.asarray(columns["item_id"], dtype=object).tolist()
    ends = np.cumsum([head["items"] for head in heads], dtype=np.int64).tolist()
    series: defaultdict[str, list[_Series]] = defaultdict(list)
    start = 0
    for head, end in zip(heads, ends, strict=True):
        metric, known = head["metric"], series[head["score_key"]]
        plain = all(earlier.metric != metric for earlier in known)
        known.append(
            _Series(
                metric=metric if plain else f"{metric} ({head['filter']})",
                higher_is_better=head["higher_is_better"],
                doc_hashes=tuple(doc_hashes[start:end]),
                clusters=tuple(clusters[start:end]),
                item_ids=tuple(item_ids[start:end]),
                values=values[start:end],
            )
        )
        start = end
    return series
