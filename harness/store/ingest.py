"""Putting one trial's record into the tables, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from harness.records import JsonValue, ScoreRecord, TrialRecord, to_json, unscored_notes
from harness.store.columns import Columns
from harness.store.connection import named_rows

_STEP_SCHEMA = pa.schema(
    [
        ("trial_id", pa.string()),
        ("step", pa.int32()),
        ("steps", pa.int32()),
        ("epoch", pa.float64()),
        ("loss", pa.float64()),
        ("learning_rate", pa.float64()),
        ("grad_norm", pa.float64()),
        ("tokens", pa.int64()),
        ("seconds", pa.float64()),
        ("validation_loss", pa.float64()),
        ("validation_score", pa.float64()),
    ]
)
MEASURING = ("measure_seconds", "measure_tokens", "measure_money")
_COST_FIELDS = (
    "load_seconds",
    "train_seconds",
    "score_seconds",
    "train_tokens",
    "peak_memory_mib",
    "peak_device_mib",
    "total_parameters",
    "trainable_parameters",
    "artifact_bytes",
    *MEASURING,
)

# one mark a column of the table: 13 of the trial, 3 canaries, the cost, hash and time, the stop,
# the checkpoint, the writing
_MARKS = ", ".join("?" * (13 + 3 + len(_COST_FIELDS) + 5))
_INSERT_TRIAL = f"INSERT INTO trial VALUES ({_MARKS})"  # noqa: S608 nothing but question marks

# Of a score without items in the store: their number, tokens of their prompts and replies.
_NO_ITEMS = (0, 0, 0)


def insert_trial(
    connection: duckdb.DuckDBPyConnection,
    record: TrialRecord,
    content_hash: str,
    ingested_at: str,
) -> None:
    """Insert the trial's own rows: the trial, its steps and its artifacts.

    Args:
        record: the trial's record, of which only the head is read.
    """
    spec, canaries, cost = record.spec, record.canaries, record.cost
    values = [
        spec.trial_id,
        to_json(spec.identity),
        spec.weights_id or None,
        spec.kind,
        spec.seed,
        record.status,
        record.failure_kind,
        record.failure_message,
        record.started_at,
        record.ended_at,
        to_json(spec.params),
        to_json(spec),
        to_json(record.environment),
        canaries and canaries.before_max_difference,
        canaries and canaries.after_max_difference,
        canaries and canaries.prompt_tokens_equal,
        *(cost and getattr(cost, name) for name in _COST_FIELDS),
        content_hash,
        ingested_at,
        record.stopped and to_json(record.stopped),
        record.checkpoint and to_json(record.checkpoint),
        record.writing and to_json(record.writing),
    ]
    connection.execute(_INSERT_TRIAL, values)
    steps = record.steps
    columns: list[list[Any]] = [
        [spec.trial_id] * len(steps),
        *([getattr(step, name) for step in steps] for name in _STEP_SCHEMA.names[1:]),
    ]
    arrays = [
        pa.array(column, type=field.type, from_pandas=True)
        for column, field in zip(columns, _STEP_SCHEMA, strict=True)
    ]
    _load(
        connection,
        "INSERT INTO training_step SELECT * FROM fresh",
        pa.table(arrays, schema=_STEP_SCHEMA),
    )
    _insert_artifacts(connection, record)


def _insert_artifacts(connection: duckdb.DuckDBPyConnection, record: TrialRecord) -> None:
    """Note the files that the trial left."""
    for artifact in record.artifacts:
        connection.execute(
            "INSERT INTO artifact VALUES (?, ?, ?, ?)",
            [record.spec.trial_id, artifact.path, artifact.sha256, artifact.bytes],
        )


def insert_test_rows(
    connection: duckdb.DuckDBPyConnection, experiment_id: str, hashes: Sequence[str]
) -> None:
    """Note which rows a study's test set has, unless that is known from before it was removed."""
    table = pa.table({"id": [experiment_id] * len(hashes), "row": list(hashes)})
    _load(
        connection,
        "INSERT INTO experiment_test_row SELECT id, row FROM fresh "
        "WHERE id NOT IN (SELECT experiment_id FROM experiment_test_row)",
        table,
    )


def insert_addition(
    connection: duckdb.DuckDBPyConnection,
    record: TrialRecord,
    content_hash: str,
    ingested_at: str,
) -> None:
    """Insert what it took to score more of a trial that had ended.

    Args:
        record: the record of the addition, of which only the head is read.
    """
    cost = record.cost
    connection.execute(
        "INSERT INTO trial_addition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            record.spec.trial_id,
            content_hash,
            ingested_at,
            cost and cost.load_seconds,
            cost and cost.train_seconds,
            cost and cost.score_seconds,
            *(cost and getattr(cost, name) for name in MEASURING),
            to_json(record.environment),
        ],
    )
    if record.artifacts:
        trial_id = record.spec.trial_id
        connection.execute("DELETE FROM artifact WHERE trial_id = ?", [trial_id])
        _insert_artifacts(connection, record)
        if record.checkpoint is not None:
            # It was trained again, and says which of those weights these files are.
            connection.execute(
                "UPDATE trial SET checkpoint = ? WHERE trial_id = ?",
                [to_json(record.checkpoint), trial_id],
            )


def insert_scores(
    connection: duckdb.DuckDBPyConnection,
    trial_id: str,
    scores: Sequence[ScoreRecord],
    columns: Columns,
) -> None:
    """Insert fresh scores and, of the tables of ``columns``, what belongs to them."""
    sizes = _sizes(columns.outputs)
    # One statement takes a third of the time of one for each row.
    if scores:
        own = [(*_own_row(score, trial_id), *sizes.get(score.key, _NO_ITEMS)) for score in scores]
        connection.execute(
            "INSERT INTO score SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), "
            "unnest(?), unnest(?), unnest(?), unnest(?), unnest(CAST(? AS DOUBLE[][])), "
            "unnest(?), unnest(?), unnest(?)",
            [list(column) for column in zip(*own, strict=True)],
        )
    metrics = [
        row for score in scores for row in _metrics(score, sizes.get(score.key, _NO_ITEMS)[0])
    ]
    if metrics:
        connection.execute(
            "INSERT INTO score_metric SELECT unnest(?), unnest(?), unnest(?), unnest(?), "
            "unnest(?), unnest(?), unnest(?), unnest(?)",
            [list(column) for column in zip(*metrics, strict=True)],
        )
    keys = [score.key for score in scores]
    _load(
        connection,
        "INSERT INTO item_output SELECT * FROM fresh WHERE score_key IN (SELECT unnest($keys))",
        columns.outputs,
        {"keys": keys},
    )
    _load(
        connection,
        "INSERT INTO item_score SELECT score_key, doc_hash, filter, filter_rank, metric, "
        "CASE WHEN isnan(value) THEN NULL ELSE value END "
        "FROM fresh WHERE score_key IN (SELECT unnest($keys))",
        columns.item_scores,
        {"keys": keys},
    )
    _load(
        connection,
        "INSERT INTO reply SELECT asked, request, any_value(response), any_value(remark) "
        "FROM fresh ANTI JOIN reply USING (asked, request) GROUP BY asked, request",
        columns.replies,
    )


def _sizes(outputs: pa.Table) -> dict[str, tuple[int, int, int]]:
    """Key of a score -> its items, and the tokens of their prompts and of their replies."""
    measures = [([], "count_all"), ("prompt_tokens", "sum"), ("completion_tokens", "sum")]
    table = outputs.group_by("score_key").aggregate(measures)
    return {
        row["score_key"]: (
            row["count_all"],
            row["prompt_tokens_sum"],
            row["completion_tokens_sum"],
        )
        for row in table.to_pylist()
    }


def _own_row(score: ScoreRecord, trial_id: str) -> list[object]:
    return [
        score.key,
        score.asked,
        trial_id,
        score.task,
        score.suite,
        score.split,
        score.form,
        score.seconds,
        score.chance,
        list(score.latencies),
    ]


def _metrics(score: ScoreRecord, items: int) -> Iterator[list[object]]:
    """A row per metric of a score of so many items."""
    notes = unscored_notes(score.unscored, items)
    for metric, higher_is_better in score.higher_is_better.items():
        value = score.aggregates.get(metric)
        known = None if value != value else value  # noqa: PLR0124 NaN
        yield [
            score.key,
            metric,
            known,
            higher_is_better,
            *score.intervals.get(metric, (None, None)),
            notes.get(metric),
            score.moved.get(metric),
        ]


def delete_trial(connection: duckdb.DuckDBPyConnection, trial_id: str) -> None:
    """Delete a failed trial and the scores it computed; no other trial was given those."""
    delete_scores(
        connection,
        [
            key
            for (key,) in connection.execute(
                "SELECT score_key FROM score WHERE scored_by = ?", [trial_id]
            ).fetchall()
        ],
    )
    connection.execute("DELETE FROM artifact WHERE trial_id = ?", [trial_id])
    connection.execute("DELETE FROM training_step WHERE trial_id = ?", [trial_id])
    connection.execute("DELETE FROM trial WHERE trial_id = ?", [trial_id])


def delete_scores(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> None:
    """Delete scores with their metrics and items."""
    if not keys:
        return
    parameters = {"keys": list(keys)}
    connection.execute(
        "DELETE FROM item_score WHERE score_key IN (SELECT unnest($keys))", parameters
    )
    connection.execute(
        "DELETE FROM item_output WHERE score_key IN (SELECT unnest($keys))", parameters
    )
    connection.execute(
        "DELETE FROM score_metric WHERE score_key IN (SELECT unnest($keys))", parameters
    )
    connection.execute("DELETE FROM score WHERE score_key IN (SELECT unnest($keys))", parameters)


def held_scores(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> list[str]:
    """Those of ``keys`` that the store holds, whoever computed them."""
    rows = connection.execute(
        "SELECT score_key FROM score WHERE score_key IN (SELECT unnest(?))", [list(keys)]
    ).fetchall()
    return [key for (key,) in rows]


def stored_aggregates(
    connection: duckdb.DuckDBPyConnection, keys: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Key -> metric -> value, for those of ``keys`` that the store holds."""
    rows = named_rows(
        connection,
        "SELECT s.score_key, m.metric, m.value FROM score s LEFT JOIN score_metric m "
        "USING (score_key) WHERE s.score_key IN (SELECT unnest($keys))",
        {"keys": list(keys)},
    )
    stored: dict[str, dict[str, float]] = {}
    for row in rows:
        metrics = stored.setdefault(row["score_key"], {})
        if row["metric"] is not None and row["value"] is not None:
            metrics[row["metric"]] = row["value"]
    return stored


def differences(score: ScoreRecord, stored: dict[str, float]) -> dict[str, dict[str, JsonValue]]:
    """Metric -> stored and fresh value, where the two disagree."""
    return {
        metric: {"stored": stored.get(metric), "fresh": value}
        for metric, value in score.aggregates.items()
        if value == value and stored.get(metric) != value  # noqa: PLR0124 NaN
    }


def _load(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    table: pa.Table,
    parameters: dict[str, Any] | None = None,
) -> None:
    """Run an insertion that reads ``table`` under the name ``fresh``."""
    if not table.num_rows:
        return
    connection.register("fresh", table)
    try:
        connection.execute(sql, parameters)
    finally:
        connection.unregister("fresh")
