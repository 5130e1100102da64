"""Which trials are counted, against those that a study of fakes really runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.forecast.upcoming import Upcoming, upcoming_trials
from harness.records import TrialSpec, TrialSummary
from harness.store import STORE_FILE, StoreReader
from harness.study.plan import Plan
from harness.study.run import plan_study, run_study
from tests.fake_trial import Watching, experiment

NOBODY = frozenset[str]()


def plan_of(folder: Path, **changes: Any) -> Plan:
    return plan_study(experiment(folder, **changes), folder / "elsewhere")


def fresh(plan: Plan) -> list[Upcoming]:
    return upcoming_trials(plan, (), lambda keys: NOBODY)


def run(folder: Path, **changes: Any) -> tuple[list[TrialSpec], tuple[TrialSummary, ...]]:
    """Trials that were run, and what the store holds then."""
    engine = Watching()
    done = run_study(experiment(folder, **changes), folder / "results", open_with=lambda: engine)
    reader = StoreReader(folder / "results" / STORE_FILE)
    return engine.seen, reader.trials(done.experiment_id)


def asked(spec: TrialSpec) -> tuple[str, str, int, str]:
    """What a trial does, but for what may stop it early: that is known when it is proposed."""
    return spec.arm, spec.phase, spec.seed, repr(spec.params)


def test_the_trials_of_a_study_are_foreseen(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"budget": {"trials": 3}, "seeds": [1, 2]}
    foreseen = fresh(plan_of(tmp_path, **changes))
    ran, _ = run(tmp_path, **changes)
    counted: dict[tuple[str, str], float] = {}
    for one in foreseen:
        key = (one.arm, one.phase)
        counted[key] = counted.get(key, 0) + one.times.expected
    seen = [(spec.arm, spec.phase) for spec in ran]
    assert counted == {key: seen.count(key) for key in dict.fromkeys(seen)}
    # Before it learns, the search proposes what was foreseen.
    options = {asked(spec) for one in foreseen for spec in one.options}
    # Timing is of all finalists together, which are known by then.
    assert {asked(spec) for spec in ran if spec.phase != "latency"} <= options


def test_what_has_ended_is_not_counted_again(tmp_path: Path) -> None:
    _, ended = run(tmp_path)
    plan = plan_of(tmp_path)
    assert upcoming_trials(plan, ended, lambda keys: NOBODY) == []
    longer = plan_of(tmp_path, budget={"trials": 4}, seeds=[1, 2])
    left = upcoming_trials(longer, ended, lambda keys: NOBODY)
    assert {(one.arm, one.phase) for one in left} == {
        ("few-shot", "search"),
        ("lora", "search"),
        ("zero-shot", "finalist"),
        ("few-shot", "finalist"),
        ("lora", "finalist"),
        *((arm, "latency") for arm in ("zero-shot", "few-shot", "lora")),
    }
    assert sum(one.times.expected for one in left if one.phase == "search") == 4


def test_scores_of_the_base_are_known_to_the_arm_that_asks_alike(tmp_path: Path) -> None:
    finals = {one.arm: one for one in fresh(plan_of(tmp_path)) if one.phase == "finalist"}
    zero = finals["zero-shot"].options[0]
    assert set(zero.known_scores) == {request.key for request in zero.scores}
    assert all(spec.known_scores == () for spec in finals["lora"].options)


def test_a_long_search_is_foreseen_in_part(tmp_path: Path) -> None:
    search = [one for one in fresh(plan_of(tmp_path, budget={"trials": 30})) if one.arm == "lora"]
    beyond = [one for one in search if one.phase == "search"][-1]
    assert beyond.times.expected == 25
    assert len(beyond.options) == 5
    assert beyond.prunable


def test_tests_of_defaults_are_likely_and_not_certain(tmp_path: Path) -> None:
    changes = {"budget": {"trials": 4, "test_default": True}}
    defaults = [one for one in fresh(plan_of(tmp_path, **changes)) if one.phase == "default"]
    assert {one.arm for one in defaults} == {"few-shot", "lora"}
    for one in defaults:
        assert (one.times.low, one.times.high) == (0, 1)
        assert one.times.expected == pytest.approx(3 / 4)


def test_learning_curves_are_counted_by_size_and_seed(tmp_path: Path) -> None:
    arms = {"lora": {"kind": "lora", "curve": [8, 16]}}
    curves = [
        one for one in fresh(plan_of(tmp_path, arms=arms, seeds=[1, 2])) if one.phase == "curve"
    ]
    assert [one.options[0].train_items for one in curves] == [8, 8, 16, 16]


def test_every_search_of_an_arm_is_counted_with_its_own_proposals(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "budget": {"trials": 3}, "seeds": [1, 2], "search": {"repeats": 2}
    }  # fmt: skip
    search = [one for one in fresh(plan_of(tmp_path, **changes)) if one.phase == "search"]
    ran, _ = run(tmp_path, **changes)
    searched = [asked(spec) for spec in ran if spec.phase == "search"]
    assert len(searched) == 1 + 2 * 3 + 2 * 3
    assert sum(one.times.expected for one in search) == len(searched)
    assert set(searched) == {asked(spec) for one in search for spec in one.options}
