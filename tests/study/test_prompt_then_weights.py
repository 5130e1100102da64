"""Arms trained under the instruction that another's search selects: order, reuse, what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.engine import Ended
from harness.forecast.upcoming import upcoming_trials
from harness.records import SEARCH_SEED, TrialSpec, TrialSummary
from harness.review.studies import load_study
from harness.store import StoreReader
from harness.study.explanation import explain
from harness.study.rehearsal import Rehearsal, rehearse
from harness.study.run import StudyRun, plan_study, run_study
from tests.fake_trial import Watching, experiment
from tests.study.test_run import Listening
from tests.untimed import untimed

__all__ = ["untimed"]

WORSE, BETTER, BEST = "Sort it. [gain=-0.3]", "Name the class. [gain=0.1]", "Pick one. [gain=0.5]"
# The arm that takes is declared before the one that gives.
ARMS: dict[str, Any] = {
    "both": {"kind": "lora", "instruction": {"from": "written"}, "learning_rate": 1e-3},
    "written": {"kind": "prompt", "instruction": {"choices": [WORSE, BETTER]}},
    "lora": {"kind": "lora", "learning_rate": 1e-3},
}
STUDY: dict[str, Any] = {
    "arms": ARMS, "budget": {"trials": 2, "test_default": True}, "seeds": [1, 2], "general": None,
}  # fmt: skip
# With one trial the first wording is selected, with more the better one.
SHORT: dict[str, Any] = {"budget": {"trials": 1, "test_default": True}}
# Where each arm's final run is one like the other.
ONE: dict[str, Any] = {"seeds": [1]}


class Stopping(Watching):
    """Dies once some trials have ended."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    def wait(self, on_progress: Any) -> Ended:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return super().wait(on_progress)


def run(folder: Path, engine: Watching | None = None, **changes: Any) -> StudyRun:
    spec = experiment(folder, **{**STUDY, **changes})
    return run_study(spec, folder / "results", open_with=lambda: engine or Watching())


def trials(folder: Path, done: StudyRun, arm: str, phase: str) -> list[TrialSummary]:
    every = StoreReader(folder / "results" / "harness.duckdb").trials(done.experiment_id)
    return [trial for trial in every if (trial.arm, trial.phase) == (arm, phase)]


def instructions(specs: list[TrialSpec], arm: str) -> set[Any]:
    return {spec.params["instruction"] for spec in specs if spec.arm == arm}


def rehearsed(folder: Path, **changes: Any) -> Rehearsal:
    spec = experiment(folder, **{**STUDY, **changes})
    (folder / "plan").mkdir(exist_ok=True)
    plan = plan_study(spec, folder / "plan", held=folder / "results")
    return rehearse(plan, folder / "results", folder / "plan")


@pytest.mark.usefixtures("untimed")
def test_weights_are_trained_under_the_instruction_that_the_search_selected(tmp_path: Path) -> None:
    engine = Watching()
    done = run(tmp_path, engine)
    assert done.trials_failed == 0
    assert instructions(engine.seen, "both") == {BETTER}
    assert instructions(engine.seen, "lora") == {None}
    places = [(spec.arm, spec.phase) for spec in engine.seen]
    last = max(n for n, place in enumerate(places) if place == ("written", "search"))
    assert last < places.index(("both", "search"))
    # Its own setting is one: trained for the search, and once a seed.
    assert [t.seed for t in trials(tmp_path, done, "both", "search")] == [SEARCH_SEED]
    assert len(trials(tmp_path, done, "both", "finalist")) == 2
    again = run(tmp_path)
    assert again.trials_run == 0
    assert again.trials_known == done.trials_run


@pytest.mark.parametrize("after", [2, 3, 5])
@pytest.mark.usefixtures("untimed")
def test_a_study_that_was_killed_goes_on_and_pays_nothing_twice(tmp_path: Path, after: int) -> None:
    first, second = Stopping(after), Watching()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, first, **ONE)
    done = run(tmp_path, second, **ONE)
    ended = {spec.trial_id for spec in first.seen[:after]}
    rest = [spec.trial_id for spec in second.seen]
    assert len({*rest}) == len(rest) == done.trials_run
    assert not ended & {*rest}
    assert done.trials_known == after
    assert instructions([*first.seen, *second.seen], "both") == {BETTER}


def test_another_selection_trains_anew_and_the_old_weights_count_no_more(tmp_path: Path) -> None:
    (row,) = explain(rehearsed(tmp_path, **ONE), ["both"])
    assert (row.known, row.to_run) == (0, 0)
    assert row.why == "waits for the instruction that the search of written selects"
    done = run(tmp_path, **SHORT, **ONE)
    (first,) = trials(tmp_path, done, "both", "search")
    assert first.params["instruction"] == WORSE
    engine = Watching()
    again = run(tmp_path, engine, **ONE)
    assert again.experiment_id == done.experiment_id
    assert instructions(engine.seen, "both") == {BETTER}
    assert instructions(engine.seen, "lora") == {None}  # for its latency, timed with the new ones
    findings = load_study(tmp_path / "results", done.experiment_id).findings
    searched = {row.arm: row.asked for row in findings.searches}
    assert searched == {"both": 1, "written": 2, "lora": 1}
    (arm,) = [row for row in findings.arms if row.arm == "both"]
    assert arm.params["instruction"] == BETTER
    # Nothing is left to do, and what was selected once is not taken for a trial of today.
    third = run(tmp_path, **ONE)
    assert (third.trials_run, third.trials_failed) == (0, 0)


@pytest.mark.usefixtures("untimed")
def test_the_plan_says_that_another_selection_trains_anew(tmp_path: Path) -> None:
    run(tmp_path, **SHORT, **ONE)
    # The other wording is tried for another study, so that the whole search is known.
    run(tmp_path, arms={"written": ARMS["written"]}, **ONE)
    (row,) = explain(rehearsed(tmp_path, **ONE), ["both"])
    assert (row.known, row.to_run) == (0, 1)
    assert row.why.startswith(f"instruction is {BETTER} here, {WORSE} in ")


def test_the_forecast_counts_the_trainings_before_their_instruction_is_known(
    tmp_path: Path,
) -> None:
    spec = experiment(tmp_path, **STUDY)
    (tmp_path / "plan").mkdir()
    plan = plan_study(spec, tmp_path / "plan")
    upcoming = [
        one for one in upcoming_trials(plan, (), lambda _: frozenset()) if one.arm == "both"
    ]
    assert [one.phase for one in upcoming if one.times.high] == [
        "search", "finalist", "finalist", "latency", "latency",
    ]  # fmt: skip
    foreseen = {spec.params["instruction"] for one in upcoming for spec in one.options}
    assert foreseen == {WORSE}


@pytest.mark.usefixtures("untimed")
def test_each_search_trains_under_the_instruction_of_its_own(tmp_path: Path) -> None:
    arms = {
        **ARMS,
        "written": {"kind": "prompt", "instruction": {"choices": [WORSE, BETTER, BEST]}},
    }
    done = run(tmp_path, arms=arms, search={"repeats": 2}, seeds=[1, 2])
    selected = {
        t.seed: t.params["instruction"] for t in trials(tmp_path, done, "written", "finalist")
    }
    trained = {t.seed: t.params["instruction"] for t in trials(tmp_path, done, "both", "finalist")}
    assert trained == selected
    assert len(trials(tmp_path, done, "lora", "search")) == 1


@pytest.mark.usefixtures("untimed")
def test_where_no_instruction_is_selected_nothing_is_trained_and_that_is_said(
    tmp_path: Path,
) -> None:
    failing = {"kind": "prompt", "instruction": {"choices": ["[fail] a", "[fail] b"]}}
    observer = Listening()
    spec = experiment(tmp_path, **{**STUDY, **ONE, "arms": {**ARMS, "written": failing}})
    done = run_study(
        spec, tmp_path / "results", open_with=Watching, observer=observer
    )  # fmt: skip
    assert trials(tmp_path, done, "both", "search") == []
    assert trials(tmp_path, done, "lora", "finalist")
    assert any(
        text.startswith("both is not trained: it takes its instruction from written")
        for text in observer.warnings
    )


@pytest.mark.usefixtures("untimed")
def test_where_an_instruction_is_yet_to_be_written_nothing_is_said_of_who_takes_it(
    tmp_path: Path,
) -> None:
    # All that the arm would do under the task's own instruction is known.
    searched = {"kind": "prompt", "shots": {"choices": [0, 2]}}
    run(tmp_path, arms={"written": searched, "lora": ARMS["lora"]}, **SHORT, **ONE)
    written = {"kind": "prompt", "instruction": {"optimise": {"by": "gepa"}}}
    found = rehearsed(
        tmp_path,
        arms={**ARMS, "written": written},
        budget={"trials": 4, "test_default": False},
        **ONE,
    )
    assert found.waiting == {"both": "written"}
    assert {(spec.arm, spec.phase) for spec in found.to_run if spec.arm == "written"} == {
        ("written", "writing")
    }
    (row,) = explain(found, ["both"])
    assert row.why == "waits for the instruction that the search of written selects"
