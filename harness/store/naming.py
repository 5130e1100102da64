"""Which trials and scores a study names, inside the caller's transaction.

A trial belongs to what it computes, not to a study: studies name trials, and what of them they
want scored. Two studies that ask for the same name the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from harness.records import JsonValue, Status, TrialSpec

# Of these a study has one entry for a trial, wherever its seed stands in the list; a search has one
# for each of its proposals.
_BY_TRIAL = ("finalist", "default", "curve")


@dataclass(frozen=True, slots=True)
class NamedTrial:
    """What the store knows of a trial that a study asks for."""

    status: Status | None
    """How it ended; None where it has not."""
    answering: str
    """The way of answering that it found best; empty where it has not ended, or tried only one."""
    known: frozenset[str]
    """Keys of the scores that need not be computed again."""
    replied: frozenset[str]
    """Who of those asked for the others (:class:`~harness.records.ScoreRequest`) and of the judges
    has replied to something before."""


def put_entry(connection: duckdb.DuckDBPyConnection, spec: TrialSpec) -> None:
    """Name the trial and its scores for the study, in place of what it asked of it before."""
    once = spec.phase in _BY_TRIAL
    if not once:
        # A proposal that failed may come out as another trial when it is tried again.
        connection.execute(
            "DELETE FROM study_trial WHERE experiment_id = ? AND arm = ? AND phase = ? "
            "AND number = ? AND trial_id <> ? "
            "AND trial_id IN (SELECT trial_id FROM trial WHERE seed = ? AND status = 'failed')",
            [
                spec.experiment_id,
                spec.arm,
                spec.phase,
                spec.number,
                spec.trial_id,
                spec.seed,
            ],
        )
    found = connection.execute(
        "SELECT entry FROM study_trial WHERE experiment_id = ? AND arm = ? AND phase = ? "
        "AND trial_id = ? AND (number = ? OR ?)",
        [spec.experiment_id, spec.arm, spec.phase, spec.trial_id, spec.number, once],
    ).fetchone()
    if found is None:
        ((entry,),) = connection.execute(
            "INSERT INTO study_trial (experiment_id, arm, phase, number, trial_id) "
            "VALUES (?, ?, ?, ?, ?) RETURNING entry",
            [spec.experiment_id, spec.arm, spec.phase, spec.number, spec.trial_id],
        ).fetchall()
    else:
        (entry,) = found
        connection.execute(
            "UPDATE study_trial SET number = ?, failure_kind = NULL, failure_message = NULL "
            "WHERE entry = ?",
            [spec.number, entry],
        )
        connection.execute("DELETE FROM study_score WHERE entry = ?", [entry])
    asked = [
        [request.key, request.task, request.suite, request.split, request.answering]
        for request in spec.scores
    ]
    if asked:
        connection.execute(
            "INSERT INTO study_score "
            "SELECT ?, unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)",
            [entry, *map(list, zip(*asked, strict=True))],
        )


def ensure_entry(
    connection: duckdb.DuckDBPyConnection, spec: TrialSpec, *, anew: bool = False
) -> None:
    """Name the trial for the study that ran it, if that is there and does not name it yet.

    Args:
        anew: what is asked of it takes the place of what was asked before.
    """
    named = "SELECT 1 FROM study_trial WHERE experiment_id = ? AND trial_id = ?"
    declared = "SELECT 1 FROM experiment WHERE experiment_id = ?"
    if (
        anew or connection.execute(named, [spec.experiment_id, spec.trial_id]).fetchone() is None
    ) and connection.execute(declared, [spec.experiment_id]).fetchone() is not None:
        put_entry(connection, spec)


def note_failure(
    connection: duckdb.DuckDBPyConnection, spec: TrialSpec, failure: tuple[str, str] | None
) -> None:
    """Note kind and message of a failure to score what the study asks of the trial; None: no more.

    One that went well is taken off every study that names the trial.
    """
    kind, message = failure or (None, None)
    connection.execute(
        "UPDATE study_trial SET failure_kind = $kind, failure_message = $message "
        "WHERE trial_id = $trial_id AND ($kind IS NULL OR experiment_id = $experiment_id)",
        {
            "kind": kind,
            "message": message,
            "trial_id": spec.trial_id,
            "experiment_id": spec.experiment_id,
        },
    )


def note_failure_elsewhere(
    connection: duckdb.DuckDBPyConnection, spec: TrialSpec, failure: tuple[str, str]
) -> None:
    """Keep a trial's failure for the studies that name it but for the one that replaces it."""
    connection.execute(
        "UPDATE study_trial SET failure_kind = ?, failure_message = ? "
        "WHERE trial_id = ? AND experiment_id <> ?",
        [*failure, spec.trial_id, spec.experiment_id],
    )


def not_seen_yet(
    connection: duckdb.DuckDBPyConnection,
    experiment_id: str,
    looks: Mapping[str, Mapping[str, JsonValue]],
) -> list[dict[str, JsonValue]]:
    """Those of ``looks`` that the study has not noted yet, each with its ``score_key``.

    A score that several of its trials share is looked at for each of them.
    """
    if not looks:
        return []
    rows = connection.execute(
        "SELECT detail ->> '$.score_key', detail ->> '$.trial_id', detail ->> '$.arm', "
        "detail ->> '$.phase' FROM event "
        "WHERE experiment_id = ? AND kind = 'test_access'",
        [experiment_id],
    ).fetchall()
    seen = set(rows)
    return [
        {**detail, "score_key": key}
        for key, detail in looks.items()
        if (key, detail["trial_id"], detail["arm"], detail["phase"]) not in seen
    ]


def known_of(connection: duckdb.DuckDBPyConnection, spec: TrialSpec) -> NamedTrial:
    """What the store knows of the trial."""
    row = connection.execute(
        "SELECT status, params FROM trial WHERE trial_id = ?", [spec.trial_id]
    ).fetchone()
    status, params = row or (None, "{}")
    known = known_scores(connection, [request.key for request in spec.scores])
    asked = {request.asked for request in spec.scores if request.key not in known} - {""}
    asked |= {seat.asked for seat in spec.judges}
    if spec.writing is not None:
        asked |= {spec.writing.asked, spec.writing.asked_writer}
    replied = connection.execute(
        "SELECT DISTINCT asked FROM reply WHERE asked IN (SELECT unnest(?))", [sorted(asked)]
    ).fetchall()
    return NamedTrial(
        status=status,
        answering=str(json.loads(params).get("answering", "")) if spec.ways else "",
        known=known,
        replied=frozenset(one for (one,) in replied),
    )


def scored_keys(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> frozenset[str]:
    """Keys of all scores that the study asks for and that are there."""
    rows = connection.execute(
        "SELECT DISTINCT score_key FROM named_score SEMI JOIN score USING (score_key) "
        "WHERE experiment_id = ?",
        [experiment_id],
    ).fetchall()
    return frozenset(key for (key,) in rows)


def named_ids(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> tuple[str, ...]:
    """Ids of all trials that the study names, ended or not."""
    rows = connection.execute(
        "SELECT DISTINCT trial_id FROM study_trial WHERE experiment_id = ? ORDER BY ALL",
        [experiment_id],
    ).fetchall()
    return tuple(trial_id for (trial_id,) in rows)


def known_scores(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> frozenset[str]:
    """Those of ``keys`` that need not be scored again; failed trials' scores do not count."""
    rows = connection.execute(
        "SELECT s.score_key FROM score s JOIN trial t ON t.trial_id = s.scored_by "
        "WHERE t.status <> 'failed' AND s.score_key IN (SELECT unnest($keys))",
        {"keys": list(keys)},
    ).fetchall()
    return frozenset(key for (key,) in rows)


def studies_of(connection: duckdb.DuckDBPyConnection, trial_id: str) -> list[tuple[str, str]]:
    """Id of each study that names the trial, and its arm there."""
    rows = connection.execute(
        "SELECT DISTINCT experiment_id, arm FROM study_trial WHERE trial_id = ? ORDER BY ALL",
        [trial_id],
    ).fetchall()
    return [(study, arm) for study, arm in rows]
