"""How far a study is, as its runs leave it in the store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.records import Event, StoredStudy, TrialSpec
from harness.store import StoreReader, connection
from harness.store.study_lock import is_worked_on
from harness.study.run import StudyRun, run_study
from tests.fake_trial import Watching, experiment

ARMS: dict[str, Any] = {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}}


DEFAULTS = {"trials": 1, "test_default": True}


def run(folder: Path, engine: type[Watching] = Watching, **changes: Any) -> StudyRun:
    spec = experiment(folder, **{"arms": ARMS, **changes})
    return run_study(spec, folder / "results", open_with=engine)


def study(folder: Path) -> StoredStudy:
    (found,) = StoreReader(folder / "results" / "harness.duckdb").studies()
    return found


def events(folder: Path, kind: str) -> list[Event]:
    reader = StoreReader(folder / "results" / "harness.duckdb")
    found = reader.events(study(folder).experiment.experiment_id)
    return [event for event in found if event.kind == kind]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that ran to its end."""
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


class StoppedAtFinals(Watching):
    """Is interrupted, as by Ctrl-C, when the first finalist is to run."""

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        if spec.phase == "finalist":
            raise KeyboardInterrupt
        super().submit(spec, folder)


def test_a_run_notes_how_much_there_is_and_its_end_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    patiently = connection._patiently

    def counted(path: Path, *rest: Any) -> Any:
        opened.append(path)
        return patiently(path, *rest)

    monkeypatch.setattr(connection, "_patiently", counted)
    done = run(tmp_path)
    of_trials = len(opened)
    opened.clear()
    found = study(tmp_path)
    assert (found.ended, found.planned, found.finished) == (done.trials_run, 10, True)
    assert done.trials_run == 10
    assert [event.detail for event in events(tmp_path, "finished")] == [{"trials": 10, "failed": 0}]
    assert [event.detail for event in events(tmp_path, "planned")] == [{"trials": 10}]
    opened.clear()
    run(tmp_path)
    # What is known of ten trials is not asked for trial by trial.
    assert len(opened) <= 10
    # One opening serves the end of a trial and the beginning of the next; weights and items are
    # asked for apart.
    assert of_trials <= len(opened) + 3 * done.trials_run // 2
    assert [len(events(tmp_path, kind)) for kind in ("finished", "planned")] == [1, 1]


def test_an_interrupted_run_is_not_finished_and_knows_its_total(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, StoppedAtFinals)
    found = study(tmp_path)
    assert (found.ended, found.planned, found.finished) == (4, 10, False)
    run(tmp_path)
    assert study(tmp_path).finished


def test_more_is_planned_than_runs_where_a_default_wins(tmp_path: Path) -> None:
    # One setting: the default is the finalist, and is not tested beside it.
    done = run(tmp_path, budget=DEFAULTS)
    assert [event.detail["trials"] for event in events(tmp_path, "planned")] == [10, 9]
    assert study(tmp_path).planned == done.trials_run == 9
    run(tmp_path, budget=DEFAULTS)
    assert len(events(tmp_path, "planned")) == 2


def test_a_study_with_more_to_run_is_unfinished_until_it_has_run(
    finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, StoppedAtFinals, seeds=[1, 2])
    found = study(tmp_path)
    assert (found.ended, found.planned, found.finished) == (10, 12, False)
    run(tmp_path, seeds=[1, 2])
    assert (study(tmp_path).ended, study(tmp_path).finished) == (12, True)


def test_a_study_judged_otherwise_stays_finished(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)

    class Refusing(Watching):
        def submit(self, spec: TrialSpec, folder: Path) -> None:
            raise AssertionError(spec)

    run(tmp_path, Refusing, contrast={"margin": 0.3}, question="Which?")
    assert study(tmp_path).finished
    assert len(events(tmp_path, "finished")) == 1


def test_a_study_in_which_trials_failed_is_finished_and_counts_them(tmp_path: Path) -> None:
    arms = {**ARMS, "lora": {"kind": "lora", "instruction": "[fail] Classify."}}
    run(tmp_path, arms=arms)
    (end,) = events(tmp_path, "finished")
    assert end.detail["failed"] == study(tmp_path).trials["failed"] > 0
    assert study(tmp_path).planned == study(tmp_path).ended


def test_a_folder_is_worked_on_while_its_study_runs(tmp_path: Path) -> None:
    seen: list[bool | None] = []
    only = {"zero-shot": {"kind": "prompt"}}

    class Looking(Watching):
        def submit(self, spec: TrialSpec, folder: Path) -> None:
            # To look is no work: it may be done again and again.
            (lock,) = folder.parent.parent.glob("*/running.lock")
            seen.extend(is_worked_on(lock.parent) for _ in range(2))
            with pytest.raises(InputError, match="another process runs this experiment"):
                run(tmp_path, arms=only)
            super().submit(spec, folder)

    done = run(tmp_path, Looking, arms=only)
    assert set(seen) == {True}
    assert is_worked_on(done.folder) is False
    assert is_worked_on(tmp_path / "nowhere") is False
