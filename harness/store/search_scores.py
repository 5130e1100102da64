"""What a search wants to know of its trials beyond their averages."""

from __future__ import annotations

import json

import duckdb

# A trial's change on a task is the mean over the items that it and the base both have.
_CHANGES = """
WITH base AS (
    SELECT l.task, i.metric, i.doc_hash, i.value
    FROM trial t
    JOIN trial_score l USING (trial_id)
    JOIN item_score i USING (score_key)
    WHERE t.experiment_id = $experiment_id AND t.phase = 'baseline' AND t.status = 'complete'
      AND l.suite = 'general' AND i.filter_rank = 0 AND i.value IS NOT NULL
), tried AS (
    SELECT t.trial_id, l.task, i.metric, i.doc_hash, i.value
    FROM trial t
    JOIN trial_score l USING (trial_id)
    JOIN item_score i USING (score_key)
    WHERE t.experiment_id = $experiment_id AND t.phase = 'search' AND t.status = 'complete'
      AND l.suite = 'general' AND i.filter_rank = 0 AND i.value IS NOT NULL
)
SELECT r.trial_id, r.task, r.metric, avg(r.value - b.value)
FROM tried r JOIN base b USING (task, metric, doc_hash)
GROUP BY r.trial_id, r.task, r.metric
ORDER BY r.trial_id, r.task
"""

_TASKS = "SELECT general_tasks FROM experiment WHERE experiment_id = ?"

_VALUES = """
SELECT o.item_id, i.value
FROM trial_score l
JOIN item_score i USING (score_key)
JOIN item_output o ON o.score_key = i.score_key AND o.doc_hash = i.doc_hash
WHERE l.trial_id = $trial_id AND l.suite = $suite AND l.split = $split
  AND i.metric = $metric AND i.filter_rank = 0 AND i.value IS NOT NULL
ORDER BY o.position
"""


def general_changes_of(
    connection: duckdb.DuckDBPyConnection, experiment_id: str
) -> dict[str, float]:
    """Complete search trial -> mean change of its general tasks' accuracy against the base."""
    stored = connection.execute(_TASKS, [experiment_id]).fetchone()
    tasks = json.loads(stored[0]) if stored else {}
    changes: dict[str, list[float]] = {}
    rows = connection.execute(_CHANGES, {"experiment_id": experiment_id}).fetchall()
    for trial_id, task, metric, change in rows:
        about = tasks.get(task)
        if about is None or not about["accuracy"] or about["metric"] != metric:
            continue
        sign = 1.0 if about["higher_is_better"] else -1.0
        changes.setdefault(trial_id, []).append(sign * change)
    return {trial_id: sum(found) / len(found) for trial_id, found in changes.items()}


def item_values_of(
    connection: duckdb.DuckDBPyConnection, trial_id: str, suite: str, split: str, metric: str
) -> dict[str, float]:
    """Item id -> value of one metric, in the order of scoring; unscored items are left out."""
    wanted = {"trial_id": trial_id, "suite": suite, "split": split, "metric": metric}
    return dict(connection.execute(_VALUES, wanted).fetchall())
