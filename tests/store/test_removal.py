"""A study out of the tables: what goes, and what stays on record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.records import RemovedStudy, TrialRecord
from harness.store import StoreReader, StoreWriter
from harness.store.removal import removal_detail

from .example_records import NOW, example_store, experiment, score, trial

TABLES = (
    "experiment",
    "experiment_split",
    "study_trial",
    "study_score",
    "event",
)
OF_TRIALS = (
    "trial", "training_step", "score", "score_metric", "item_output", "item_score", "artifact",
)  # fmt: skip


@pytest.fixture
def writer(tmp_path: Path) -> StoreWriter:
    return example_store(tmp_path / "s.duckdb")


def sizes(writer: StoreWriter, tables: tuple[str, ...] = TABLES) -> dict[str, int]:
    reader = StoreReader(writer.path)
    return {name: reader.query(f"SELECT count(*) FROM {name}").rows[0][0] for name in tables}  # noqa: S608


def of_second(record: TrialRecord) -> TrialRecord:
    return replace(record, spec=replace(record.spec, experiment_id="e2"))


def test_all_rows_go_but_accesses_to_test(writer: StoreWriter) -> None:
    assert min(sizes(writer).values()) > 0
    trials = sizes(writer, OF_TRIALS)
    removed = writer.remove_study("e1", who="ada")
    fingerprint = experiment().data.test_fingerprint
    assert removed == RemovedStudy("e1", "feedback", 4, fingerprint, tested=True)
    assert sizes(writer) == {**dict.fromkeys(TABLES, 0), "event": 3}
    # Trials are no study's own.
    assert sizes(writer, OF_TRIALS) == trials
    reader = StoreReader(writer.path)
    assert [event.kind for event in reader.events("e1")] == ["test_access"] * 2 + ["removed"]
    assert reader.events("e1")[-1].detail == removal_detail(removed)
    looks = reader.query("SELECT experiment, arm, seed, who, look FROM test_accesses").rows
    assert sorted(looks) == [("feedback", "lora", 1, "ada", 1), ("feedback", "lora", 2, "ada", 1)]
    with pytest.raises(InputError, match="was removed already"):
        writer.remove_study("e1")


def test_another_study_keeps_the_trials_that_it_names(writer: StoreWriter) -> None:
    writer.declare(experiment("e2", "other"))
    reader = StoreReader(writer.path)
    first = reader.trials("e1")[0]
    score_keys = reader.query("SELECT score_key FROM score WHERE scored_by = 't1'").rows
    record = trial("t1", [score(key) for (key,) in score_keys])
    writer.name_trial(of_second(record).spec, {})
    (common,) = reader.shared_trials("e1")
    assert (common.name, common.experiment_id, common.trials) == ("other", "e2", 1)
    (back,) = reader.shared_trials("e2")
    assert (back.name, back.trials) == ("feedback", 1)
    writer.remove_study("e1")
    (left,) = reader.trials("e2")
    assert left.trial_id == "t1"
    assert first.arm
    assert reader.shared_trials("e2") == ()
    assert sizes(writer)["experiment"] == 1


def test_a_study_that_tested_no_arm_is_removed_as_untested(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s.duckdb", now=lambda: NOW)
    writer.declare(experiment())
    writer.record_event("e1", "test_access", {"trial_id": "t0", "phase": "baseline"})
    assert writer.remove_study("e1").tested is False


def test_a_removed_study_can_be_declared_and_removed_again(writer: StoreWriter) -> None:
    writer.remove_study("e1")
    assert writer.declare(experiment())
    declared = StoreReader(writer.path).events("e1")[-1]
    # It begins anew, and yet its test set was read.
    assert (declared.detail["first"], declared.detail["test_accessed"]) == (True, True)
    again = writer.remove_study("e1")
    assert (again.trials, again.tested) == (0, True)
    assert StoreReader(writer.path).events("e1")[-1].detail == removal_detail(again)


def test_others_are_told_of_each_row_once_however_often_a_study_was_removed(
    tmp_path: Path,
) -> None:
    writer = StoreWriter(tmp_path / "s.duckdb", now=lambda: NOW)
    reader = StoreReader(writer.path)

    def told() -> dict[str, int]:
        return reader.test_readers("e2", ["a", "b", "d"])

    # A test set may hold one row twice.
    for removals in range(3):
        writer.declare(experiment(), test_rows=["a", "a", "b", "c"])
        detail = {"trial_id": "t1", "phase": "finalist", "task": "domain"}
        writer.record_event("e1", "test_access", detail)
        assert sizes(writer, ("experiment_test_row",)) == {"experiment_test_row": 4}
        assert told() == {"feedback (e1)": 2}, removals
        writer.remove_study("e1")
        assert told() == {"feedback (e1), removed since": 2}, removals
