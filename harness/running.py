"""Trials through an engine and into the store: what has ended is never run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.engine import WORTH_A_RETRY, Ended, Engine, Outcome
from harness.errors import StoreError, TrialError, needing_room
from harness.observer import Observer
from harness.planning import Plan, accesses_to_test
from harness.records import TrialRecord, TrialSpec, TrialSummary, utc_now
from harness.store import (
    StoreReader,
    StoreWriter,
    discard_record,
    has_record,
    holds_link,
    quarantine,
    quarantine_record,
    read_record,
    verify_record,
    write_record,
)
from harness.versions import environment_versions


class Source(Protocol):
    """Where the trials to run come from."""

    def next(self) -> TrialSpec | None:
        """A trial that may start now; None where there is none before another one ends."""
        ...

    def ended(self, trial: TrialSummary) -> None:
        """A trial of this source is in the store."""
        ...


class Listed:
    """Trials that depend on no other's outcome."""

    def __init__(self, trials: Iterable[TrialSpec]) -> None:
        self._trials = iter(trials)

    def next(self) -> TrialSpec | None:
        """The next of the list."""
        return next(self._trials, None)

    def ended(self, trial: TrialSummary) -> None:
        """Nothing follows from it."""


@dataclass(slots=True)
class TrialRunner:
    """Runs trials and remembers them.

    known: every trial of the experiment in the store, by id; with ``retry_failed``, but for
        those that an earlier run left failed.
    ran, reused, failed: numbers of trials of this run.
    """

    plan: Plan
    engine: Engine
    writer: StoreWriter
    reader: StoreReader
    observer: Observer
    retry_failed: bool = False
    known: dict[str, TrialSummary] = field(default_factory=dict)
    ran: int = 0
    reused: int = 0
    failed: int = 0
    _attempts: Counter[str] = field(default_factory=Counter)
    _started: dict[str, str] = field(default_factory=dict)

    def recover(self) -> None:
        """Take in whole records that an earlier run left; set torn and altered ones aside."""
        stored = {t.trial_id: t for t in self.reader.trials(self.plan.experiment_id)}
        trials = self.plan.folder / "trials"
        recovered = 0
        for folder in sorted(trials.iterdir()) if trials.exists() else ():
            if has_record(folder):
                recovered += self._recover(folder, stored.get(folder.name))
        if stored or recovered:
            detail = {"trials": len(stored), "recovered": recovered}
            self.writer.record_event(self.plan.experiment_id, "resumed", detail)
        for trial in self.reader.trials(self.plan.experiment_id):
            if not (self.retry_failed and trial.status == "failed"):
                self.known[trial.trial_id] = trial

    def _recover(self, folder: Path, stored: TrialSummary | None) -> bool:
        """Take in the record of one folder; whether the store did not have it."""
        try:
            if stored is not None and stored.status != "failed":
                verify_record(folder)
                return False
            record = read_record(folder)
        except StoreError as error:
            if stored is None:
                place, after = quarantine(folder, str(error)), "the trial runs again"
            else:
                place = quarantine_record(folder, str(error))
                after = "the store holds what it said"
            self.observer.warning(f"{error}; set aside in {place}, {after}")
            return False
        # Of a trial that is stored as failed it may be a retry's, written just before the end.
        return self.writer.ingest(record, replace_failed=True)

    def work_off(self, source: Source) -> None:
        """Run all trials of ``source``, as many at once as the engine has room for."""
        running = 0
        while True:
            while running < self.engine.slots and (spec := source.next()) is not None:
                if spec.trial_id in self.known:
                    self.reused += 1
                    self.observer.trial_skipped(spec.trial_id, spec.arm)
                    source.ended(self.known[spec.trial_id])
                    continue
                self._start(spec)
                running += 1
            if not running:
                return
            with needing_room(self.plan.folder):
                ended = self.engine.wait(self.observer.progress)
            record = self._left_by(ended)
            if record is None:
                self._submit(ended.spec)
                continue
            running -= 1
            source.ended(self._take_in(record))

    def _start(self, spec: TrialSpec) -> None:
        known = self.writer.known_scores(request.key for request in spec.scores)
        spec = replace(spec, known_scores=tuple(sorted(known)))
        for look in accesses_to_test(spec):
            self.writer.record_event(self.plan.experiment_id, "test_access", look)
        self.observer.trial_started(spec)
        folder = self._folder(spec)
        if holds_link(folder):
            place = quarantine(folder, "it is, or holds, a link to elsewhere")
            self.observer.warning(f"{folder} is, or holds, a link; set aside in {place}")
        # Only a failed one, which the store holds: what lies there later is of this run.
        discard_record(folder)
        self._submit(spec)

    def _folder(self, spec: TrialSpec) -> Path:
        return self.plan.folder / "trials" / spec.trial_id

    def _submit(self, spec: TrialSpec) -> None:
        self._attempts[spec.trial_id] += 1
        self._started.setdefault(spec.trial_id, utc_now())
        self.engine.submit(spec, self._folder(spec))

    def _left_by(self, ended: Ended) -> TrialRecord | None:
        """The record of a trial, a failure's if it left none; None if it is to be run again.

        Raises:
            StoreError: it found no room on the disk; or it ended well and left no record.
        """
        spec, folder, outcome = ended.spec, ended.folder, ended.outcome
        if outcome.kind == "no_room":
            raise StoreError(outcome.message)
        # A process may well be killed between its record and its last word.
        if outcome.finished or has_record(folder):
            try:
                return read_record(folder)
            except StoreError as error:
                if not has_record(folder):
                    raise
                place = quarantine(folder, str(error))
                self.observer.warning(f"{error}; set aside in {place}")
                outcome = Outcome(False, "lost", str(error))
        if self._may_run_again(spec, outcome):
            return None
        failure = TrialError(outcome.kind or "error", outcome.message)
        record = _failed(spec, self._started[spec.trial_id], failure)
        with needing_room(folder):
            write_record(folder, record)
        return record

    def _may_run_again(self, spec: TrialSpec, outcome: Outcome) -> bool:
        """Whether its process, not its own doing, may have failed a trial that has tries left."""
        allowed = 1 + self.plan.experiment.execution.retries
        if outcome.kind not in WORTH_A_RETRY or self._attempts[spec.trial_id] >= allowed:
            return False
        detail = {"trial_id": spec.trial_id, "arm": spec.arm, "kind": outcome.kind}
        self.writer.record_event(self.plan.experiment_id, "trial_retried", detail)
        self.observer.warning(f"{spec.arm} {spec.phase} {spec.number}: {outcome.message}; again")
        return True

    def _take_in(self, record: TrialRecord) -> TrialSummary:
        self.writer.ingest(record, replace_failed=self.retry_failed)
        self.ran += 1
        self.failed += record.status == "failed"
        self.observer.trial_ended(record)
        trial_id = record.spec.trial_id
        (trial,) = self.reader.trials(self.plan.experiment_id, trial_id)
        self.known[trial_id] = trial
        return trial


def _failed(spec: TrialSpec, started: str, failure: TrialError) -> TrialRecord:
    return TrialRecord(
        spec=spec,
        status="failed",
        started_at=started,
        ended_at=utc_now(),
        failure_kind=failure.kind,
        failure_message=str(failure),
        environment=environment_versions(),
    )
