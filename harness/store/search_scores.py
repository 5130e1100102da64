"""What a search wants to know of its trials beyond their averages."""

from __future__ import annotations

import duckdb

from harness.store.connection import named_rows

_VALUES = """
SELECT o.item_id, i.value
FROM asked_score l
JOIN item_score i USING (score_key)
JOIN item_output o ON o.score_key = i.score_key AND o.doc_hash = i.doc_hash
WHERE l.experiment_id = $experiment_id AND l.trial_id = $trial_id AND l.suite = $suite
  AND l.split = $split
  AND i.metric = $metric AND i.filter_rank = 0 AND i.value IS NOT NULL
ORDER BY o.position
"""


_ANSWERED = """
SELECT o.item_id, o.output, i.value
FROM item_output o
JOIN item_score i ON o.score_key = i.score_key AND o.doc_hash = i.doc_hash
WHERE o.score_key = $key AND i.metric = $metric AND i.filter_rank = 0 AND i.value IS NOT NULL
ORDER BY o.position
"""


def answered_of(
    connection: duckdb.DuckDBPyConnection, key: str, metric: str
) -> dict[str, tuple[str, float]]:
    """Item id -> reply and value of one metric, of a score; unscored items are left out."""
    rows = named_rows(connection, _ANSWERED, {"key": key, "metric": metric})
    return {row["item_id"]: (row["output"], row["value"]) for row in rows}


def item_values_of(
    connection: duckdb.DuckDBPyConnection,
    experiment_id: str,
    trial_id: str,
    suite: str,
    split: str,
    metric: str,
) -> dict[str, float]:
    """Item id -> value of one metric, in the order of scoring; unscored items are left out."""
    parameters = {
        "experiment_id": experiment_id,
        "trial_id": trial_id,
        "suite": suite,
        "split": split,
        "metric": metric,
    }
    return {row["item_id"]: row["value"] for row in named_rows(connection, _VALUES, parameters)}
