"""A study that is removed: what goes from the disk, what a later run finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from harness.errors import InputError
from harness.store import StoreReader
from harness.study.removal import carry_out, plan_removal
from harness.study.run import StudyRun, run_study
from tests.fake_trial import Watching, experiment
from tests.untimed import timed, untimed_module

__all__ = ["timed", "untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

ARMS: dict[str, Any] = {"zero-shot": {"kind": "prompt"}}


def run(folder: Path, **changes: Any) -> StudyRun:
    spec = experiment(folder, **{"arms": ARMS, **changes})
    return run_study(spec, folder / "results", open_with=Watching)


def remove(done: StudyRun) -> None:
    results = done.store.parent
    carry_out(results, plan_removal(results, done.experiment_id))


def names(done: StudyRun) -> list[str]:
    return [record.name for record in StoreReader(done.store).experiments()]


@pytest.mark.usefixtures("timed")
def test_rows_and_folder_of_one_study_go(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path, name="other")
    plan = plan_removal(tmp_path / "results", "pretended")
    assert (plan.study.ended, plan.folder) == (5, first.folder)
    assert plan.size == sum(p.stat().st_size for p in first.folder.rglob("*") if p.is_file()) > 1000
    carry_out(tmp_path / "results", plan)
    assert names(second) == ["other"]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "executions.log", "harness.duckdb", second.folder.name, "trials",
    ]  # fmt: skip
    assert run(tmp_path, name="other").trials_run == 0


def test_a_removed_study_names_its_trials_again_and_its_test_set_was_read(tmp_path: Path) -> None:
    first = run(tmp_path)
    remove(first)
    again = run(tmp_path)
    assert (again.experiment_id, again.trials_run) == (first.experiment_id, 0)
    events = StoreReader(again.store).events(again.experiment_id)
    (declared,) = [event.detail for event in events if event.kind == "declared"]
    assert (declared["first"], declared["test_accessed"]) == (True, True)


def test_another_study_is_told_that_a_removed_one_read_its_test_set(tmp_path: Path) -> None:
    first = run(tmp_path)
    remove(first)
    other = run(tmp_path, name="other")
    events = StoreReader(other.store).events(other.experiment_id)
    (seen,) = [event.detail for event in events if event.kind == "test_seen_elsewhere"]
    assert seen["experiments"] == [f"pretended ({first.experiment_id[:8]}), removed since"]


def test_a_study_that_runs_is_not_removed(tmp_path: Path) -> None:
    done = run(tmp_path)
    plan = plan_removal(tmp_path / "results", "pretended")
    with FileLock(done.folder / "running.lock"):
        with pytest.raises(InputError, match=r"a process runs pretended in .*stop it first"):
            plan_removal(tmp_path / "results", "pretended")
        with pytest.raises(InputError, match="another process runs this experiment"):
            carry_out(tmp_path / "results", plan)
    assert names(done) == ["pretended"]
    assert done.folder.is_dir()


def test_a_name_of_several_studies_removes_none(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path, score_batch_size=8)
    with pytest.raises(InputError, match="2 studies are called 'pretended'") as refused:
        plan_removal(tmp_path / "results", "pretended")
    for done in (first, second):
        assert done.experiment_id[:8] in str(refused.value)
    remove(second)
    assert plan_removal(tmp_path / "results", "pretended").folder == first.folder


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    done = run(tmp_path)
    elsewhere = tmp_path / "large-disk"
    done.folder.rename(elsewhere)
    done.folder.symlink_to(elsewhere)
    remove(done)
    assert not done.folder.is_symlink()
    assert (elsewhere / "splits").is_dir()


def test_a_study_without_its_folder_is_removed(tmp_path: Path) -> None:
    done = run(tmp_path)
    done.folder.rename(tmp_path / "gone")
    plan = plan_removal(tmp_path / "results", "pretended")
    assert (plan.size, plan.folder.exists()) == (0, False)
    carry_out(tmp_path / "results", plan)
    assert names(done) == []


def test_what_an_earlier_removal_left_is_swept(tmp_path: Path) -> None:
    done = run(tmp_path)
    results = tmp_path / "results"
    # Of this very study, which was interrupted and then run again; and a link.
    same, link = results / f".removed-{done.folder.name}", results / ".removed-link"
    (same / "trials").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere")
    remove(done)
    assert not list(results.glob(".removed-*"))
    assert not done.folder.exists()
    assert (tmp_path / "elsewhere").is_dir()
