"""A whole study with pretended trials: what runs, what is repeated, what the store then holds."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from harness.engine import Ended, Engine
from harness.engine.child import ChildEngine
from harness.errors import InputError, StoreError
from harness.records import Event, TrialRecord, TrialSpec, TrialSummary, content_hash
from harness.review.studies import load_study, write_reports
from harness.spec import ExecutionSpec, Experiment
from harness.store import StoreReader
from harness.study.coming import Coming
from harness.study.observer import Observer
from harness.study.run import StudyRun, run_study
from tests.fake_trial import (
    ARMS,
    PRELOADED,
    Watching,
    execute,
    executions,
    experiment,
    fake_weights,
    write_data,
    write_model,
)
from tests.tiny_model import write_suite
from tests.untimed import untimed

__all__ = ["untimed"]

PROMPT_ONLY = {"zero-shot": {"kind": "prompt"}}
ONE_TRIAL = {"trials": 1}
# A study with every phase.
WHOLE: dict[str, Any] = {
    "arms": {**ARMS, "lora": {"kind": "lora", "curve": [4, 8]}},
    "budget": {"trials": 4, "test_default": True},
    "seeds": [1, 2],
    "general": {"limit": 5, "search_limit": 3},
}


class Listening(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.total = 0
        self.skipped = 0

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def planned(self, trials: int, coming: Sequence[Coming]) -> None:
        self.total = trials

    def trial_skipped(self, arm: str, phase: str) -> None:
        self.skipped += 1


class Case:
    """One results folder and the studies run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.engine = Watching()
        self.observer = Listening()

    def run(self, open_with: Any = None, *, retry_failed: bool = False, **changes: Any) -> StudyRun:
        self.engine, self.observer = Watching(), Listening()
        return run_study(
            self.spec(**changes),
            self.results,
            observer=self.observer,
            open_with=open_with or (lambda: self.engine),
            retry_failed=retry_failed,
        )

    def spec(self, **changes: Any) -> Experiment:
        return experiment(self.folder, **changes)

    @property
    def reader(self) -> StoreReader:
        return StoreReader(self.results / "harness.duckdb")

    def trials(self, done: StudyRun) -> tuple[TrialSummary, ...]:
        return self.reader.trials(done.experiment_id)

    def events(self, done: StudyRun, kind: str) -> list[Event]:
        return [e for e in self.reader.study(done.experiment_id).events if e.kind == kind]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@dataclass(frozen=True, slots=True)
class Finished:
    """A study that ran to its end, which several tests look at and none changes."""

    case: Case
    """Where it lies, and what its engine and its observer were told."""
    done: StudyRun
    """What its run gave back."""

    def copied(self, folder: Path) -> Case:
        """The same in another folder, for a test that goes on with it."""
        shutil.copytree(self.case.folder, folder, dirs_exist_ok=True)
        return Case(folder)


def finished(folder: Path, **changes: Any) -> Finished:
    case = Case(folder)
    return Finished(case, case.run(**changes))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("usual"))


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("prompted"), arms=PROMPT_ONLY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("whole"), **WHOLE)


def phases(trials: tuple[TrialSummary, ...]) -> Counter[tuple[str, str]]:
    return Counter((trial.arm, trial.phase) for trial in trials)


def test_a_study_runs_to_its_end(usual: Finished) -> None:
    case, done = usual.case, usual.done
    assert phases(case.trials(done)) == {
        ("zero-shot", "search"): 1,
        ("few-shot", "search"): 2,
        ("lora", "search"): 2,
        ("zero-shot", "finalist"): 1,
        ("few-shot", "finalist"): 1,
        ("lora", "finalist"): 1,
        ("base", "baseline"): 1,
        ("zero-shot", "latency"): 2,
        ("few-shot", "latency"): 2,
        ("lora", "latency"): 2,
    }
    assert (done.trials_run, done.trials_known, done.trials_failed) == (15, 0, 0)
    assert case.observer.total == 15
    assert all(trial.status == "complete" for trial in case.trials(done))
    files = write_reports(load_study(case.results, done.experiment_id))
    assert "lora" in files["md"].read_text("utf-8")
    assert files["html"].stat().st_size > 10_000


@pytest.mark.usefixtures("untimed")
def test_the_general_suite_is_scored_by_the_base_and_the_trained(case: Case) -> None:
    done = case.run(general={"limit": 5}, budget={"trials": 1})
    general = {
        (trial.arm, trial.phase)
        for trial in case.trials(done)
        if any(a.suite == "general" for a in trial.aggregates)
    }
    assert general == {("base", "baseline"), ("lora", "finalist"), ("lora", "search")}
    assert load_study(case.results, done.experiment_id).findings.forgetting


@pytest.mark.usefixtures("untimed")
def test_a_study_restated_with_fewer_searches_is_planned_without_the_others(case: Case) -> None:
    arms = {"few-shot": ARMS["few-shot"]}
    case.run(arms=arms, seeds=[1, 2], search={"repeats": 2})
    done = case.run(arms=arms, seeds=[1, 2], search={"repeats": 1})
    assert case.observer.total == case.observer.skipped + done.trials_run
    assert case.observer.skipped == done.trials_known


WAYS = ["generate", "choice"]


@pytest.mark.parametrize("default", WAYS)
@pytest.mark.usefixtures("untimed")
def test_finalists_answer_in_the_way_that_their_trial_found_best(case: Case, default: str) -> None:
    ways = {"choices": WAYS, "default": default}
    arms = {"lora": {"kind": "lora", "answering": ways, "curve": [4]}}
    changes: dict[str, Any] = {
        "arms": arms, "budget": {"trials": 4, "test_default": True}, "seeds": [1]
    }  # fmt: skip
    done = case.run(**changes)
    trials = case.trials(done)
    search = [trial for trial in trials if trial.phase == "search"]
    assert all({way.answering for way in trial.ways} == set(WAYS) for trial in search)
    for trial in search:
        best = max(trial.ways, key=lambda way: way.score)
        assert trial.params["answering"] == best.answering
        (score,) = [a.value for a in trial.aggregates if a.split == "validation"]
        assert score == best.score
        assert trial.tokens_of_other_ways == min(way.tokens for way in trial.ways)
    settings = [trial.params for trial in search]
    selected = max(search, key=lambda trial: max(way.score for way in trial.ways))
    later = {t.phase: t.params for t in trials if t.arm == "lora" and t.phase != "search"}
    assert later["finalist"] == later["curve"] == selected.params
    if "default" in later:
        assert later["default"] == settings[0] != selected.params
    again = case.run(**changes)
    assert (again.trials_run, again.trials_known) == (0, done.trials_run)


def test_a_second_run_repeats_nothing(usual: Finished, tmp_path: Path) -> None:
    case, first = usual.copied(tmp_path), usual.done
    before = case.trials(first)
    again = case.run()
    assert again.experiment_id == first.experiment_id
    assert (again.trials_run, again.trials_known) == (0, 15)
    assert case.observer.skipped == case.observer.total == 15
    assert case.engine.seen == []
    assert case.trials(again) == before


@pytest.mark.usefixtures("untimed")
def test_the_searched_setting_with_the_best_validation_is_tested(case: Case) -> None:
    done = case.run(arms={arm: ARMS[arm] for arm in ("few-shot", "lora")}, budget={"trials": 3})
    metric = case.spec().task.primary_metric
    for arm in ("few-shot", "lora"):
        trials = [trial for trial in case.trials(done) if trial.arm == arm]
        worth = [
            (a.value, -trial.number, trial.params)
            for trial in trials
            for a in trial.aggregates
            if trial.phase == "search" and a.metric == metric
        ]
        best = max(worth, key=lambda one: one[:2])[2]
        assert [t.params for t in trials if t.phase == "finalist"] == [best]


def test_every_phase_runs_in_its_place_and_once(whole: Finished, tmp_path: Path) -> None:
    case, done = whole.case, whole.done
    ran = [spec.phase for spec in case.engine.seen]
    assert [phase for phase, before in zip(ran, [None, *ran], strict=False) if phase != before] == [
        "baseline", "search", "finalist", "default", "curve", "latency",
    ]  # fmt: skip
    assert case.observer.total == len(ran) == done.trials_run
    assert {(t.seed, t.train_items) for t in case.trials(done) if t.phase == "curve"} == {
        (seed, size) for seed in (1, 2) for size in (4, 8)
    }
    assert {t.train_items for t in case.trials(done) if t.phase != "curve"} == {None}
    kept = {(spec.phase, spec.kind) for spec in case.engine.seen if spec.keep_artifact}
    assert kept == {("finalist", "lora")}
    later = whole.copied(tmp_path)
    again = later.run(**WHOLE)
    assert (again.trials_run, again.trials_known) == (0, len(ran))
    assert later.observer.total == later.observer.skipped == len(ran)
    # Neither a default setting nor a point of a curve passes for a finalist.
    finalists = case.reader.query("SELECT arm, seed, trial_id FROM finalists").rows
    assert len(finalists) == len({row[:2] for row in finalists}) == ran.count("finalist")
    study = case.reader.study(done.experiment_id)
    final = {t.trial_id for t in study.trials if t.phase == "finalist"}
    assert {row[2] for row in finalists} == final
    assert len(study.items) == len(final) * study.experiment.splits["test"]


@pytest.mark.usefixtures("untimed")
def test_a_default_that_was_selected_or_that_failed_is_not_tested(case: Case) -> None:
    def tested(instructions: list[str], **budget: Any) -> list[dict[str, Any]]:
        arms = {"few": {"kind": "prompt", "instruction": {"choices": instructions}}}
        done = case.run(arms=arms, budget={"trials": 2, "test_default": True, **budget})
        return [t.params for t in case.trials(done) if t.phase == "default"]

    assert tested(["good [gain=0.6]", "bad [gain=-0.4]"]) == []
    assert tested(["[fail]", "good"]) == []
    (found,) = tested(["bad [gain=-0.4]", "good [gain=0.6]"])
    assert found["instruction"] == "bad [gain=-0.4]"
    assert tested(["worse [gain=-0.4]", "good [gain=0.6]"], test_default=False) == []


@pytest.mark.usefixtures("untimed")
def test_an_arm_may_have_seeds_of_its_own(case: Case) -> None:
    arms = {**PROMPT_ONLY, "lora": {"kind": "lora", "seeds": [7, 8]}}
    done = case.run(arms=arms)
    finalists = {(t.arm, t.seed) for t in case.trials(done) if t.phase == "finalist"}
    assert finalists == {("zero-shot", 1), ("lora", 7), ("lora", 8)}
    assert case.observer.total == done.trials_run


@pytest.mark.usefixtures("untimed")
def test_what_the_data_cannot_give_is_said(case: Case) -> None:
    rows = [{"text": f"word{n} {n}", "label": "billing"} for n in range(60)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (case.folder / "data.jsonl").write_text(lines, encoding="utf-8")
    case.run(arms={"lora": {"kind": "lora", "curve": [8, 500]}}, budget={"trials": 1})
    curve, words = case.observer.warnings
    assert curve == "arms.lora.curve: 500 left out: the training split has 36 examples"
    assert words.startswith("memorisation is not measured")


def test_a_larger_budget_runs_only_the_new_trials(usual: Finished, tmp_path: Path) -> None:
    case, first = usual.copied(tmp_path), usual.done
    before = {trial.trial_id for trial in case.trials(first)}
    second = case.run(budget={"trials": 4})
    assert second.experiment_id == first.experiment_id
    searched = [spec for spec in case.engine.seen if spec.phase == "search"]
    assert [(spec.arm, spec.number) for spec in searched] == [
        ("few-shot", 2), ("few-shot", 3), ("lora", 2), ("lora", 3),
    ]  # fmt: skip
    assert before.isdisjoint(spec.trial_id for spec in case.engine.seen)


@pytest.mark.usefixtures("untimed")
def test_an_extended_study_equals_one_that_ran_through(tmp_path: Path) -> None:
    arms = {"few-shot": ARMS["few-shot"]}
    apart, through = Case(tmp_path / "apart"), Case(tmp_path / "through")
    for trials in (2, 4):
        apart.run(arms=arms, budget={"trials": trials})

    def searched(case: Case) -> list[tuple[int, dict[str, Any]]]:
        done = case.run(arms=arms, budget={"trials": 5})
        return [(t.number, t.params) for t in case.trials(done) if t.phase == "search"]

    assert searched(apart) == searched(through)


def test_more_seeds_run_only_the_new_finalists(usual: Finished, tmp_path: Path) -> None:
    case, first = usual.copied(tmp_path), usual.done
    second = case.run(seeds=[2, 1])
    assert second.experiment_id == first.experiment_id
    # The first seed, whose weights are timed, is another one.
    assert {(spec.phase, spec.seed) for spec in case.engine.seen} == {
        ("finalist", 2),
        ("latency", 2),
    }


@pytest.mark.usefixtures("untimed")
def test_a_recorded_failure_does_not_stop_the_study(case: Case) -> None:
    arms = {
        "zero-shot": {"kind": "prompt"},
        "mixed": {"kind": "prompt", "instruction": {"choices": ["[fail]", "good", "better"]}},
    }
    done = case.run(arms=arms, budget={"trials": 3})
    failed = [trial for trial in case.trials(done) if trial.status == "failed"]
    assert [(t.arm, t.number, t.failure_kind) for t in failed] == [("mixed", 0, "nan_loss")]
    assert failed[0].failure_message == "the loss is not a number at step 3"
    assert done.trials_failed == 1
    assert phases(case.trials(done))["mixed", "finalist"] == 1
    assert case.run(arms=arms, budget={"trials": 3}).trials_run == 0


@pytest.mark.usefixtures("untimed")
def test_an_arm_that_always_fails_has_no_finalist(case: Case) -> None:
    done = case.run(arms={**PROMPT_ONLY, "bad": {"kind": "lora", "instruction": "[fail]"}})
    assert phases(case.trials(done))["bad", "finalist"] == 0
    assert phases(case.trials(done))["zero-shot", "finalist"] == 1
    assert any("no trial of bad was completed" in text for text in case.observer.warnings)
    write_reports(load_study(case.results, done.experiment_id))


@pytest.mark.parametrize(
    ("mark", "kind", "message", "attempts"),
    [
        ("[killed]", "killed", "SIGKILL", 2),
        ("[segfault]", "killed", "SIGSEGV", 2),
        ("[exit]", "error", "exit code 7", 1),
        ("[raise]", "error", "the trial raised", 1),
    ],
)
def test_a_child_that_dies_is_a_failed_trial(
    case: Case, mark: str, kind: str, message: str, attempts: int
) -> None:
    arms = {"bad": {"kind": "prompt", "instruction": mark}}
    done = case.run(lambda: ChildEngine(execute, preload=PRELOADED), arms=arms)
    (failed,) = [trial for trial in case.trials(done) if trial.arm == "bad"]
    assert (failed.status, failed.failure_kind) == ("failed", kind)
    assert message in failed.failure_message
    assert len(case.events(done, "trial_retried")) == attempts - 1
    begun = [one for one in executions(done.folder.parent) if one == ("begin", failed.trial_id)]
    assert len(begun) == attempts
    assert case.run(arms=arms).trials_run == 0


def test_a_child_that_dies_once_is_run_again(case: Case) -> None:
    arms = {"unlucky": {"kind": "prompt", "instruction": "[once]"}}
    done = case.run(lambda: ChildEngine(execute, preload=PRELOADED), arms=arms)
    assert {trial.status for trial in case.trials(done)} == {"complete"}
    # One trial searched, one finalist and two turns of timing; the base knows no such mark.
    assert len(case.events(done, "trial_retried")) == 4
    assert (done.trials_run, done.trials_failed) == (5, 0)


@pytest.mark.usefixtures("untimed")
def test_failed_trials_are_run_again_on_demand(case: Case) -> None:
    arms = {**PROMPT_ONLY, "bad": {"kind": "prompt", "instruction": "[fail]"}}
    first = case.run(arms=arms)
    assert first.trials_failed == 1
    again = case.run(arms=arms, retry_failed=True)
    assert [(spec.arm, spec.phase) for spec in case.engine.seen] == [("bad", "search")]
    assert (again.trials_run, again.trials_failed) == (1, 1)
    assert len(case.trials(again)) == len(case.trials(first))


def test_an_engine_that_leaves_no_record_is_an_error(case: Case) -> None:
    class Forgetful(Watching):
        def wait(self, on_progress: Any) -> Ended:
            ended = super().wait(on_progress)
            shutil.rmtree(ended.folder / "record")
            return ended

    with pytest.raises(StoreError, match="no record"):
        case.run(Forgetful)


def test_a_full_disk_stops_the_study_with_a_remedy(case: Case) -> None:
    class Full(Watching):
        def wait(self, on_progress: Any) -> Ended:
            if len(self.seen) > 1:
                raise OSError(28, "No space left on device")
            return super().wait(on_progress)

    with pytest.raises(StoreError, match="make room and run again"):
        case.run(Full, arms=PROMPT_ONLY)
    assert case.run(arms=PROMPT_ONLY).trials_known == 1


# --------------------------------------------------------------------------- honesty


def test_search_trials_are_handed_no_test_items(case: Case) -> None:
    write_data(case.folder / "elsewhere.jsonl", rows=9)
    data = {
        "source": str(write_data(case.folder / "data.jsonl")),
        "out_of_domain": {"elsewhere": str(case.folder / "elsewhere.jsonl")},
    }
    done = case.run(data=data, general={"limit": 5}, budget={"test_default": True})
    test_ids = held_out_texts(done.folder)
    searched = [spec for spec in case.engine.seen if spec.phase == "search"]
    assert len(searched) == 5
    for spec in searched:
        own = [(one.suite, one.split) for one in spec.scores if one.suite != "general"]
        assert own == [("domain", "validation")]
        assert (len(spec.scores) > 1) is (spec.kind == "lora")
        paths = [spec.train_path, spec.validation_path, *(one.items_path for one in spec.scores)]
        for path in filter(None, paths):
            name = Path(path).stem.split("-")[0]
            assert name in ("train", "validation", "validation_losses")
            assert test_ids.isdisjoint(texts(Path(path)))
    later = [spec for spec in case.engine.seen if spec.phase != "search"]
    assert case.engine.seen[0].phase == "baseline"
    assert case.engine.seen[1 : 1 + len(searched)] == searched
    assert all(any(one.split == "test" for one in spec.scores) for spec in later)
    tasks = {one.task for spec in later for one in spec.scores}
    assert {"domain", "elsewhere", "memorisation", "mini_text"} < tasks


def held_out_texts(folder: Path) -> set[str]:
    (path,) = (folder / "splits").glob("test-*.parquet")
    return texts(path)


def texts(path: Path) -> set[str]:
    from harness.data import read_examples_file

    return {example.inputs["text"] for example in read_examples_file(path)}


def test_every_access_to_test_items_is_noted_once(case: Case) -> None:
    done = case.run(seeds=[1, 2], budget=ONE_TRIAL)
    noted = Counter(
        (e.detail["arm"], e.detail["seed"], e.detail["task"])
        for e in case.events(done, "test_access")
        if e.detail["phase"] != "latency"
    )
    # The zero-shot finalists are the untouched base: its score is theirs, and they are told it.
    assert noted == {
        ("base", 0, "domain"): 1,
        ("zero-shot", 1, "domain"): 1,
        ("zero-shot", 2, "domain"): 1,
        ("few-shot", 1, "domain"): 1,
        ("few-shot", 2, "domain"): 1,
        ("lora", 1, "domain"): 1,
        ("lora", 2, "domain"): 1,
    }
    # Three arms are timed in two turns, each of which is noted too.
    assert len(case.events(done, "test_access")) == 7 + 6
    case.run(seeds=[1, 2], budget=ONE_TRIAL)
    assert len(case.events(done, "test_access")) == 7 + 6


def test_a_look_at_the_default_setting_is_noted_as_such(whole: Finished) -> None:
    case, done = whole.case, whole.done
    looks = [e.detail for e in case.events(done, "test_access")]
    why = "test of the default setting, to show what tuning gained"
    noted = [look["trial_id"] for look in looks if look["purpose"] == why]
    assert noted == [spec.trial_id for spec in case.engine.seen if spec.phase == "default"] != []
    assert {look["phase"] for look in looks} == {"baseline", "finalist", "default", "latency"}
    # It is planned, and no second look.
    assert case.reader.query("SELECT max(look) FROM test_accesses").rows == ((1,),)
    # A learning curve is drawn without test items.
    curve = {spec.trial_id for spec in case.engine.seen if spec.phase == "curve"}
    assert len(curve) == 4
    assert curve.isdisjoint(look["trial_id"] for look in looks)


def test_an_access_is_noted_before_the_trial_runs(case: Case) -> None:
    class Stopped(Watching):
        def submit(self, spec: TrialSpec, folder: Path) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.run(Stopped)
    experiment_id = case.reader.find("pretended").study.experiment.experiment_id
    events = case.reader.study(experiment_id).events
    assert [e.detail["arm"] for e in events if e.kind == "test_access"] == ["base"]


@pytest.mark.usefixtures("untimed")
def test_zero_shot_is_scored_once_for_base_and_all_seeds(case: Case) -> None:
    case.run(arms=PROMPT_ONLY, seeds=[1, 2])
    fresh = [
        (spec.phase, spec.seed, one.split)
        for spec in case.engine.seen
        for one in spec.scores
        if one.key not in spec.known_scores and one.suite != "latency"
    ]
    assert fresh == [("baseline", 0, "validation"), ("baseline", 0, "test")]
    scores = [one for spec in case.engine.seen for one in spec.scores if one.suite != "latency"]
    assert len({(one.split, one.key) for one in scores}) == 2


# --------------------------------------------------------------------------- resumption


@pytest.mark.usefixtures("untimed")
def test_a_record_that_was_not_ingested_is_taken_in(case: Case) -> None:
    class Stopped(Watching):
        def wait(self, on_progress: Any) -> Ended:
            ended = super().wait(on_progress)
            if (ended.spec.arm, ended.spec.number) == ("few-shot", 1):
                raise KeyboardInterrupt
            return ended

    with pytest.raises(KeyboardInterrupt):
        case.run(Stopped)
    done = case.run()
    # The base, one of zero-shot and two of few-shot.
    assert (done.trials_known, done.trials_run) == (4, 5)
    (resumed,) = case.events(done, "resumed")
    assert resumed.detail == {"trials": 3, "recovered": 1}


@pytest.mark.usefixtures("untimed")
def test_a_torn_record_is_set_aside_and_run_again(case: Case) -> None:
    class Torn(Watching):
        def wait(self, on_progress: Any) -> Ended:
            ended = super().wait(on_progress)
            if len(self.seen) == 3:
                with (ended.folder / "record" / "item_outputs.parquet").open("r+b") as file:
                    file.truncate(20)
                raise KeyboardInterrupt
            return ended

    torn = Torn()
    with pytest.raises(KeyboardInterrupt):
        case.run(lambda: torn)
    done = case.run()
    victim = torn.seen[-1].trial_id
    assert case.engine.seen[0].trial_id == victim
    aside = done.folder.parent / "trials" / "quarantine" / victim
    assert "altered or torn" in (aside / "quarantine-reason.txt").read_text("utf-8")
    assert any("set aside" in text for text in case.observer.warnings)
    assert len(case.trials(done)) == 9
    # The copy that was set aside is never taken in, nor looked at again.
    assert case.run().trials_run == 0
    assert case.observer.warnings == []


def test_a_lost_store_is_rebuilt_from_the_trial_folders(usual: Finished, tmp_path: Path) -> None:
    case, first = usual.copied(tmp_path), usual.done
    before = case.trials(first)
    (case.results / "harness.duckdb").unlink()
    again = case.run()
    assert again.trials_run == 0
    assert case.trials(again) == before


def test_one_experiment_is_run_by_one_process(prompted: Finished, tmp_path: Path) -> None:
    case = prompted.copied(tmp_path)
    folder = case.results / prompted.done.folder.name
    with FileLock(folder / "running.lock"), pytest.raises(InputError, match="another process"):
        case.run(arms=PROMPT_ONLY)
    case.run(arms=PROMPT_ONLY)


def test_the_lock_is_given_back_after_an_error(case: Case) -> None:
    def broken() -> Engine:
        raise RuntimeError("no engine")

    with pytest.raises(RuntimeError, match="no engine"):
        case.run(broken, arms=PROMPT_ONLY)
    case.run(arms=PROMPT_ONLY)


# --------------------------------------------------------------------------- identity


def test_a_changed_margin_is_an_event_and_repeats_no_trial(usual: Finished, tmp_path: Path) -> None:
    case, first = usual.copied(tmp_path), usual.done
    second = case.run(contrast={"margin": 0.1}, cost={"machine_per_hour": 2})
    assert (second.experiment_id, second.trials_run) == (first.experiment_id, 0)
    declared = case.events(second, "declared")
    assert [event.detail["first"] for event in declared] == [True, False]
    assert declared[1].detail["changes"]["contrast.margin"] == {"before": 0.02, "after": 0.1}
    assert declared[1].detail["test_accessed"] is True


def test_changed_data_is_another_experiment(prompted: Finished, tmp_path: Path) -> None:
    case, first = prompted.copied(tmp_path), prompted.done
    path = case.folder / "data.jsonl"
    lines = path.read_text("utf-8").splitlines()
    changed = {**json.loads(lines[0]), "text": "something else entirely"}
    path.write_text("\n".join([json.dumps(changed), *lines[1:]]) + "\n", encoding="utf-8")
    second = case.run(arms=PROMPT_ONLY)
    assert second.experiment_id != first.experiment_id
    # Divided anew, the two test sets have rows in common.
    (event,) = case.events(second, "test_seen_elsewhere")
    rows = case.reader.study(second.experiment_id).experiment.splits["test"]
    assert 0 < event.detail["rows"] < rows
    assert second.folder.name != first.folder.name
    assert second.trials_run == 5
    assert len(case.reader.experiments()) == 2


def test_a_changed_model_is_another_experiment(prompted: Finished, tmp_path: Path) -> None:
    case, first = prompted.copied(tmp_path), prompted.done
    (case.folder / "other").mkdir()
    for path in (case.folder / "model").iterdir():
        shutil.copy(path, case.folder / "other")
    (case.folder / "other" / "model.safetensors").write_bytes(fake_weights("other weights"))
    second = case.run(arms=PROMPT_ONLY, model=str(case.folder / "other"))
    assert second.experiment_id != first.experiment_id
    assert second.trials_run == 5


def test_a_test_set_that_another_study_has_seen_is_noted_once(
    prompted: Finished, tmp_path: Path
) -> None:
    case, first = prompted.copied(tmp_path), prompted.done
    for _ in range(2):
        second = case.run(arms=PROMPT_ONLY, name="second")
    (event,) = case.events(second, "test_seen_elsewhere")
    rows = case.reader.study(second.experiment_id).experiment.splits["test"]
    assert event.detail == {"experiments": [f"pretended ({first.experiment_id[:8]})"], "rows": rows}


def test_a_moved_folder_is_the_same_experiment(prompted: Finished, tmp_path: Path) -> None:
    case, first = prompted.copied(tmp_path), prompted.done
    moved = case.folder / "moved"
    moved.mkdir()
    for name in ("data.jsonl", "model"):
        (case.folder / name).rename(moved / name)
    second = run_study(experiment(moved, arms=PROMPT_ONLY), case.results, open_with=Watching)
    assert (second.experiment_id, second.trials_run) == (first.experiment_id, 0)


def test_a_finite_space_is_exhausted_gracefully(case: Case) -> None:
    arms = {"few-shot": {"kind": "prompt", "shots": {"choices": [1, 2]}}}
    done = case.run(arms=arms, budget={"trials": 5})
    searched = [t for t in case.trials(done) if t.phase == "search"]
    assert sorted(t.params["shots"] for t in searched) == [1, 2]
    assert case.observer.total == done.trials_run == 6
    assert case.run(arms=arms, budget={"trials": 5}).trials_run == 0


# --------------------------------------------------------------------------- the search


def ends(case: Case, done: StudyRun) -> dict[str, dict[str, Any]]:
    """Of each arm, the last that was noted about the end of its search."""
    return {event.detail["arm"]: event.detail for event in case.events(done, "search_ended")}


@pytest.mark.usefixtures("untimed")
def test_why_each_search_ended_is_noted_once(case: Case) -> None:
    arms = {**ARMS, "two": {"kind": "prompt", "shots": {"choices": [1, 2]}}}
    done = case.run(arms=arms, budget={"trials": 3})
    found = ends(case, done)
    assert {arm: (one["reason"], one["limit"], one["trials"]) for arm, one in found.items()} == {
        "zero-shot": ("settings_exhausted", "", 1),
        "few-shot": ("budget_spent", "trials", 3),
        "lora": ("budget_spent", "trials", 3),
        "two": ("settings_exhausted", "", 2),
    }
    assert found["lora"]["tokens"] > 3 * 960
    assert found["lora"]["budget"] == {"trials": 3, "tokens": None, "minutes": None}
    case.run(arms=arms, budget={"trials": 3})
    assert len(case.events(done, "search_ended")) == 4
    case.run(arms=arms, budget={"trials": 4})
    assert ends(case, done)["lora"]["trials"] == 4


@pytest.mark.usefixtures("untimed")
def test_a_budget_of_tokens_ends_every_search(case: Case) -> None:
    arms = {arm: ARMS[arm] for arm in ("few-shot", "lora")}
    one = ends(case, case.run(arms=arms, budget={"trials": 1}))["lora"]["tokens"]
    done = case.run(arms=arms, budget={"trials": 50, "tokens": one + 1}, name="tokens")
    found = ends(case, done)
    # The trial that passes the limit is the last.
    assert found["lora"]["trials"] == 2
    assert (found["lora"]["limit"], found["few-shot"]["limit"]) == ("tokens", "tokens")
    assert all(end["tokens"] > one for end in found.values())


@pytest.mark.usefixtures("untimed")
def test_a_setting_that_forgets_too_much_is_passed_over(case: Case) -> None:
    wordings = ["keeps [gain=-0.6]", "forgets [gain=0.25] [lose=0.7]", "better [gain=-0.2]"]
    arms = {"lora": {"kind": "lora", "instruction": {"choices": wordings}, "learning_rate": 1e-4}}
    suite = str(write_suite(case.folder))

    def tested(rule: str) -> str:
        done = case.run(
            arms=arms,
            budget={"trials": 3},
            general={"suite": suite, "limit": 20, "search_limit": 20, "margin": 0.3},
            search={"forgetting": rule},
        )
        (params,) = [
            t.params for t in case.trials(done) if (t.arm, t.phase) == ("lora", "finalist")
        ]
        return str(params["instruction"]).split()[0]

    assert {rule: tested(rule) for rule in ("ignore", "constraint", "objective")} == {
        "ignore": "forgets",
        "constraint": "better",
        "objective": "better",
    }


@pytest.mark.usefixtures("untimed")
def test_it_is_said_where_every_setting_forgets(case: Case) -> None:
    arms = {"lora": {"kind": "lora", "instruction": "[lose=0.7]"}}
    suite = str(write_suite(case.folder))
    done = case.run(arms=arms, general={"suite": suite, "limit": 20, "search_limit": 20})
    assert any("no setting of lora kept" in text for text in case.observer.warnings)
    assert phases(case.trials(done))["lora", "finalist"] == 1


@pytest.mark.usefixtures("untimed")
def test_a_pruned_trial_is_stored_and_never_tested(case: Case) -> None:
    wordings = ["good", "stopped [prune] [gain=0.6]"]
    arms = {"few": {"kind": "prompt", "instruction": {"choices": wordings}}}
    done = case.run(arms=arms)
    searched = {t.number: t for t in case.trials(done) if t.phase == "search"}
    assert [searched[n].status for n in (0, 1)] == ["complete", "pruned"]
    assert searched[1].stopped is not None
    assert (searched[1].stopped.done, searched[1].stopped.total) == (8, 20)
    final = [t.params["instruction"] for t in case.trials(done) if t.phase == "finalist"]
    assert final == ["good"]
    write_reports(load_study(case.results, done.experiment_id))
    assert case.run(arms=arms).trials_run == 0


@pytest.mark.usefixtures("untimed")
def test_a_prompt_trial_is_handed_the_best_trial_so_far_item_by_item(case: Case) -> None:
    arms = {"few": {"kind": "prompt", "shots": {"low": 1, "high": 9}}}
    done = case.run(arms=arms, budget={"trials": 4})
    seen = [spec for spec in case.engine.seen if spec.phase == "search"]
    stored = {t.number: t for t in case.trials(done) if t.phase == "search"}
    assert seen[0].pruning is None
    metric = case.spec().task.primary_metric
    for spec in seen[1:]:
        assert spec.pruning is not None
        (best,) = spec.pruning.past
        scores = {n: a.value for n in range(spec.number) for a in stored[n].aggregates
                  if a.metric == metric}  # fmt: skip
        assert best.number == max(scores, key=lambda n: (scores[n], -n))
        values = [value for _, value in best.values]
        assert sum(values) / len(values) == pytest.approx(scores[best.number])
        assert [place for place, _ in best.values] == list(range(len(values)))
    assert all(spec.pruning is None for spec in case.engine.seen if spec.phase != "search")


@pytest.mark.usefixtures("untimed")
def test_a_fine_tuning_trial_is_handed_the_losses_of_the_others(case: Case) -> None:
    case.run(arms={"lora": ARMS["lora"]}, budget={"trials": 3})
    seen = [spec for spec in case.engine.seen if spec.phase == "search"]
    counts = [0 if spec.pruning is None else len(spec.pruning.past) for spec in seen]
    assert counts == [0, 1, 2]
    assert seen[2].pruning is not None
    assert seen[2].pruning.past[0].values == ((1, -1.6), (2, -0.8), (3, -1.6 / 3), (4, -0.4))


@pytest.mark.usefixtures("untimed")
def test_as_many_trials_at_once_as_declared_change_nothing(tmp_path: Path) -> None:
    """The same study with children, alone and side by side, where trials end in any order."""
    arms = {
        "few-shot": {**ARMS["few-shot"], "instruction": "[sleep=0.02]"},
        "lora": {"kind": "lora", "instruction": "[sleep=0.05]"},
    }
    changes: dict[str, Any] = {"arms": arms, "budget": {"trials": 4}, "search": {"ahead": 3}}
    found = []
    for workers in (0, 1, 3):
        case, limits = Case(tmp_path / str(workers)), ExecutionSpec(workers=max(workers, 1))
        children = partial(ChildEngine, execute, limits, preload=PRELOADED)
        trials = case.trials(case.run(children if workers else Watching, **changes))
        found.append([(t.arm, t.phase, t.number, t.seed, t.params, t.aggregates) for t in trials])
    here, one_by_one, side_by_side = found
    assert here == one_by_one == side_by_side


@pytest.mark.usefixtures("untimed")
def test_an_arm_may_ask_another_model(case: Case) -> None:
    other = write_model(case.folder / "other")
    (other / "model.safetensors").write_bytes(fake_weights("other weights"))
    arms = {**PROMPT_ONLY, "larger": {"kind": "prompt", "model": str(other)}}
    done = case.run(arms=arms)
    asked = {spec.arm: spec.model.reference for spec in case.engine.seen}
    assert asked == {"base": str(case.folder / "model"), "zero-shot": str(case.folder / "model"),
                     "larger": str(other)}  # fmt: skip
    keys = {spec.arm: {one.key for one in spec.scores} for spec in case.engine.seen}
    assert keys["larger"].isdisjoint(keys["zero-shot"])
    (other / "model.safetensors").write_bytes(fake_weights("changed weights"))
    assert case.run(arms=arms).experiment_id != done.experiment_id


# --------------------------------------------------------------------------- the observer


def test_the_observer_hears_of_each_trial_in_order(case: Case) -> None:
    heard: list[tuple[str, str]] = []

    class Ordered(Listening):
        def trial_started(self, spec: TrialSpec) -> None:
            heard.append(("started", spec.trial_id))

        def trial_ended(self, record: TrialRecord) -> None:
            heard.append(("ended", record.spec.trial_id))

    run_study(
        case.spec(arms=PROMPT_ONLY),
        case.results,
        observer=Ordered(),
        open_with=Watching,
    )
    assert [what for what, _ in heard] == ["started", "ended"] * 5
    assert all(a[1] == b[1] for a, b in zip(heard[::2], heard[1::2], strict=True))


def test_fakes_are_run_as_often_as_the_log_says(usual: Finished) -> None:
    counts = Counter(word for word, _ in executions(usual.done.folder.parent))
    assert counts == {"begin": 9 + 6, "done": 9 + 6}


# --------------------------------------------------------------------------- latencies


class Roomy(Watching):
    """Has room for several trials, and counts those that it holds at once."""

    slots = 3

    def __init__(self) -> None:
        super().__init__()
        self.held: list[TrialSpec] = []
        self.most: Counter[str] = Counter()

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        self.held.append(spec)
        self.most[spec.phase] = max(self.most[spec.phase], len(self.held))
        super().submit(spec, folder)

    def wait(self, on_progress: Any) -> Ended:
        ended = super().wait(on_progress)
        self.held.remove(ended.spec)
        return ended


def test_requests_are_timed_one_trial_at_a_time_whatever_there_is_room_for(case: Case) -> None:
    roomy = Roomy()
    case.run(open_with=lambda: roomy, seeds=[1, 2], budget=ONE_TRIAL)
    assert roomy.most["finalist"] > 1
    assert roomy.most["latency"] == 1
    assert [spec.arm for spec in roomy.seen if spec.phase == "latency"] == [
        "zero-shot", "few-shot", "lora", "lora", "few-shot", "zero-shot",
    ]  # fmt: skip


def test_a_run_killed_while_timing_repeats_only_what_is_missing(case: Case) -> None:
    class Killed(Watching):
        def wait(self, on_progress: Any) -> Ended:
            if sum(spec.phase == "latency" for spec in self.seen) == 4:
                raise KeyboardInterrupt
            return super().wait(on_progress)

    with pytest.raises(KeyboardInterrupt):
        case.run(open_with=Killed, budget=ONE_TRIAL)
    done = case.run(budget=ONE_TRIAL)
    assert [(spec.arm, spec.number) for spec in case.engine.seen] == [
        ("lora", 1), ("few-shot", 1), ("zero-shot", 1),
    ]  # fmt: skip
    assert phases(case.trials(done))["lora", "latency"] == 2


def test_timing_is_noted_as_access_to_test_and_is_no_second_look(prompted: Finished) -> None:
    case, done = prompted.case, prompted.done
    timed = [e.detail for e in case.events(done, "test_access") if e.detail["phase"] == "latency"]
    assert len(timed) == 2
    assert all(str(look["purpose"]).startswith("latency") for look in timed)
    looks = case.reader.query("SELECT look FROM test_accesses").rows
    assert {look for (look,) in looks} == {1}
    caveats = load_study(case.results, done.experiment_id).findings.verdict.caveats
    assert not any("more than once" in one for one in caveats)


# --------------------------------------------------------------------------- the locked plan


def lock_of(done: StudyRun) -> Path:
    return done.folder / "plan.lock"


def test_the_plan_is_locked_before_the_first_trial_and_never_rewritten(case: Case) -> None:
    seen: list[bool] = []

    class Looking(Watching):
        def submit(self, spec: TrialSpec, folder: Path) -> None:
            seen.append(any(folder.parent.parent.glob("*/plan.lock")))
            super().submit(spec, folder)

    done = case.run(open_with=Looking, arms=PROMPT_ONLY)
    assert set(seen) == {True}
    text = lock_of(done).read_text("utf-8")
    locked = json.loads(text)
    (event,) = case.events(done, "locked")
    assert event.detail == locked
    content = {key: value for key, value in locked.items() if key != "hash"}
    assert locked["hash"] == content_hash(content)
    assert locked["hypothesis"] == "Does the pipeline keep its word?"
    assert locked["margin"] == 0.02
    assert locked["primary_contrast"] == {
        "leader": "the best prompt arm on validation",
        "against": "the second best prompt arm on validation",
        "metric": "exact_match",
        "split": "test",
    }
    assert (
        locked["sets"]["test"]
        == case.reader.study(done.experiment_id).experiment.data.test_fingerprint
    )
    again = case.run(arms=PROMPT_ONLY, contrast={"margin": 0.1})
    assert lock_of(again).read_text("utf-8") == text
    assert len(case.events(again, "locked")) == 1
    found = load_study(case.results, again.experiment_id).findings
    assert found.plan is not None
    assert found.plan.hash == locked["hash"]
    (told,) = [one for one in found.verdict.caveats if one.startswith("The declaration")]
    assert "after test results had been seen, contrast.margin from 0.02 to 0.1" in told


def test_a_lock_that_is_gone_is_written_again_and_an_altered_one_refused(
    prompted: Finished, tmp_path: Path
) -> None:
    case = prompted.copied(tmp_path)
    text = lock_of(prompted.done).read_text("utf-8")
    (case.results / prompted.done.folder.name / "plan.lock").unlink()
    done = case.run(arms=PROMPT_ONLY)
    assert lock_of(done).read_text("utf-8") == text
    for altered in (text.replace('"margin": 0.02', '"margin": 0.2'), "no plan", "[]"):
        lock_of(done).write_text(altered, encoding="utf-8")
        with pytest.raises(InputError, match=r"plan\.lock is not the plan that was locked"):
            case.run(arms=PROMPT_ONLY)


def test_a_run_that_ended_between_lock_and_event_keeps_the_lock(
    prompted: Finished, tmp_path: Path
) -> None:
    case = prompted.copied(tmp_path)
    text = lock_of(prompted.done).read_text("utf-8")
    (case.results / "harness.duckdb").unlink()
    shutil.rmtree(case.results / "trials")
    again = case.run(arms=PROMPT_ONLY)
    assert lock_of(again).read_text("utf-8") == text
    (event,) = case.events(again, "locked")
    assert event.detail == json.loads(text)
