"""Studies at a glance: what tells namesakes apart, and what is said of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from harness.errors import InputError
from harness.records import ExperimentRecord, FoundStudy, StoredStudy
from harness.review.names import ended_of_planned, notice_of
from harness.review.overview import differences, overview
from harness.store import StoreWriter
from harness.versions import __version__
from tests.store.example_records import MODEL, experiment

NOW = "2026-01-09T00:00:00+00:00"


def with_spec(**changes: Any) -> ExperimentRecord:
    record = experiment()
    return replace(record, spec={**record.spec, **changes})


def told(mine: ExperimentRecord, other: ExperimentRecord) -> list[str]:
    return differences(mine, other)


# --------------------------------------------------------------------------- differences


def test_a_field_is_told_with_both_values() -> None:
    mine = with_spec(seeds=[1], contrast={"margin": 0.02, "level": None})
    other = with_spec(seeds=[1, 2], contrast={"margin": 0.05, "level": 0.95})
    assert told(mine, other) == [
        "contrast.level null, there 0.95", "contrast.margin 0.02, there 0.05",
        "seeds [1], there [1, 2]",
    ]  # fmt: skip


def test_a_part_that_one_side_lacks_is_told_once() -> None:
    arms = experiment().spec["arms"]
    more = {**arms, "full": {"kind": "full", "epochs": 3, "rank": {"low": 1, "high": 4}}}
    assert told(with_spec(arms=more), experiment()) == ["arms.full set, there not set"]
    assert told(experiment(), with_spec(arms=more)) == ["arms.full not set, there set"]
    general = {"limit": 5, "margin": 0.1}
    assert told(with_spec(general=None), with_spec(general=general)) == ["general null, there set"]


def test_long_texts_are_shown_where_they_differ() -> None:
    same = "Classify the message by the team that has to answer it. "
    (found,) = told(with_spec(task=same + "One word."), with_spec(task=same + "Two words, please."))
    assert found == 'task …r it. One word.", there …r it. Two words, pleas…'
    (found,) = told(with_spec(task=same), with_spec(task="x"))
    assert found == 'task "Classify the message b…, there "x"'


def test_contents_are_told_where_the_file_only_names_them() -> None:
    mine = experiment()
    other = replace(
        mine,
        data=replace(mine.data, fingerprint="other"),
        model=replace(MODEL, fingerprint="other"),
    )
    assert told(mine, other) == ["other rows in the data", "other files of the base model"]
    moved = replace(other, spec={**mine.spec, "data": {"source": "new.jsonl"}, "model": "big"})
    assert told(mine, moved) == [
        'data.source "feedback.jsonl", there "new.jsonl"', 'model "tiny", there "big"',
    ]  # fmt: skip


def test_versions_are_told_where_nothing_else_differs() -> None:
    mine = experiment()
    other = replace(mine, environment={"torch": "2.14.0", "device": "cpu"})
    assert told(mine, other) == ['device not set, there "cpu"', 'torch "2.13.0", there "2.14.0"']
    assert told(replace(mine, spec={}), replace(other, spec={})) == told(mine, other)
    assert told(with_spec(seeds=[1]), other) == ["seeds [1], there not set"]


# --------------------------------------------------------------------------- rows


@pytest.fixture
def writer(tmp_path: Path) -> StoreWriter:
    """A store with two studies of one name, the older one finished, and a third."""
    times = iter(f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 4, 5, 6, 7, 8, 9))
    writer = StoreWriter(tmp_path / "harness.duckdb", now=lambda: next(times))
    writer.declare(replace(with_spec(seeds=[1]), experiment_id="aa11"))
    writer.record_event("aa11", "planned", {"trials": 3})
    writer.record_event("aa11", "finished", {"trials": 0, "failed": 0})
    writer.declare(replace(with_spec(seeds=[1, 2], a=1, b=1, c=1, d=1), experiment_id="bb22"))
    return writer


def test_rows_say_how_far_each_study_is(tmp_path: Path, writer: StoreWriter) -> None:
    older, newest = overview(tmp_path, NOW)
    assert (older.state, older.trials, older.age) == ("finished", "0 of 3", "4 days ago")
    assert older.verdict == "harness report aa11"
    assert older.unlike == (
        "unlike bb22: a not set, there 1; b not set, there 1; c not set, there 1; and 2 more"
    )
    assert (newest.state, newest.trials, newest.age) == ("stopped", "0", "3 days ago")
    assert (newest.verdict, newest.unlike) == ("", "")
    assert [row.study.short_id for row in overview(tmp_path, NOW, "bb")] == ["bb22"]
    assert overview(tmp_path, NOW, "feedback") == (older, newest)
    with pytest.raises(InputError, match="no experiment is called 'nothing'"):
        overview(tmp_path, NOW, "nothing")


@pytest.mark.parametrize(
    ("harness", "words"),
    [(__version__, "Fine-tune: lora"), ("0.0.1", "Fine-tune: lora (by harness 0.0.1)")],
)
def test_a_verdict_says_whose_rules_it_is_by(
    tmp_path: Path, writer: StoreWriter, harness: str, words: str
) -> None:
    verdict = {
        "outcome": "fine_tune", "winner": "lora", "sentence": "Fine-tune.", "harness": harness,
        "rules_hash": "", "trials": {},
    }  # fmt: skip
    writer.record_event("aa11", "verdict", verdict)
    assert overview(tmp_path, NOW)[0].verdict == words


def test_a_study_that_a_process_works_on_is_running(tmp_path: Path, writer: StoreWriter) -> None:
    folder = tmp_path / "feedback-aa11"
    folder.mkdir()
    with FileLock(folder / "running.lock"):
        row, _ = overview(tmp_path, NOW)
        assert (row.state, row.verdict) == ("running", "")
    assert overview(tmp_path, NOW)[0].state == "finished"


def test_a_lock_that_cannot_be_asked_is_not_taken_for_stopped(
    tmp_path: Path, writer: StoreWriter
) -> None:
    for experiment_id in ("aa11", "bb22"):
        # A folder in place of the lock: the system refuses to open it.
        (tmp_path / f"feedback-{experiment_id}" / "running.lock").mkdir(parents=True)
    assert [row.state for row in overview(tmp_path, NOW)] == ["finished", "not finished"]


# --------------------------------------------------------------------------- names


def test_a_newer_study_is_told_with_its_id() -> None:
    older = StoredStudy(replace(experiment(), experiment_id="a" * 64), "1", {"complete": 9}, "", 9)
    newer = StoredStudy(replace(experiment(), experiment_id="b" * 64), "2", {"failed": 2}, "", 40)
    assert notice_of(FoundStudy(older)) == ""
    assert notice_of(FoundStudy(older, newer)) == (
        "taken is feedback (aaaaaaaa), the newest that is finished; feedback (bbbbbbbb), declared "
        "later, is not (2 of 40 trials): give bbbbbbbb to mean that one"
    )


def test_no_more_trials_are_said_to_have_ended_than_are_planned() -> None:
    study = StoredStudy(experiment(), "1", {"complete": 9, "failed": 3}, "", 10)
    assert ended_of_planned(study) == "10 of 10"
    assert ended_of_planned(replace(study, planned=None)) == "12"
