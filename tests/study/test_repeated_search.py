"""A study whose arms are searched several times: what runs, what is kept, what it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.engine import Ended
from harness.records import SEARCH_SEED, TrialSummary
from harness.review.studies import load_study, write_reports
from harness.store import StoreReader
from harness.study.run import StudyRun, run_study
from tests.fake_trial import Watching, experiment
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

STUDY: dict[str, Any] = {
    "arms": {
        "zero-shot": {"kind": "prompt"},
        "few-shot": {"kind": "prompt", "shots": {"choices": [1, 2, 4, 8]}},
        "lora": {"kind": "lora", "curve": [4]},
    },
    "budget": {"trials": 3, "test_default": True},
    "search": {"repeats": 2},
    "seeds": [1, 2, 3, 4],
    "general": None,
}


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyRun]:
    """A study that ran through, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def trials(folder: Path, done: StudyRun, phase: str, arm: str = "lora") -> list[TrialSummary]:
    every = StoreReader(folder / "results" / "harness.duckdb").trials(done.experiment_id)
    return [t for t in every if (t.phase, t.arm) == (phase, arm)]


def test_each_search_has_its_budget_its_seed_and_its_finalists(
    whole: tuple[Path, StudyRun],
) -> None:
    folder, done = whole
    searched = trials(folder, done, "search")
    assert Counter((t.seed - SEARCH_SEED, t.number) for t in searched) == {
        (repeat, number): 1 for repeat in (0, 1) for number in range(3)
    }
    # Nothing to search, nothing to repeat.
    assert len(trials(folder, done, "search", "zero-shot")) == 1
    by_repeat = [[t.params for t in searched if t.search_repeat == repeat] for repeat in (0, 1)]
    assert by_repeat[0][0] == by_repeat[1][0]
    assert by_repeat[0][1:] != by_repeat[1][1:]
    finals = {t.seed: t.params for t in trials(folder, done, "finalist")}
    assert finals[1] == finals[3]
    assert finals[2] == finals[4]
    assert finals[1] in by_repeat[0]
    assert finals[2] in by_repeat[1]
    curve = {t.seed: t.params for t in trials(folder, done, "curve")}
    assert curve == finals
    default = by_repeat[0][0]
    tested = {t.seed for t in trials(folder, done, "default")}
    assert tested == {seed for seed, params in finals.items() if params != default}
    ends = [e for e in load_study(folder / "results", done.experiment_id).study.events
            if e.kind == "search_ended"]  # fmt: skip
    assert [(e.detail["arm"], e.detail["repeat"]) for e in ends] == [
        ("zero-shot", 0), ("few-shot", 0), ("few-shot", 1), ("lora", 0), ("lora", 1)
    ]  # fmt: skip


def test_a_killed_study_goes_on_with_the_same_proposals_and_repeats_nothing(
    whole: tuple[Path, StudyRun], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Stopping(9), seeds=[1, 2])
    rest = Watching()
    done = run(tmp_path / "killed", rest, seeds=[1, 2])
    for arm in ("few-shot", "lora"):
        asked = [
            {(t.search_repeat, t.number): t.params for t in trials(folder, study, "search", arm)}
            for folder, study in (whole, (tmp_path / "killed", done))
        ]
        assert asked[0] == asked[1]
    assert done.trials_known == 9
    again = Watching()
    assert run(tmp_path / "killed", again, seeds=[1, 2]).trials_run == 0


def test_repeats_and_trials_extend_a_study(tmp_path: Path) -> None:
    alone: dict[str, Any] = {"arms": {"lora": STUDY["arms"]["lora"]}, "seeds": [1, 2]}
    once = run(tmp_path, **alone, search={"repeats": 1})
    before = {t.trial_id for t in trials(tmp_path, once, "search")}
    twice = run(tmp_path, **alone)
    assert twice.experiment_id == once.experiment_id
    searched = {t.trial_id for t in trials(tmp_path, twice, "search")}
    assert before < searched
    longer = run(tmp_path, **alone, budget={"trials": 4, "test_default": True})
    more = trials(tmp_path, longer, "search")
    assert searched < {t.trial_id for t in more}
    assert len(more) == 8
    # Restated as one search, only the first one counts.
    budget = {"trials": 4, "test_default": True}
    done = run(tmp_path, **alone, search={"repeats": 1}, budget=budget)
    (row,) = [one for one in load_study(tmp_path / "results", done.experiment_id).findings.arms
              if one.arm == "lora"]  # fmt: skip
    assert row.complete == 4
    assert row.searches == 1


def test_the_report_shows_the_setting_of_each_search(whole: tuple[Path, StudyRun]) -> None:
    folder, done = whole
    analysed = load_study(folder / "results", done.experiment_id)
    rows = [one for one in analysed.findings.searches if one.arm == "lora"]
    assert [(one.repeat, one.repeats, one.asked, one.budget_trials) for one in rows] == [
        (0, 2, 3, 3), (1, 2, 3, 3)
    ]  # fmt: skip
    assert analysed.findings.primary is not None
    contrasts = (analysed.findings.primary, *analysed.findings.secondary)
    (tuned,) = [one for one in contrasts if {one.a, one.b} == {"lora", "few-shot"}]
    assert (tuned.seeds_a, tuned.seeds_b) == (2, 2)
    (spread,) = [one for one in analysed.findings.retuning if one.arm == "lora"]
    assert (spread.searches, spread.runs) == (2, 4)
    assert spread.beyond_seeds is not None
    text = write_reports(analysed)["md"].read_text(encoding="utf-8")
    assert "lora, search 1 of 2" in text
    assert "lora, search 2 of 2" in text


@pytest.mark.parametrize(("repeats", "seeds"), [(2, [1, 2, 3]), (3, [1, 2])])
def test_seeds_must_be_dealt_evenly(tmp_path: Path, repeats: int, seeds: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"search\.repeats: .* must be .* or a multiple"):
        experiment(tmp_path, **{**STUDY, "search": {"repeats": repeats}, "seeds": seeds})
