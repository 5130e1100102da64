"""Trials through an engine and into the store: what has ended is never run again."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from harness.engine import WORTH_A_RETRY, Ended, Engine, Outcome
from harness.errors import StoreError, TrialError, needing_room
from harness.records import Place, TrialRecord, TrialSpec, TrialSummary, utc_now
from harness.store import (
    StoreReader,
    StoreWriter,
    discard_record,
    has_record,
    holds_link,
    quarantine,
    read_record,
    write_record,
)
from harness.store.naming import NamedTrial
from harness.study.known_parts import accesses_to_test, general_beyond, known_parts, weights_at_hand
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.recovery import failure_record, recovered
from harness.study.sources import Source

# How often a run looks whether a trial that another run is at has ended.
BUSY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Named:
    """A trial that the study names, which no other run is at."""

    spec: TrialSpec
    """What is asked of it."""
    known: NamedTrial
    """What the store knows of it."""
    trial: TrialSummary | None
    """The trial, where all that is asked of it is known."""


@dataclass(slots=True)
class TrialRunner:
    """Runs trials and remembers them."""

    plan: Plan
    """What is run."""
    engine: Engine
    """Where trials run."""
    writer: StoreWriter
    """Takes in their records."""
    reader: StoreReader
    """Tells what the store holds."""
    observer: Observer
    """Is told what happens."""
    retry_failed: bool = False
    """Trials that failed in an earlier run are run again."""
    known: dict[Place, TrialSummary] = field(default_factory=dict)
    """The study's trials that have ended; with ``retry_failed`` without those that an earlier run
    left failed."""
    ran: int = 0
    """Number of trials that this run ran."""
    reused: int = 0
    """Number of trials that it took as they are."""
    failed: int = 0
    """Number of trials that it ran and that failed."""
    _attempts: Counter[str] = field(default_factory=Counter)
    """Trial id -> how often it was started in this run."""
    _started: dict[str, str] = field(default_factory=dict)
    """Trial id -> when it was first started in this run, ISO 8601."""
    _locks: dict[str, FileLock] = field(default_factory=dict)
    """Trial id -> the lock of a trial that this run is running."""
    _waited_for: set[str] = field(default_factory=set)
    """Ids of trials that another run was at, of which the user has been told."""
    _told: set[str] = field(default_factory=set)
    """Arms of whose search trials the user was told that something stays unknown."""
    _scored: set[str] = field(default_factory=set)
    """Keys of the scores that the study has asked for and that are in the store."""

    def recover(self) -> None:
        """Take in whole records that an earlier run left; set torn and altered ones aside."""
        identity = self.plan.experiment_id
        # Nothing but what is taken in here changes what was read before.
        with self.writer.held_open():
            trials = self.reader.trials(identity)
            recovered = sum(self._recover_named(name) for name in self.reader.named_ids(identity))
            if trials or recovered:
                stored = {trial.trial_id for trial in trials}
                detail = {"trials": len(stored), "recovered": recovered}
                self.writer.record_event(identity, "resumed", detail)
            if recovered:
                trials = self.reader.trials(identity)
            self._scored |= self.reader.scored_keys(identity)
        for trial in trials:
            if not (self.retry_failed and trial.status == "failed"):
                self.known[trial.place] = trial

    def _recover_named(self, trial_id: str) -> bool:
        folder = self.plan.trials / trial_id
        if not has_record(folder):
            return False
        try:
            # Another study's run may be about to take it in.
            with self._lock_of(trial_id).acquire(timeout=0):
                return recovered(folder, self.reader.status(trial_id), self.writer, self.observer)
        except Timeout:
            return False

    def searched(self) -> list[TrialSummary]:
        """The known trials of the searches that are declared: there may once have been others.

        Of an arm that takes its instruction from another, under whichever was selected once.
        """
        experiment = self.plan.experiment
        trials = [trial for trial in self.known.values() if trial.phase == "search"]
        return [
            trial
            for trial in trials
            if trial.search_repeat < experiment.repeats_of(trial.arm)
            and trial.seed == experiment.search_seed(trial.arm, trial.search_repeat)
        ]

    def work_off(self, source: Source) -> None:
        """Run all trials of ``source``, as many at once as the engine has room for."""
        running = 0
        left: TrialRecord | None = None
        held: TrialSpec | None = None
        while True:
            # One opening of the store for what a trial left and for those that come next.
            with ExitStack() as opened:
                if left is not None:
                    opened.enter_context(self.writer.held_open())
                    source.ended(self._take_in(left))
                    left = None
                coming, held = self._coming(source, held, self.engine.slots - running, opened)
            for named in coming:
                self._start(named)
            running += len(coming)
            if running:
                with needing_room(self.plan.folder):
                    ended = self.engine.wait(self.observer.progress)
                left = self._left_by(ended)
                if left is None:
                    self._submit(ended.spec)
                else:
                    running -= 1
            elif held is not None:
                # Nothing of this run's own is under way, so that no other waits for it meanwhile.
                self.engine.rest()
                time.sleep(BUSY_SECONDS)
            else:
                return

    def _coming(
        self, source: Source, held: TrialSpec | None, room: int, opened: ExitStack
    ) -> tuple[list[_Named], TrialSpec | None]:
        """As many trials to start as there is room for, and one that another run is at.

        Args:
            held: a trial of the source that another run was at before.
            opened: holds the store open from the first trial that it is asked for.
        """
        coming: list[_Named] = []
        while len(coming) < room and (spec := held or source.next()) is not None:
            held = None
            found: TrialSummary | _Named | None = self._ended_before(spec)
            if found is None:
                opened.enter_context(self.writer.held_open())
                found = self._name(spec)
            if found is None:
                return coming, spec
            if isinstance(found, _Named):
                coming.append(found)
            else:
                source.ended(found)
        return coming, held

    def _ended_before(self, spec: TrialSpec) -> TrialSummary | None:
        """The trial, where all that is asked of it is in the store; None if it is to be run."""
        trial = self.known.get(spec.place)
        if trial is None or not self._answered(spec, trial):
            return None
        self.reused += 1
        self.observer.trial_skipped(spec.arm, spec.phase)
        return trial

    def _answered(self, spec: TrialSpec, trial: TrialSummary) -> bool:
        return trial.status != "complete" or _keys(spec, trial) <= self._scored

    def _name(self, spec: TrialSpec) -> TrialSummary | _Named | None:
        """Name the trial for the study, and take it as it is where it was run for another one.

        Returns:
            The trial where it is known, or how it is to be started; None where another run is at
            it, so that it is to be tried again.
        """
        self.plan.trials.mkdir(parents=True, exist_ok=True)
        lock = self._lock_of(spec.trial_id)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._say_waiting(spec)
            return None
        self._locks[spec.trial_id] = lock
        named = self._named(spec)
        if named.trial is None:
            return named
        self._release(spec.trial_id)
        return self._as_it_is(named.spec, named.trial)

    def _start(self, named: _Named) -> None:
        folder = self._folder(named.spec)
        if holds_link(folder):
            place = quarantine(folder, "it is, or holds, a link to elsewhere")
            self.observer.warning(f"{folder} is, or holds, a link; set aside in {place}")
        spec = known_parts(named.spec, named.known, self.reader, self.plan.trials)
        self.observer.trial_started(spec)
        # The store holds what it says: what lies there later is of this run.
        discard_record(folder)
        self._submit(spec)

    def _named(self, spec: TrialSpec) -> _Named:
        folder, looks = self._folder(spec), accesses_to_test(spec)
        named = self.writer.name_trial(spec, looks)
        if named.status in (None, "failed") and has_record(folder):
            # Its run ended between the record and the store.
            recovered(folder, named.status, self.writer, self.observer)
            named = self.writer.name_trial(spec, looks)
        beyond = general_beyond(spec, named.known) if named.status == "complete" else set()
        if beyond and not self._weights_at_hand(spec):
            self._say_unmeasured(spec.arm)
            asked = tuple(request for request in spec.scores if request.key not in beyond)
            spec = replace(spec, scores=asked)
            named = self.writer.name_trial(spec, looks)
        trial = self._summary(spec) if named.status in ("complete", "pruned") else None
        if trial is not None and self._lacks_weights(spec, trial):
            trial = None
        return _Named(spec, named, trial)

    def _lacks_weights(self, spec: TrialSpec, trial: TrialSummary) -> bool:
        """Whether weights that the study would keep were kept once, and are gone since."""
        return spec.keep_artifact and bool(trial.artifacts) and not self._weights_at_hand(spec)

    def _weights_at_hand(self, spec: TrialSpec) -> str:
        return weights_at_hand(spec, self.reader, self.plan.trials, whole=False)

    def _as_it_is(self, spec: TrialSpec, trial: TrialSummary) -> TrialSummary:
        """The trial, noted as one that is not run."""
        self.known[spec.place] = trial
        self._scored.update(request.key for request in spec.scores)
        self.reused += 1
        self.observer.trial_skipped(spec.arm, spec.phase)
        return trial

    def _summary(self, spec: TrialSpec) -> TrialSummary | None:
        """The trial as the study has it; None where it has not ended for it."""
        trials = self.reader.trials(spec.experiment_id, spec.trial_id)
        return next((trial for trial in trials if trial.place == spec.place), None)

    def _say_waiting(self, spec: TrialSpec) -> None:
        if spec.trial_id not in self._waited_for:
            self._waited_for.add(spec.trial_id)
            self.observer.warning(
                f"{spec.arm} {spec.phase} {spec.number} is being run for another study, "
                "whose result is waited for"
            )

    def _say_unmeasured(self, arm: str) -> None:
        if arm not in self._told:
            self._told.add(arm)
            self.observer.warning(
                f"what search trials of {arm} forget of this general suite is not known: their "
                "weights are not kept, and they are not trained again for it"
            )

    def _lock_of(self, trial_id: str) -> FileLock:
        return FileLock(self.plan.trials / f"{trial_id}.lock")

    def _release(self, trial_id: str) -> None:
        self._locks.pop(trial_id).release()

    def close(self) -> None:
        """Leave what was under way to other runs."""
        for trial_id in list(self._locks):
            self._release(trial_id)

    def _folder(self, spec: TrialSpec) -> Path:
        return self.plan.trials / spec.trial_id

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
        record = failure_record(spec, self._started[spec.trial_id], failure)
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
        spec = record.spec
        trial = self.writer.take_in(record, replace_failed=self.retry_failed or not spec.adds)
        self._release(spec.trial_id)
        self.ran += 1
        self.failed += record.status == "failed"
        self.observer.trial_ended(record)
        if trial is None:
            raise StoreError(f"trial {spec.trial_id} ended without all that was asked of it")
        self.known[spec.place] = trial
        if trial.status == "complete":
            self._scored |= _keys(spec, trial)
        return trial


def _keys(spec: TrialSpec, trial: TrialSummary) -> set[str]:
    """Of the scores that are asked of a trial, in the way of answering that it found best."""
    return {request.key for request in spec.settled(str(trial.params["answering"])).scores}
