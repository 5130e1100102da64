"""What earlier trials left that later ones go by: identities, weights, replies, looks at a test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import duckdb

from harness.records import Checkpoint, JsonValue, KnownTraining, Reply, TrialCost, from_json
from harness.store.connection import named_rows
from harness.store.summaries import canaries_of, steps_of

# What is noted of a training among all that is noted of a trial.
OF_TRAINING = (
    "train_examples", "train_sequences", "left_out_of_training", "training_memory", "not_adapted",
    "resumed", "checkpoint", "starts_from", "unread_reports", "not_stopped_early",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """A complete trial and all that it computes."""

    trial_id: str
    """Id of the trial."""
    kind: str
    """Kind of the arm that asked for it."""
    identity: dict[str, JsonValue]
    """As in :class:`~harness.records.TrialSpec`."""
    ended_at: str
    """When it ended, ISO 8601, UTC."""
    named_by: tuple[str, ...]
    """Names of the studies that name it, with the arm's name there: ``travel/lora``."""


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Trained weights as a trial left them."""

    trial_id: str
    """Id of the trial."""
    files: dict[str, str]
    """Path within the trial's folder -> SHA-256 of the content, hex."""


@dataclass(frozen=True, slots=True)
class UnnamedWeights:
    """Trained weights of a trial that no study names."""

    trial_id: str
    """Id of the trial."""
    kind: str
    """Kind of the arm that asked for it."""
    ended_at: str
    """When it ended, ISO 8601, UTC."""
    bytes: int
    """Their size in all."""


_UNNAMED = """
SELECT t.trial_id, t.kind, t.ended_at, CAST(sum(a.bytes) AS BIGINT) AS bytes
FROM trial t JOIN artifact a USING (trial_id) ANTI JOIN study_trial n USING (trial_id)
GROUP BY ALL ORDER BY t.ended_at, t.trial_id
"""

_IDENTITIES = """
SELECT t.trial_id, t.kind, t.identity, t.ended_at,
       list(DISTINCT e.name || '/' || n.arm) FILTER (e.name IS NOT NULL) AS named_by
FROM trial t LEFT JOIN study_trial n USING (trial_id) LEFT JOIN experiment e USING (experiment_id)
WHERE t.status = 'complete'
GROUP BY ALL ORDER BY t.ended_at, t.trial_id
"""

_WEIGHTS = """
SELECT t.trial_id, list(a.path ORDER BY a.path) AS paths, list(a.sha256 ORDER BY a.path) AS hashes
FROM trial t JOIN artifact a USING (trial_id)
WHERE t.weights_id = ? AND t.status = 'complete'
GROUP BY t.trial_id, t.ended_at ORDER BY t.ended_at DESC, t.trial_id
"""

_TRAINING = "SELECT * FROM trial WHERE trial_id = ? AND status = 'complete'"

_REPLIES = """
SELECT asked, request, response, remark FROM reply WHERE asked IN (SELECT unnest($asked))
ORDER BY asked, request
"""

_READERS = """
SELECT coalesce(e.name, v.name) || ' (' || r.experiment_id[:8] || ')'
       || CASE WHEN e.name IS NULL THEN ', removed since' ELSE '' END AS study,
       count(DISTINCT r.row_hash) AS rows
FROM experiment_test_row r
LEFT JOIN experiment e USING (experiment_id)
LEFT JOIN (
    SELECT experiment_id, arg_max(detail ->> '$.name', event_id) AS name
    FROM event WHERE kind = 'removed' GROUP BY experiment_id
) v USING (experiment_id)
WHERE r.experiment_id <> $experiment_id AND r.row_hash IN (SELECT unnest($rows))
  AND r.experiment_id IN (
    SELECT experiment_id FROM event
    WHERE kind = 'test_access' AND detail ->> '$.phase' <> 'baseline'
      AND detail ->> '$.task' = 'domain'
  )
GROUP BY ALL ORDER BY study
"""


def identities(connection: duckdb.DuckDBPyConnection) -> tuple[StoredIdentity, ...]:
    """Every complete trial, in the order in which they ended."""
    return tuple(
        StoredIdentity(
            trial_id=row["trial_id"],
            kind=row["kind"],
            identity=json.loads(row["identity"]),
            ended_at=row["ended_at"],
            named_by=tuple(sorted(row["named_by"] or ())),
        )
        for row in named_rows(connection, _IDENTITIES)
    )


def weights_of(connection: duckdb.DuckDBPyConnection, weights_id: str) -> tuple[StoredWeights, ...]:
    """Complete trials that left the weights with this id, the newest first."""
    return tuple(
        StoredWeights(row["trial_id"], dict(zip(row["paths"], row["hashes"], strict=True)))
        for row in named_rows(connection, _WEIGHTS, [weights_id])
    )


def training_of(connection: duckdb.DuckDBPyConnection, trial_id: str) -> KnownTraining:
    """The training of a complete trial."""
    (row,) = named_rows(connection, _TRAINING, [trial_id])
    notes: dict[str, str] = json.loads(row["environment"])
    return KnownTraining(
        trial_id,
        steps_of(connection, trial_id),
        canaries_of(row),
        None if row["checkpoint"] is None else from_json(Checkpoint, row["checkpoint"]),
        TrialCost(**{field.name: row[field.name] for field in fields(TrialCost)}),
        {name: notes[name] for name in OF_TRAINING if name in notes},
    )


def replies_of(connection: duckdb.DuckDBPyConnection, asked: Sequence[str]) -> tuple[Reply, ...]:
    """Every reply that is known of who is asked so."""
    return tuple(Reply(**row) for row in named_rows(connection, _REPLIES, {"asked": list(asked)}))


def answered_items(connection: duckdb.DuckDBPyConnection, asked: str) -> frozenset[str]:
    """Ids of all items to which the reply of who is asked so is known."""
    rows = connection.execute(
        "SELECT DISTINCT item_id FROM item_output SEMI JOIN (SELECT score_key FROM score "
        "WHERE asked = ?) USING (score_key)",
        [asked],
    ).fetchall()
    return frozenset(item for (item,) in rows)


def unnamed_weights(connection: duckdb.DuckDBPyConnection) -> tuple[UnnamedWeights, ...]:
    """Trials that left weights and that no study names, the oldest first."""
    return tuple(UnnamedWeights(**row) for row in named_rows(connection, _UNNAMED))


def named_trials(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Ids of all trials that a study names, whether they have ended or not."""
    rows = connection.execute("SELECT DISTINCT trial_id FROM study_trial").fetchall()
    return frozenset(trial_id for (trial_id,) in rows)


def test_readers(
    connection: duckdb.DuckDBPyConnection, experiment_id: str, rows: Sequence[str]
) -> dict[str, int]:
    """Other studies that tested an arm on some of the rows -> how many of the rows."""
    parameters = {"experiment_id": experiment_id, "rows": list(rows)}
    return {row["study"]: row["rows"] for row in named_rows(connection, _READERS, parameters)}
