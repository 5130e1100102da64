"""Item-by-item values of trials, out of the tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.records import ItemRow, ScoreVector

# The search's own validation items are many, and no report pairs them.
_TRIALS = """
SELECT t.trial_id, t.arm, t.kind, t.phase, t.seed, l.suite, l.task, l.split, l.score_key, s.chance
FROM trial t JOIN trial_score l USING (trial_id) JOIN score s USING (score_key)
WHERE t.experiment_id = ? AND t.status = 'complete'
  AND (t.phase <> 'search' OR l.suite = 'general')
ORDER BY t.trial_id, l.suite, l.task, l.split
"""

_WANTED = """
WITH wanted AS (
    SELECT DISTINCT l.score_key FROM trial t JOIN trial_score l USING (trial_id)
    WHERE t.experiment_id = ? AND t.status = 'complete'
      AND (t.phase <> 'search' OR l.suite = 'general')
)
"""

_SERIES = (
    _WANTED
    + """
SELECT i.score_key, i.metric, i.filter, m.higher_is_better, count(*)
FROM wanted w JOIN item_score i USING (score_key)
JOIN score_metric m ON m.score_key = i.score_key AND m.metric = i.metric
GROUP BY i.score_key, i.metric, i.filter_rank, i.filter, m.higher_is_better
ORDER BY i.score_key, i.metric, i.filter_rank
"""
)

_VALUES = (
    _WANTED
    + """
SELECT i.doc_hash AS doc_hash, o.cluster AS cluster, o.item_id AS item_id, i.value AS value
FROM wanted w JOIN item_score i USING (score_key)
JOIN item_output o ON o.score_key = i.score_key AND o.doc_hash = i.doc_hash
ORDER BY i.score_key, i.metric, i.filter_rank, o.position
"""
)

_ITEMS = """
SELECT t.arm, t.seed, o.doc_hash, o.item_id, o.target, o.output, i.value, o.text
FROM trial t
JOIN trial_score l USING (trial_id)
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
    """One metric of one score. The four sequences have shape (n,)."""

    metric: str
    higher_is_better: bool
    doc_hashes: tuple[str, ...]
    clusters: tuple[str, ...]
    item_ids: tuple[str, ...]
    values: NDArray[np.float64]


def vectors_of(
    connection: duckdb.DuckDBPyConnection, experiment_id: str
) -> tuple[ScoreVector, ...]:
    """Every per-item metric of every complete trial; of search trials, the general suite's only.

    Ordered by trial, suite, task, split and metric; items in the order of scoring. Trials that
    share a score share its arrays. Where several filters give a metric, the first filter's vector
    has its plain name, as its aggregate has; the others are named ``metric (filter)``.
    """
    series = _series_by_key(connection, experiment_id)
    return tuple(
        ScoreVector(
            trial_id=trial_id,
            arm=arm,
            kind=kind,
            phase=phase,
            seed=seed,
            suite=suite,
            task=task,
            split=split,
            metric=one.metric,
            higher_is_better=one.higher_is_better,
            chance=chance,
            doc_hashes=one.doc_hashes,
            clusters=one.clusters,
            item_ids=one.item_ids,
            values=one.values,
        )
        for trial_id, arm, kind, phase, seed, suite, task, split, key, chance in (
            connection.execute(_TRIALS, [experiment_id]).fetchall()
        )
        for one in series[key]
    )


def item_rows_of(
    connection: duckdb.DuckDBPyConnection, experiment_id: str, metric: str
) -> tuple[ItemRow, ...]:
    """Every item of the domain test of every complete finalist, with its value of ``metric``."""
    rows = connection.execute(_ITEMS, {"experiment_id": experiment_id, "metric": metric}).fetchall()
    return tuple(ItemRow(*row) for row in rows)


def _series_by_key(
    connection: duckdb.DuckDBPyConnection, experiment_id: str
) -> defaultdict[str, list[_Series]]:
    heads = connection.execute(_SERIES, [experiment_id]).fetchall()
    columns = connection.execute(_VALUES, [experiment_id]).fetchnumpy()
    values = np.ma.filled(np.ma.asarray(columns["value"], dtype=np.float64), np.nan)
    values.flags.writeable = False
    doc_hashes: list[str] = np.asarray(columns["doc_hash"], dtype=object).tolist()
    clusters: list[str] = np.asarray(columns["cluster"], dtype=object).tolist()
    item_ids: list[str] = np.asarray(columns["item_id"], dtype=object).tolist()
    ends = np.cumsum([head[-1] for head in heads], dtype=np.int64).tolist()
    found: defaultdict[str, list[_Series]] = defaultdict(list)
    start = 0
    for (key, metric, filter_name, higher_is_better, _), end in zip(heads, ends, strict=True):
        plain = all(one.metric != metric for one in found[key])
        name = metric if plain else f"{metric} ({filter_name})"
        found[key].append(
            _Series(
                metric=name,
                higher_is_better=higher_is_better,
                doc_hashes=tuple(doc_hashes[start:end]),
                clusters=tuple(clusters[start:end]),
                item_ids=tuple(item_ids[start:end]),
                values=values[start:end],
            )
        )
        start = end
    return found
