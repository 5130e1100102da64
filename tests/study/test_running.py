"""Trials through an engine and into the store, where something goes wrong on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from harness.engine import Ended, Outcome
from harness.engine.in_process import InProcessEngine
from harness.engine.outcome import OutcomeKind
from harness.errors import StoreError
from harness.records import Event, Progress, Runtime, TrialSpec, TrialSummary
from harness.store import StoreReader, StoreWriter, has_record, write_record
from harness.study import run as pipeline
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.record import experiment_record
from harness.study.running import TrialRunner
from harness.study.sources import Listed
from tests.fake_trial import ARMS, execute, experiment, pretend

Fate = Callable[[TrialSpec, Path], Outcome]
FINISHED = Outcome(finished=True)
KILLED = Outcome(False, "killed", "ended by SIGKILL")


def fine(spec: TrialSpec, folder: Path) -> Outcome:
    """The trial runs to its end."""
    execute(spec, folder, lambda progress: None)
    return FINISHED


def killed_at_once(spec: TrialSpec, folder: Path) -> Outcome:
    return KILLED


def killed_after_its_record(spec: TrialSpec, folder: Path) -> Outcome:
    fine(spec, folder)
    return KILLED


def torn(spec: TrialSpec, folder: Path) -> Outcome:
    """All is well, but the disk."""
    fine(spec, folder)
    os.truncate(folder / "record" / "item_scores.parquet", 30)
    return FINISHED


def failing(spec: TrialSpec, folder: Path) -> Outcome:
    write_record(folder, pretend(spec, failed=True))
    return FINISHED


class Scripted(InProcessEngine):
    """Ends the trials that are submitted, one by one, as the script says; then all go fine."""

    def __init__(self, *script: Fate) -> None:
        super().__init__(execute)
        self.script = list(script)
        self.submitted: list[str] = []

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        self.submitted.append(spec.trial_id)
        super().submit(spec, folder)

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        spec, folder = self._waiting.popleft()
        fate = self.script.pop(0) if self.script else fine
        return Ended(spec, folder, fate(spec, folder))


class Listening(Observer):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


class Counting(StoreReader):
    """Keeps which trials were asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[str | None] = []

    def trials(self, experiment_id: str, trial_id: str | None = None) -> tuple[TrialSummary, ...]:
        self.asked.append(trial_id)
        return super().trials(experiment_id, trial_id)


class Case:
    """A plan and its store; each run has an engine and a runner of its own."""

    def __init__(self, folder: Path) -> None:
        # Torch is only asked which device there is.
        with patch.object(pipeline, "choose_runtime", lambda *_: Runtime("cpu", "float32", 4)):
            self.plan: Plan = pipeline.plan_study(
                experiment(folder, execution={"retries": 2}), folder / "results"
            )
        self.store = folder / "results" / "harness.duckdb"
        self.writer = StoreWriter(self.store)
        self.writer.declare(experiment_record(self.plan))
        self.observer = Listening()
        self.trials = [
            self.plan.search_trial(name, 0, self.plan.default_setting(name)) for name in ARMS
        ]

    def run(self, *script: Fate, retry_failed: bool = False) -> tuple[TrialRunner, Scripted]:
        """Recover, then run all trials."""
        engine, self.observer, self.reader = Scripted(*script), Listening(), Counting(self.store)
        runner = TrialRunner(
            self.plan, engine, self.writer, self.reader, self.observer, retry_failed=retry_failed
        )
        runner.recover()
        self.reader.asked.clear()
        runner.work_off(Listed(self.trials))
        return runner, engine

    def folder(self, number: int) -> Path:
        return self.plan.trials / self.trials[number].trial_id

    @property
    def ids(self) -> list[str]:
        return [spec.trial_id for spec in self.trials]

    def stored(self) -> dict[str, TrialSummary]:
        trials = StoreReader(self.store).trials(self.plan.experiment_id)
        return {trial.trial_id: trial for trial in trials}

    def events(self, kind: str) -> list[Event]:
        found = StoreReader(self.store).events(self.plan.experiment_id)
        return [event for event in found if event.kind == kind]

    def aside(self) -> dict[str, str]:
        """Quarantined folder -> why."""
        place = self.plan.trials / "quarantine"
        return {
            path.name: (path / "quarantine-reason.txt").read_text("utf-8")
            for path in (place.iterdir() if place.exists() else ())
        }


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_what_a_trial_scored_is_read_while_the_store_is_open_for_it(case: Case) -> None:
    runner, engine = case.run()
    assert engine.submitted == case.ids
    assert case.reader.asked == []
    assert {trial.trial_id: trial for trial in runner.known.values()} == case.stored()
    assert (runner.ran, runner.reused, runner.failed) == (3, 0, 0)
    again, engine = case.run()
    assert (again.ran, again.reused, engine.submitted) == (0, 3, [])


def test_a_killed_trial_is_started_again(case: Case) -> None:
    runner, engine = case.run(killed_at_once, killed_at_once)
    first, second, third = case.ids
    assert engine.submitted == [first, first, first, second, third]
    assert {trial.status for trial in case.stored().values()} == {"complete"}
    assert [event.detail["kind"] for event in case.events("trial_retried")] == ["killed"] * 2
    assert runner.ran == 3


@pytest.mark.parametrize(
    ("kind", "attempts"), [("killed", 3), ("hung", 3), ("lost", 3), ("deadline", 1), ("error", 1)]
)
def test_tries_run_out(case: Case, kind: OutcomeKind, attempts: int) -> None:
    end = replace(KILLED, kind=kind)
    runner, engine = case.run(*[lambda spec, folder: end] * attempts)
    assert engine.submitted[:attempts] == [case.ids[0]] * attempts
    assert len(engine.submitted) == attempts + 2
    failed = case.stored()[case.ids[0]]
    assert (failed.status, failed.failure_kind) == ("failed", kind)
    assert failed.failure_message == "ended by SIGKILL"
    assert (runner.ran, runner.failed) == (3, 1)


def test_a_trial_killed_after_its_record_is_not_repeated(case: Case) -> None:
    _, engine = case.run(killed_after_its_record)
    assert engine.submitted == case.ids
    assert case.stored()[case.ids[0]].status == "complete"
    assert case.events("trial_retried") == []


def test_a_record_that_is_torn_when_its_trial_ends_is_set_aside(case: Case) -> None:
    _, engine = case.run(torn)
    assert engine.submitted == [case.ids[0], *case.ids]
    assert case.stored()[case.ids[0]].status == "complete"
    assert list(case.aside()) == [case.ids[0]]
    assert "item_scores.parquet was altered or torn" in case.aside()[case.ids[0]]
    assert "set aside in" in case.observer.warnings[0]


def test_no_room_ends_the_run_and_is_no_failure_of_the_trial(case: Case) -> None:
    full = Outcome(False, "no_room", "the folder could not be written; make room and run again")
    with pytest.raises(StoreError, match="make room and run again"):
        case.run(fine, lambda spec, folder: full)
    assert list(case.stored()) == case.ids[:1]
    _, engine = case.run()
    assert engine.submitted == case.ids[1:]


def test_a_torn_record_of_a_stored_trial_is_set_aside_alone(case: Case) -> None:
    case.run()
    folder = case.folder(1)
    (folder / "weights").write_text("trained")
    os.truncate(folder / "record" / "trial.json", 40)
    (case.folder(2) / "record" / "SHA256SUMS").unlink()
    with patch("harness.study.running.read_record", None):
        runner, engine = case.run()
    assert engine.submitted == []
    assert runner.reused == 3
    assert (folder / "weights").read_text() == "trained"
    assert not has_record(folder)
    reasons = case.aside()
    assert reasons.keys() == set(case.ids[1:])
    assert "trial.json was altered or torn" in reasons[case.ids[1]]
    assert "not whole" in reasons[case.ids[2]]
    assert all("the store holds what it said" in text for text in case.observer.warnings)
    case.run()
    assert case.observer.warnings == []


def test_failures_of_earlier_runs_are_retried_once_each(case: Case) -> None:
    case.run(failing, failing)
    assert [one.status for one in case.stored().values()].count("failed") == 2
    runner, engine = case.run(retry_failed=False)
    assert engine.submitted == []
    runner, engine = case.run(failing, retry_failed=True)
    assert engine.submitted == case.ids[:2]
    assert (runner.ran, runner.reused, runner.failed) == (2, 1, 1)
    statuses = {name: trial.status for name, trial in case.stored().items()}
    assert [statuses[name] for name in case.ids] == ["failed", "complete", "complete"]
    assert {event.detail["trial_id"] for event in case.events("trial_replaced")} == {case.ids[1]}
    # What a later source asks for is known then, the new failure included.
    assert {trial.trial_id for trial in runner.known.values()} == set(case.ids)


def test_a_retry_that_was_killed_leaves_no_old_record_to_be_mistaken(case: Case) -> None:
    case.run(failing)
    _, engine = case.run(killed_at_once, retry_failed=True)
    assert engine.submitted == [case.ids[0]] * 2
    assert case.stored()[case.ids[0]].status == "complete"


def test_a_retry_whose_run_was_killed_before_the_store_had_it_is_taken_in(case: Case) -> None:
    case.run(failing)
    fine(case.trials[0], case.folder(0))
    _, engine = case.run()
    assert engine.submitted == []
    assert case.stored()[case.ids[0]].status == "complete"
    (resumed, *_) = case.events("resumed")
    assert resumed.detail == {"trials": 3, "recovered": 1}
