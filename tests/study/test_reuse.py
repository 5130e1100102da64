"""What a change to an experiment runs, and what it takes as it is."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from harness.data import read_examples_file
from harness.records import TrialSpec
from harness.store import StoreReader
from harness.study.asked_models import BASE
from harness.study.explanation import explain
from harness.study.rehearsal import rehearse
from harness.study.run import StudyRun, plan_study, run_study
from tests.fake_trial import ARMS, Watching, experiment
from tests.study.test_run import Listening
from tests.tiny_model import write_suite
from tests.untimed import untimed

__all__ = ["untimed"]

WHOLE: dict[str, Any] = {
    "budget": {"trials": 2, "test_default": True},
    "seeds": [1],
    "general": {"limit": 5, "search_limit": 3},
    "data": {"limits": {"train": 24, "validation": 8, "test": 8}},
}


@dataclass
class Case:
    """A results folder in which studies are run one after another."""

    folder: Path
    suite: Path
    """Its general suite."""

    def values(self, changes: dict[str, Any]) -> Any:
        whole = {**WHOLE, **{k: v for k, v in changes.items() if k != "data"}}
        source = str(self.folder / "data.jsonl")
        if whole["general"]:
            # So wide that the few items of the suite decide nothing.
            whole["general"] = {"suite": str(self.suite), "margin": 0.9, **whole["general"]}
        data = {**WHOLE["data"], **changes.get("data", {}), "source": source}
        experiment(self.folder)
        return experiment(self.folder, **{**whole, "data": data})

    def run(self, **changes: Any) -> tuple[StudyRun, list[TrialSpec]]:
        engine = Watching()
        done = run_study(self.values(changes), self.folder / "results", open_with=lambda: engine)
        return done, engine.seen

    @property
    def reader(self) -> StoreReader:
        return StoreReader(self.folder / "results" / "harness.duckdb")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, suite: Path) -> Path:
    folder = tmp_path_factory.mktemp("first")
    Case(folder, suite).run()
    return folder


@pytest.fixture
def case(first: Path, suite: Path, tmp_path: Path) -> Case:
    """A folder in which the study was run once."""
    shutil.copytree(first / "results", tmp_path / "results")
    return Case(tmp_path, suite)


def trained_anew(specs: list[TrialSpec]) -> list[TrialSpec]:
    return [spec for spec in specs if spec.weights_id and not spec.adds and spec.phase != "latency"]


def by_phase(specs: list[TrialSpec]) -> Counter[tuple[str, str]]:
    return Counter((spec.arm, spec.phase) for spec in specs)


def test_another_name_runs_nothing(case: Case) -> None:
    done, ran = case.run(name="copied")
    assert ran == []
    assert (done.trials_run, done.trials_failed) == (0, 0)
    assert done.trials_known > 10
    study = case.reader.study(done.experiment_id)
    assert {trial.status for trial in study.trials} == {"complete"}
    assert len(study.trials) == done.trials_known
    # Each study's looks at the test set are its own.
    looks = [event for event in study.events if event.kind == "test_access"]
    assert {look.detail["task"] for look in looks} == {"domain"}
    (seen,) = [event for event in study.events if event.kind == "test_seen_elsewhere"]
    assert seen.detail["rows"] == 8


def test_a_renamed_arm_runs_nothing_but_the_timing(case: Case) -> None:
    arms = {"adapter" if name == "lora" else name: arm for name, arm in ARMS.items()}
    _, ran = case.run(arms=arms)
    assert ran == []


def test_an_arm_more_runs_that_arm_alone(case: Case) -> None:
    _, ran = case.run(arms={**ARMS, "wide": {"kind": "lora", "rank": 64}})
    # Finalists are timed together, so that another one is timed beside all.
    assert {spec.arm for spec in ran if spec.phase != "latency"} == {"wide"}


def test_an_arm_less_runs_nothing_but_the_timing(case: Case) -> None:
    _, ran = case.run(arms={name: arm for name, arm in ARMS.items() if name != "few-shot"})
    assert {spec.phase for spec in ran} == {"latency"}


def test_another_number_of_timed_requests_times_them_alone(case: Case) -> None:
    _, ran = case.run(latency_items=2)
    assert {spec.phase for spec in ran} == {"latency"}
    asked = {(score.limit, score.items_path) for spec in ran for score in spec.scores}
    # All of them, and half of them once more.
    assert {limit for limit, _ in asked} == {None, 1}
    (path,) = {path for _, path in asked}
    assert len(read_examples_file(Path(path))) == 2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"data": {"limits": {"train": 24, "validation": 8, "test": 12}}}, id="test"),
        pytest.param({"general": {"limit": 6, "search_limit": 3}}, id="general"),
        pytest.param(
            {"task": {"instruction": "Classify.", "metrics": ["exact_match"]}}, id="metric"
        ),
    ],
)
@pytest.mark.usefixtures("untimed")
def test_what_is_scored_afterwards_trains_nothing(case: Case, changes: dict[str, Any]) -> None:
    if "task" in changes:
        plain = case.values({}).task.model_dump(by_alias=True)
        changes = {"task": {**plain, **changes["task"]}}
    done, ran = case.run(**changes)
    assert trained_anew(ran) == []
    assert all(spec.adds for spec in ran if spec.phase != "latency")
    study = case.reader.study(done.experiment_id)
    assert {trial.status for trial in study.trials} == {"complete"}
    again, ran = case.run(**changes)
    assert (ran, again.trials_run) == ([], 0)


@pytest.mark.usefixtures("untimed")
def test_another_general_suite_trains_nothing_and_says_what_stays_unknown(case: Case) -> None:
    other = case.folder / "other"
    other.mkdir()
    suite = write_suite(other)
    items = other / "tasks" / "sky.jsonl"
    items.write_text(items.read_text().replace("blue", "grey"))
    general = {"suite": str(suite), "limit": 5, "search_limit": 3}
    observer = Listening()
    engine = Watching()
    done = run_study(
        case.values({"general": general}), case.folder / "results",
        open_with=lambda: engine, observer=observer,
    )  # fmt: skip
    assert trained_anew(engine.seen) == []
    (told,) = [text for text in observer.warnings if "general suite is not known" in text]
    assert told.startswith("what search trials of lora forget")
    study = case.reader.study(done.experiment_id)
    assert {trial.status for trial in study.trials} == {"complete"}
    finals = {v.task for v in study.vectors if v.arm == "lora" and v.phase == "finalist"}
    assert {"sky", "prose"} <= finals


@pytest.mark.usefixtures("untimed")
def test_fewer_test_items_are_scored_of_what_is_kept(case: Case) -> None:
    _, ran = case.run(data={"limits": {"train": 24, "validation": 8, "test": 6}})
    assert trained_anew(ran) == []


@pytest.mark.usefixtures("untimed")
def test_a_longer_validation_set_says_beforehand_which_trials_it_runs(case: Case) -> None:
    changes = {"data": {"limits": {"train": 24, "validation": 12, "test": 8}}}
    plan = plan_study(case.values(changes), case.folder / "planned")
    (case.folder / "rehearsed").mkdir()
    found = rehearse(plan, case.folder / "results", case.folder / "rehearsed")
    said = {row.arm: row.why for row in explain(found, (BASE, *ARMS))}
    assert said["lora"].startswith("validation rows of the loss differ")
    assert "known, and to be scored on domain (validation)" in said["few-shot"]
    _, ran = case.run(**changes)
    assert {spec.arm for spec in trained_anew(ran)} == {"lora"}


@pytest.mark.parametrize(
    ("changes", "arms"),
    [
        ({"budget": {"trials": 4, "test_default": True}}, {"few-shot", "lora"}),
        ({"seeds": [1, 2]}, {"zero-shot", "few-shot", "lora"}),
    ],
)
@pytest.mark.usefixtures("untimed")
def test_more_trials_and_seeds_run_only_those(
    case: Case, changes: dict[str, Any], arms: set[str]
) -> None:
    _, ran = case.run(**changes)
    fresh = [spec for spec in ran if spec.phase != "latency"]
    assert {spec.arm for spec in fresh} == arms
    assert not any(spec.adds for spec in fresh)
    assert len(fresh) < 8


@pytest.mark.usefixtures("untimed")
def test_a_margin_restated_trains_nothing_that_the_search_would_not_ask_for(case: Case) -> None:
    _, ran = case.run(general={"limit": 5, "search_limit": 3, "margin": 0.06})
    assert {spec.phase for spec in trained_anew(ran)} <= {"finalist", "default"}
    searched = [spec for spec in ran if spec.phase == "search"]
    assert searched == []


@pytest.mark.usefixtures("untimed")
def test_one_setting_is_trained_once(suite: Path, tmp_path: Path) -> None:
    case = Case(tmp_path, suite)
    fixed = {"kind": "lora", "learning_rate": 1e-3}
    _, ran = case.run(arms={"zero-shot": {"kind": "prompt"}, "fixed": fixed}, seeds=[1, 2])
    mine = [spec for spec in ran if spec.arm == "fixed" and spec.phase != "latency"]
    assert Counter(spec.seed for spec in mine if not spec.adds) == {1: 1, 2: 1}
    # Where it is picked among others, what picks is not what is tested.
    again = Case(tmp_path / "again", suite)
    again.folder.mkdir()
    other = {"kind": "full", "learning_rate": 1e-4}
    arms = {"zero-shot": {"kind": "prompt"}, "fixed": fixed, "full": other}
    _, ran = again.run(arms=arms, seeds=[1, 2])
    mine = [spec for spec in ran if spec.arm == "fixed" and spec.phase != "latency"]
    assert len({spec.seed for spec in mine}) == 3
    assert not any(spec.adds for spec in mine)


@pytest.mark.usefixtures("untimed")
def test_a_failure_of_another_study_is_tried_again(suite: Path, tmp_path: Path) -> None:
    case = Case(tmp_path, suite)
    arms = {"zero-shot": {"kind": "prompt"}, "bad": {"kind": "prompt", "instruction": "[fail]"}}
    done, _ = case.run(arms=arms, general=None)
    assert done.trials_failed == 1
    again, ran = case.run(arms=arms, general=None, name="copied")
    assert by_phase(ran) == {("bad", "search"): 1}
    assert again.trials_failed == 1


@pytest.mark.usefixtures("untimed")
def test_an_engine_gives_back_what_it_holds_while_another_run_is_waited_for(case: Case) -> None:
    changes: dict[str, Any] = {"arms": {**ARMS, "wide": {"kind": "lora", "rank": 64}}}
    plan = plan_study(case.values(changes), case.folder / "planned")
    awaited = plan.search_trial("wide", 0, plan.default_setting("wide"))
    others = FileLock(case.folder / "results" / "trials" / f"{awaited.trial_id}.lock")
    others.acquire()

    class Resting(Watching):
        rested = 0

        def rest(self) -> None:
            # It is what the other run waits for.
            assert not self._waiting
            self.rested += 1
            others.release()

    engine = Resting()
    done = run_study(case.values(changes), case.folder / "results", open_with=lambda: engine)
    assert engine.rested == 1
    assert done.trials_failed == 0
    assert awaited.trial_id in [spec.trial_id for spec in engine.seen]


def test_what_a_plan_says_is_known_is_what_a_run_takes(case: Case) -> None:
    arms = {**ARMS, "wide": {"kind": "lora", "rank": 64}}
    # The study itself, which has not run, is not named as one that did.
    changes: dict[str, Any] = {"arms": arms, "name": "another"}
    plan = plan_study(case.values(changes), case.folder / "planned")
    (case.folder / "rehearsed").mkdir()
    before = (case.folder / "results" / "harness.duckdb").read_bytes()
    found = rehearse(plan, case.folder / "results", case.folder / "rehearsed")
    assert (case.folder / "results" / "harness.duckdb").read_bytes() == before
    rows = {row.arm: row for row in explain(found, (BASE, *arms))}
    assert (rows["wide"].known, rows["lora"].to_run) == (0, 0)
    assert rows["wide"].why.startswith("rank is 64 here, 16 in pretended/lora")
    done, ran = case.run(**changes)
    assert done.trials_known == len(found.ended)
    started = {spec.trial_id for spec in ran}
    assert {spec.trial_id for spec in found.to_run} <= started


def test_a_column_that_divides_the_report_runs_nothing(case: Case) -> None:
    done, ran = case.run(data={"slices": ["label"]})
    assert ran == []
    study = case.reader.study(done.experiment_id)
    ids = [identity for ids in study.experiment.data.slices["label"].values() for identity in ids]
    assert sorted(ids) == sorted({item.item_id for item in study.items})
    assert {trial.status for trial in study.trials} == {"complete"}
