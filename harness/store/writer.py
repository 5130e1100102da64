"""The only way into the store: declarations, whole trials, events."""

from __future__ import annotations

import getpass
import json
import os
import platform
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import duckdb

from harness.errors import StoreError
from harness.records import ExperimentRecord, JsonValue, TrialRecord, to_json, to_plain, utc_now
from harness.store import ingest as rows
from harness.store.columns import check_record, record_hash, take_apart
from harness.store.connection import WAIT_SECONDS, transaction
from harness.store.declaration import fact_changes, spec_changes
from harness.store.experiments import experiment_by_id
from harness.store.migrations import migrate


def whoami() -> str:
    """User, machine and process, as ``ada@laptop:1234``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{user}@{platform.node()}:{os.getpid()}"


class StoreWriter:
    """Writes to one store. The file is open only inside each call.

    path: the DuckDB file; created with its folders if missing, migrated if of an older version.
    now: clock for the times that the store itself notes. wait_seconds: how long a call waits for
    another process that holds the file.

    Every method raises StoreError if the store stays busy, is damaged or is of a newer version.
    """

    def __init__(
        self, path: Path, now: Callable[[], str] = utc_now, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self.path = path
        self._now = now
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, transaction(path, wait_seconds) as connection:
            migrate(connection, now())

    def declare(self, experiment: ExperimentRecord, who: str = "") -> bool:
        """Store the experiment, or note what changed since it was last declared.

        The first declaration, and each that differs, appends an event ``declared`` whose detail
        has ``first`` (bool), ``changes`` (dotted key of the experiment file -> before, after),
        ``facts`` (the same for splits, data, model, general tasks) and ``test_accessed`` (bool:
        test items had been scored before this declaration). Its time of creation stays.

        Returns True if anything but the environment and the time of declaration was written.
        """
        with self._lock, transaction(self.path, self._wait_seconds) as connection:
            now = self._now()
            before = experiment_by_id(connection, experiment.experiment_id)
            changes = spec_changes(before, experiment) if before else {}
            facts = fact_changes(before, experiment) if before else {}
            if before:
                experiment = replace(experiment, created_at=before.created_at)
            _put_experiment(connection, experiment, now)
            if before and not changes and not facts:
                return False
            detail: dict[str, JsonValue] = {
                "first": before is None,
                "changes": changes,
                "facts": facts,
                "test_accessed": _test_accessed(connection, experiment.experiment_id),
            }
            _put_event(connection, experiment.experiment_id, now, "declared", detail, who=who)
            return True

    def ingest(self, record: TrialRecord, *, replace_failed: bool = False) -> bool:
        """Store a trial with its steps, scores and items in one transaction.

        A score whose key the store already holds is not stored again; if its aggregates differ,
        an event ``score_differs`` says so. A score computed by a failed trial gives way to a
        fresh one. A record that replaces a failed one leaves an event ``trial_replaced``.

        replace_failed: a failed record, too, may replace a failed one of the same trial.

        Returns False, and changes nothing, if this very record is stored already.

        Raises:
            StoreError: the experiment is not declared; the trial is stored with other content
                (unless that one failed, and this one did not or may replace it); keys are not
                unique; a pruned record holds scores.
        """
        check_record(record)
        columns = take_apart(record)
        digest = record_hash(columns)
        spec = record.spec
        with self._lock, transaction(self.path, self._wait_seconds) as connection:
            now = self._now()
            _require_experiment(connection, spec.experiment_id)
            stored = connection.execute(
                "SELECT content_hash, status, failure_kind, failure_message, started_at, ended_at "
                "FROM trial WHERE trial_id = ?",
                [spec.trial_id],
            ).fetchone()
            if stored is not None:
                if stored[0] == digest:
                    return False
                again = record.status != "failed" or replace_failed
                if stored[1] != "failed" or not again:
                    raise StoreError(
                        f"trial {spec.trial_id} is stored as {stored[1]} with other content than "
                        f"this {record.status} record; a trial is stored once. Quarantine the "
                        "folder of the one that is wrong, or use another store"
                    )
                rows.delete_trial(connection, spec.trial_id)
                names = ("failure_kind", "failure_message", "started_at", "ended_at")
                detail: dict[str, JsonValue] = {
                    "trial_id": spec.trial_id,
                    "arm": spec.arm,
                    "seed": spec.seed,
                    **dict(zip(names, stored[2:], strict=True)),
                }
                _put_event(connection, spec.experiment_id, now, "trial_replaced", detail)
            rows.insert_trial(connection, columns.head, digest, now)
            keys = [score.key for score in record.scores]
            rows.delete_scores(connection, _scored_by_failed(connection, keys, spec.trial_id))
            held = rows.stored_aggregates(connection, keys)
            for score in record.scores:
                if score.key in held and (odd := rows.differences(score, held[score.key])):
                    note: dict[str, JsonValue] = {
                        "trial_id": spec.trial_id,
                        "task": score.task,
                        "score_key": score.key,
                        "metrics": odd,
                    }
                    _put_event(connection, spec.experiment_id, now, "score_differs", note)
            rows.insert_scores(
                connection,
                spec.trial_id,
                [score for score in columns.head.scores if score.key not in held],
                columns.outputs,
                columns.item_scores,
            )
            return True

    def record_event(
        self, experiment_id: str, kind: str, detail: Mapping[str, JsonValue], who: str = ""
    ) -> None:
        """Append an event. who: user, machine and process if empty.

        A ``test_access`` has the detail ``trial_id``, ``arm``, ``seed``, ``task``, ``phase``,
        ``purpose``.

        Raises:
            StoreError: the experiment is not declared.
        """
        with self._lock, transaction(self.path, self._wait_seconds) as connection:
            _require_experiment(connection, experiment_id)
            _put_event(connection, experiment_id, self._now(), kind, dict(detail), who=who)

    def known_scores(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of ``keys`` that need not be scored again. Scores of failed trials do not count."""
        with self._lock, transaction(self.path, self._wait_seconds) as connection:
            found = connection.execute(
                "SELECT s.score_key FROM score s JOIN trial t ON t.trial_id = s.scored_by "
                "WHERE t.status <> 'failed' AND s.score_key IN (SELECT unnest($keys))",
                {"keys": list(keys)},
            ).fetchall()
        return frozenset(key for (key,) in found)


def _put_experiment(
    connection: duckdb.DuckDBPyConnection, experiment: ExperimentRecord, now: str
) -> None:
    plain = to_plain(experiment)
    documents = ("spec", "data", "model", "environment", "general_tasks")
    connection.execute(
        "INSERT OR REPLACE INTO experiment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            experiment.experiment_id,
            experiment.name,
            experiment.created_at,
            now,
            *(json.dumps(plain[name], ensure_ascii=False) for name in documents),
        ],
    )
    connection.execute(
        "DELETE FROM experiment_split WHERE experiment_id = ? AND split NOT IN (SELECT unnest(?))",
        [experiment.experiment_id, list(experiment.splits)],
    )
    for split, examples in experiment.splits.items():
        connection.execute(
            "INSERT OR REPLACE INTO experiment_split VALUES (?, ?, ?)",
            [experiment.experiment_id, split, examples],
        )


def _put_event(
    connection: duckdb.DuckDBPyConnection,
    experiment_id: str,
    at: str,
    kind: str,
    detail: dict[str, JsonValue],
    *,
    who: str = "",
) -> None:
    connection.execute(
        "INSERT INTO event (experiment_id, recorded_at, kind, who, detail) VALUES (?, ?, ?, ?, ?)",
        [experiment_id, at, kind, who or whoami(), to_json(detail)],
    )


def _require_experiment(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> None:
    found = connection.execute(
        "SELECT 1 FROM experiment WHERE experiment_id = ?", [experiment_id]
    ).fetchone()
    if found is None:
        raise StoreError(
            f"experiment {experiment_id} is not in this store; declare it before its trials"
        )


def _test_accessed(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM event WHERE experiment_id = ? AND kind = 'test_access' LIMIT 1",
        [experiment_id],
    ).fetchone()
    return found is not None


def _scored_by_failed(
    connection: duckdb.DuckDBPyConnection, keys: list[str], trial_id: str
) -> list[str]:
    found = connection.execute(
        "SELECT s.score_key FROM score s JOIN trial t ON t.trial_id = s.scored_by "
        "WHERE t.status = 'failed' AND t.trial_id <> $trial_id "
        "AND s.score_key IN (SELECT unnest($keys))",
        {"keys": keys, "trial_id": trial_id},
    ).fetchall()
    return [key for (key,) in found]
