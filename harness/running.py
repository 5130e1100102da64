"""Trials through an engine and into the store: what has ended is never run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.engine import WORTH_A_RETRY, Ended, Engine
from harness.errors import StoreError, TrialError
from harness.observer import Observer
from harness.planning import Plan, accesses_to_test
from harness.records import TrialRecord, TrialSpec, TrialSummary, utc_now
from harness.store import StoreReader, StoreWriter, quarantine, read_record, write_record
from harness.trial import environment_versions


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

    known: every trial of the experiment in the store, by id.
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
        self._remember()
        trials = self.plan.folder / "trials"
        folders = sorted(trials.iterdir()) if trials.exists() else []
        recovered = 0
        for folder in folders:
            if not (folder / "record").exists():
                continue
            known = folder.name in self.known
            try:
                record = read_record(folder)
            except StoreError as error:
                place = quarantine(folder, str(error))
                after = "the store holds it whole" if known else "the trial runs again"
                self.observer.warning(f"{error}; set aside in {place}, {after}")
                continue
            if not known:
                self.writer.ingest(record)
                recovered += 1
        if self.known or recovered:
            detail = {"trials": len(self.known), "recovered": recovered}
            self.writer.record_event(self.plan.experiment_id, "resumed", detail)
        self._remember()
        if self.retry_failed:
            self.known = {
                name: trial for name, trial in self.known.items() if trial.status != "failed"
            }

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
            ended = self._wait()
            running -= 1
            if self._again(ended):
                running += 1
                continue
            source.ended(self._take_in(ended))

    def _start(self, spec: TrialSpec) -> None:
        known = self.writer.known_scores(request.key for request in spec.scores)
        spec = replace(spec, known_scores=tuple(sorted(known)))
        for look in accesses_to_test(spec):
            self.writer.record_event(self.plan.experiment_id, "test_access", look)
        self.observer.trial_started(spec)
        self._submit(spec)

    def _submit(self, spec: TrialSpec) -> None:
        self._attempts[spec.trial_id] += 1
        self._started.setdefault(spec.trial_id, utc_now())
        folder = self.plan.folder / "trials" / spec.trial_id
        try:
            self.engine.submit(spec, folder)
        except OSError as error:
            raise _no_room(folder, error) from error

    def _wait(self) -> Ended:
        try:
            return self.engine.wait(self.observer.progress)
        except OSError as error:
            raise _no_room(self.plan.folder, error) from error

    def _again(self, ended: Ended) -> bool:
        """Start a trial again that its process, not its own doing, may have failed."""
        spec, outcome = ended.spec, ended.outcome
        allowed = 1 + self.plan.experiment.execution.retries
        if outcome.finished or outcome.kind not in WORTH_A_RETRY:
            return False
        if self._attempts[spec.trial_id] >= allowed:
            return False
        detail = {"trial_id": spec.trial_id, "arm": spec.arm, "kind": outcome.kind}
        self.writer.record_event(self.plan.experiment_id, "trial_retried", detail)
        self.observer.warning(f"{spec.arm} {spec.phase} {spec.number}: {outcome.message}; again")
        self._submit(spec)
        return True

    def _take_in(self, ended: Ended) -> TrialSummary:
        spec, outcome = ended.spec, ended.outcome
        if outcome.finished:
            record = read_record(ended.folder)
        else:
            failure = TrialError(outcome.kind or "error", outcome.message)
            record = _failed(spec, self._started[spec.trial_id], failure)
            try:
                write_record(ended.folder, record)
            except OSError as error:
                raise _no_room(ended.folder, error) from error
        self.writer.ingest(record, replace_failed=self.retry_failed)
        self._remember()
        self.ran += 1
        self.failed += record.status == "failed"
        self.observer.trial_ended(record)
        return self.known[spec.trial_id]

    def _remember(self) -> None:
        fresh = {t.trial_id: t for t in self.reader.trials(self.plan.experiment_id)}
        self.known.update(fresh)


def _no_room(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"a trial could not be written to {folder}: {error}; make room and run again: the study "
        "goes on where it stopped"
    )


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
