"""The only way into the store: declarations, whole trials, events."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import duckdb

from harness.errors import StoreError
from harness.records import (
    ExperimentRecord,
    JsonValue,
    RemovedStudy,
    TrialRecord,
    TrialSpec,
    TrialSummary,
    to_json,
    utc_now,
)
from harness.store import ingest as rows
from harness.store import naming
from harness.store.columns import Columns, check_record, record_hash, take_apart
from harness.store.connection import WAIT_SECONDS, held_open, named_rows, transaction
from harness.store.declaration import (
    fact_changes,
    put_experiment,
    search_seen,
    spec_changes,
    test_accessed,
)
from harness.store.experiments import experiment_by_id
from harness.store.naming import NamedTrial
from harness.store.removal import delete_study, removal_detail
from harness.store.schema import ensure_schema
from harness.store.summaries import summaries_of

_STORED = """
SELECT content_hash, status, failure_kind, failure_message, started_at, ended_at
FROM trial WHERE trial_id = ?
"""


def whoami() -> str:
    """User, machine and process, as ``ada@laptop:1234``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{user}@{platform.node()}:{os.getpid()}"


class StoreWriter:
    """Writes to one store. The file is open only inside each call, or within :meth:`held_open`.

    Every method raises StoreError if the store stays busy, is damaged or is of another version.

    Args:
        path: the DuckDB file; created with its folders if missing.
        now: clock for the times that the store itself notes.
        wait_seconds: seconds that a call waits for another process that holds the file.
    """

    def __init__(
        self, path: Path, now: Callable[[], str] = utc_now, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self.path = path
        self._now = now
        self._wait_seconds = wait_seconds
        path.parent.mkdir(parents=True, exist_ok=True)
        with transaction(path, wait_seconds) as connection:
            ensure_schema(connection, now())

    def held_open(self) -> AbstractContextManager[None]:
        """Open the file once for all calls of this thread, and of readers of the same file.

        Another process waits until it is left.
        """
        return held_open(self.path, self._wait_seconds)

    def declare(
        self, experiment: ExperimentRecord, who: str = "", test_rows: Sequence[str] = ()
    ) -> bool:
        """Store the experiment, or note what changed since it was last declared.

        The first declaration, and each that differs, appends an event ``declared`` whose detail
        has ``first`` (bool), ``changes`` (dotted key of the experiment file -> before, after),
        ``facts`` (the same for splits, data, model, general tasks), ``search_seen`` (bool: a
        search trial had ended before this declaration) and ``test_accessed`` (bool: test items had
        been scored before it). Its time of creation stays.

        Args:
            who: who declares it; user, machine and process if empty.
            test_rows: hashes of the rows of its test set, noted at the first declaration.

        Returns:
            True if anything but the environment and the time of declaration was written.
        """
        with transaction(self.path, self._wait_seconds) as connection:
            now = self._now()
            before = experiment_by_id(connection, experiment.experiment_id)
            changes = spec_changes(before, experiment) if before else {}
            facts = fact_changes(before, experiment) if before else {}
            if before:
                experiment = replace(experiment, created_at=before.created_at)
            put_experiment(connection, experiment, now)
            if before is None:
                rows.insert_test_rows(connection, experiment.experiment_id, test_rows)
            if before and not changes and not facts:
                return False
            detail: dict[str, JsonValue] = {
                "first": before is None,
                "changes": changes,
                "facts": facts,
                "search_seen": search_seen(connection, experiment.experiment_id),
                "test_accessed": test_accessed(connection, experiment.experiment_id),
            }
            _put_event(connection, experiment.experiment_id, now, "declared", detail, who=who)
            return True

    def name_trial(
        self, spec: TrialSpec, looks: Mapping[str, Mapping[str, JsonValue]]
    ) -> NamedTrial:
        """Note that the study asks for the trial and for these scores of it, before it runs.

        Args:
            looks: key of a score that reads test items -> detail of the event ``test_access``,
                which the study records once for each trial.

        Raises:
            StoreError: the experiment is not declared.
        """
        with transaction(self.path, self._wait_seconds) as connection:
            _require_experiment(connection, spec.experiment_id)
            naming.put_entry(connection, spec)
            for detail in naming.not_seen_yet(connection, spec.experiment_id, looks):
                _put_event(connection, spec.experiment_id, self._now(), "test_access", detail)
            return naming.known_of(connection, spec)

    def ingest(self, record: TrialRecord, *, replace_failed: bool = False) -> bool:
        """Store a trial with its steps, scores and items in one transaction.

        A score whose key the store already holds is not stored again; if its aggregates differ,
        an event ``score_differs`` says so. A score computed by a failed trial gives way to a
        fresh one. A record that replaces a failed one leaves an event ``trial_replaced`` with
        every study that names the trial. Of an addition to a trial that had ended, scores and
        replies are stored; one that failed leaves an event ``addition_failed``.

        Args:
            replace_failed: whether a failed record, too, may replace a failed one of the same
                trial.

        Returns:
            False, with nothing changed, if this very record is stored already.

        Raises:
            StoreError: the trial is stored with other content (unless that one failed, and this
                one did not or may replace it); an addition to a trial that is not stored as
                complete; keys are not unique; a pruned record holds scores.
        """
        check_record(record)
        with transaction(self.path, self._wait_seconds) as connection:
            return self._ingest(connection, record, replace_failed)

    def take_in(self, record: TrialRecord, *, replace_failed: bool = False) -> TrialSummary | None:
        """Store a trial that a study named, and give it as that study then has it.

        Args:
            replace_failed: as for :meth:`ingest`.

        Returns:
            None where it has not ended for the study.

        Raises:
            StoreError: as :meth:`ingest`.
        """
        check_record(record)
        spec = record.spec
        with transaction(self.path, self._wait_seconds) as connection:
            self._ingest(connection, record, replace_failed)
            trials = summaries_of(connection, spec.experiment_id, spec.trial_id)
            return next((trial for trial in trials if trial.place == spec.place), None)

    def _ingest(
        self, connection: duckdb.DuckDBPyConnection, record: TrialRecord, replace_failed: bool
    ) -> bool:
        """Store a record; False if this very one was stored already."""
        columns = take_apart(record)
        digest = record_hash(columns)
        spec, now = record.spec, self._now()
        stored = next(named_rows(connection, _STORED, [spec.trial_id]), None)
        if spec.adds:
            return self._ingest_addition(connection, columns, digest, stored, now)
        if stored is not None:
            if stored.pop("content_hash") == digest:
                return False
            again = record.status != "failed" or replace_failed
            status = stored.pop("status")
            if status != "failed" or not again:
                raise StoreError(
                    f"trial {spec.trial_id} is stored as {status} with other content than "
                    f"this {record.status} record; a trial is stored once. Quarantine the "
                    "folder of the one that is wrong, or use another store"
                )
            rows.delete_trial(connection, spec.trial_id)
            naming.ensure_entry(connection, spec, anew=True)
            # Of what other studies ask of it, it may not score all.
            failure = (str(stored["failure_kind"]), str(stored["failure_message"]))
            naming.note_failure_elsewhere(connection, spec, failure)
            detail: dict[str, JsonValue] = {"trial_id": spec.trial_id, "seed": spec.seed}
            for study, arm in naming.studies_of(connection, spec.trial_id):
                _put_event(
                    connection, study, now, "trial_replaced", {**detail, "arm": arm, **stored}
                )
        rows.insert_trial(connection, columns.head, digest, now)
        naming.ensure_entry(connection, spec)
        _put_scores(connection, columns, now)
        return True

    def _ingest_addition(
        self,
        connection: duckdb.DuckDBPyConnection,
        columns: Columns,
        digest: str,
        stored: dict[str, object] | None,
        now: str,
    ) -> bool:
        spec = columns.head.spec
        if stored is None or stored["status"] != "complete":
            raise StoreError(
                f"more was scored of trial {spec.trial_id}, which the store does not hold as "
                "complete; quarantine its folder and run again"
            )
        seen = connection.execute(
            "SELECT 1 FROM trial_addition WHERE content_hash = ?", [digest]
        ).fetchone()
        if seen is not None:
            return False
        failure = (columns.head.failure_kind, columns.head.failure_message)
        naming.note_failure(connection, spec, failure if failure[0] else None)
        if columns.head.status == "failed":
            why: dict[str, JsonValue] = {
                "trial_id": spec.trial_id,
                "arm": spec.arm,
                "failure_kind": columns.head.failure_kind,
                "failure_message": columns.head.failure_message,
            }
            for study, _ in naming.studies_of(connection, spec.trial_id):
                _put_event(connection, study, now, "addition_failed", why)
        rows.insert_addition(connection, columns.head, digest, now)
        _put_scores(connection, columns, now)
        return True

    def record_event(
        self, experiment_id: str, kind: str, detail: Mapping[str, JsonValue], who: str = ""
    ) -> None:
        """Append an event.

        A ``test_access`` has the detail ``trial_id``, ``arm``, ``seed``, ``task``, ``phase``,
        ``purpose``.

        Args:
            who: who caused it; user, machine and process if empty.

        Raises:
            StoreError: the experiment is not declared.
        """
        with transaction(self.path, self._wait_seconds) as connection:
            _require_experiment(connection, experiment_id)
            _put_event(connection, experiment_id, self._now(), kind, dict(detail), who=who)

    def remove_study(self, experiment_id: str, who: str = "") -> RemovedStudy:
        """Delete a study in one transaction, and note what stays on record of it.

        An event ``removed`` has the detail ``name``, ``trials``, ``test_fingerprint``, ``tested``.
        Events ``test_access`` stay: a test set that was read stays read.

        Raises:
            InputError: there is no such study.
        """
        with transaction(self.path, self._wait_seconds) as connection:
            removed = delete_study(connection, experiment_id)
            detail = removal_detail(removed)
            _put_event(connection, experiment_id, self._now(), "removed", detail, who=who)
            return removed


def _put_scores(connection: duckdb.DuckDBPyConnection, columns: Columns, now: str) -> None:
    """Store what is not stored yet of the record's scores, their items and replies."""
    spec, scores = columns.head.spec, columns.head.scores
    keys = rows.held_scores(connection, [score.key for score in scores])
    held: dict[str, dict[str, float]] = {}
    if keys:
        rows.delete_scores(connection, _scored_by_failed(connection, keys, spec.trial_id))
        held = rows.stored_aggregates(connection, keys)
    for score in scores:
        if score.key in held and (odd := rows.differences(score, held[score.key])):
            note: dict[str, JsonValue] = {
                "trial_id": spec.trial_id,
                "task": score.task,
                "score_key": score.key,
                "metrics": odd,
            }
            for study, _ in naming.studies_of(connection, spec.trial_id):
                _put_event(connection, study, now, "score_differs", note)
    fresh = [score for score in scores if score.key not in held]
    rows.insert_scores(connection, spec.trial_id, fresh, columns)


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
    row = connection.execute(
        "SELECT 1 FROM experiment WHERE experiment_id = ?", [experiment_id]
    ).fetchone()
    if row is None:
        raise StoreError(
            f"experiment {experiment_id} is not in this store; declare it before its trials"
        )


def _scored_by_failed(
    connection: duckdb.DuckDBPyConnection, keys: list[str], trial_id: str
) -> list[str]:
    key_rows = connection.execute(
        "SELECT s.score_key FROM score s JOIN trial t ON t.trial_id = s.scored_by "
        "WHERE t.status = 'failed' AND t.trial_id <> $trial_id "
        "AND s.score_key IN (SELECT unnest($keys))",
        {"keys": keys, "trial_id": trial_id},
    ).fetchall()
    return [key for (key,) in key_rows]
