"""The rest of a study's time: learnt from trials that ended, and claimed for no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.records import Phase
from harness.spec.kinds import CLASSIFIER, FULL, LORA, PROMPT, KindInfo
from harness.study.coming import Coming, coming_trials, only_those
from harness.study.remaining import ALONE, Left, Remaining, Took, without
from tests.fake_trial import experiment

SIZES = {"train": 20, "validation": 8, "test": 12}


def coming(arm: str, phase: Phase, kind: KindInfo, number: int, items: int = 0) -> Coming:
    return Coming(arm, phase, kind, number, items, kind.trains and phase != "latency")


def test_a_declaration_names_every_trial_in_the_order_of_the_study(tmp_path: Path) -> None:
    arms = {
        "few-shot": {"kind": "prompt", "shots": {"choices": [1, 2], "default": 1}},
        "lora": {"kind": "lora", "learning_rate": 1e-3, "curve": [4, 99]},
        "full": {"kind": "full"},
    }
    budget = {"trials": 3, "test_default": True}
    spec = experiment(tmp_path, arms=arms, budget=budget, seeds=[1, 2], train_gap_items=5)
    told = [(one.arm, one.phase, one.number, one.items) for one in coming_trials(spec, SIZES)]
    assert told == [
        ("base", "baseline", 1, 20),
        ("few-shot", "search", 2, 8), ("lora", "search", 1, 8), ("full", "search", 3, 8),
        ("few-shot", "finalist", 2, 20), ("lora", "finalist", 2, 25), ("full", "finalist", 2, 25),
        ("few-shot", "default", 2, 20), ("full", "default", 2, 20),
        ("lora", "curve", 2, 8),
        ("few-shot", "latency", 2, 8), ("lora", "latency", 2, 8), ("full", "latency", 2, 8),
    ]  # fmt: skip


def test_a_setting_trained_once_is_not_trained_again_for_its_test(tmp_path: Path) -> None:
    arms = {"zero": {"kind": "prompt"}, "lora": {"kind": "lora", "learning_rate": 1e-3}}
    spec = experiment(tmp_path, arms=arms, seeds=[1, 2], train_gap_items=5)
    finals = [one for one in coming_trials(spec, SIZES) if one.phase == "finalist"]
    assert [(one.arm, one.number, one.trains) for one in finals] == [
        ("zero", 2, False), ("lora", 1, False), ("lora", 1, True),
    ]  # fmt: skip


def test_what_is_not_tested_is_not_waited_for() -> None:
    every = [
        coming("a", "search", PROMPT, 3),
        coming("a", "finalist", PROMPT, 2),
        coming("a", "default", PROMPT, 2),
        coming("a", "latency", PROMPT, 2),
    ]
    kept = only_those(every, [])
    assert [one.phase for one in kept] == ["search", "latency"]
    left = without(every, [("a", "search"), ("a", "search"), ("a", "finalist"), ("b", "search")])
    assert [(one.phase, one.number) for one in left] == [
        ("search", 1), ("finalist", 1), ("default", 2), ("latency", 2),
    ]  # fmt: skip


def test_a_trial_takes_as_long_as_one_like_it() -> None:
    known = Remaining()
    search = coming("lora", "search", LORA, 3, 8)
    assert known.seconds(search) is None
    known.learn(Took("lora", "search", 100.0, 60.0, 8, 16.0, 10.0))
    assert known.seconds(search) == 100.0
    known.learn(Took("lora", "search", 50.0, 30.0, 8, 8.0, 5.0))
    assert known.seconds(search) == 75.0
    assert known.left([search]) == Left(225.0, ())
    assert known.left([search], at_once=2) == Left(112.5, ())


def test_a_final_run_is_put_together_from_its_searchs_parts() -> None:
    known = Remaining()
    known.learn(Took("base", "baseline", 40.0, 0.0, 20, 10.0, 25.0))
    known.learn(Took("lora", "search", 100.0, 60.0, 8, 16.0, 10.0))
    # 14 s around, 60 s of training, 25 items at 2 s, and the general tasks as the base took them.
    assert known.seconds(coming("lora", "finalist", LORA, 1, 25)) == pytest.approx(
        14 + 60 + 50 + 25
    )
    # One that the search trained already.
    scored = Coming("lora", "finalist", LORA, 1, 25, False)
    assert known.seconds(scored) == pytest.approx(14 + 50 + 25)
    # Another fine-tuned arm is taken to be alike until it has run.
    assert known.seconds(coming("full", "search", FULL, 1, 8)) == pytest.approx(100.0)
    # A prompt is asked as the base was; a classifier does next to nothing.
    assert known.seconds(coming("zero", "search", PROMPT, 1, 8)) == pytest.approx(5 + 4)
    assert known.seconds(coming("words", "search", CLASSIFIER, 1, 8)) == pytest.approx(5.0)


def test_timed_requests_are_asked_alone() -> None:
    known = Remaining()
    known.learn(Took("zero", "search", 9.0, 0.0, 8, 4.0, 0.0))
    timed = coming("zero", "latency", PROMPT, 2, 6)
    assert known.seconds(timed) == pytest.approx(5 + ALONE * 6 * 0.5)
    known.learn(Took("other", "latency", 7.0, 0.0, 0, 0.0, 7.0))
    assert known.seconds(timed) == 7.0


def test_no_time_is_claimed_for_what_nothing_is_known_of() -> None:
    known = Remaining()
    known.learn(Took("base", "baseline", 400.0, 0.0, 20, 10.0, 25.0))
    trained = coming("lora", "search", LORA, 2, 8)
    prompted = coming("zero", "search", PROMPT, 2, 8)
    left = known.left([trained, prompted])
    # 365 s around each, and 4 s for its items.
    assert left.seconds == pytest.approx(2 * (365 + 4))
    assert left.unknown == ("lora",)
    assert left.sentence() == "over 10 minutes left (lora not timed yet)"


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (Left(0.0, ()), "less than a minute left"),
        (Left(59.0, ()), "less than a minute left"),
        (Left(61.0, ()), "about a minute left"),
        (Left(430.0, ()), "about 7 minutes left"),
        (Left(430.0, ("lora",)), "over 7 minutes left (lora not timed yet)"),
        (Left(430.0, ("a", "b", "c")), "over 7 minutes left (a, b and c not timed yet)"),
        (Left(430.0, ("x" * 25,)), "over 7 minutes left (1 arm not timed yet)"),
        (Left(430.0, ("x" * 15, "y" * 9)), "over 7 minutes left (2 arms not timed yet)"),
        (Left(5.0, ("full", "lora")), "time left not known before full and lora ran"),
    ],
)
def test_it_is_said_as_honestly_as_it_is_known(left: Left, said: str) -> None:
    assert left.sentence() == said
