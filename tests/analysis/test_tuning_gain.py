"""What tuning gained over the default setting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.whole_study import analyse
from harness.findings import TuningGain

from .study_builder import StudyBuilder, experiment, right, whole_study


def tuned(default: float, selected: float, seeds: tuple[int, ...] = (1, 2, 3)) -> StudyBuilder:
    """`lora` selected setting 1; both it and the default are tested, the default on ``seeds``."""
    built = StudyBuilder(experiment()).search("lora", [0.5, 0.6])
    for seed in (1, 2, 3):
        built.finalist("lora", seed, {"test": right(selected)}, setting=1)
    for seed in seeds:
        built.finalist("lora", seed, {"test": right(default)}, phase="default")
    return built


def gain_in(built: StudyBuilder) -> TuningGain:
    (found,) = analyse(built.build(), resamples=500, sensitivity=False).tuning
    return found


def test_the_gain_is_paired_and_judged_by_the_margin() -> None:
    found = gain_in(tuned(0.5, 0.7))
    assert (found.default_test, found.selected_test) == pytest.approx((0.5, 0.7))
    assert found.gain == pytest.approx(0.2)
    assert found.interval is not None
    assert 0.1 < found.interval.low < 0.2 < found.interval.high < 0.3
    assert (found.outcome, found.seeds, found.kept_default) == ("better", 3, False)
    assert (found.default_params, found.selected_params) == ({"setting": 0}, {"setting": 1})
    assert gain_in(tuned(0.7, 0.5)).outcome == "worse"


def test_only_common_seeds_are_compared() -> None:
    found = gain_in(tuned(0.5, 0.7, seeds=(2, 9)))
    assert found.seeds == 1
    assert found.gain == pytest.approx(0.2)
    assert gain_in(tuned(0.5, 0.7, seeds=(9,))).gain is None


def test_a_kept_default_gains_nothing_by_construction() -> None:
    built = StudyBuilder(experiment()).search("lora", [0.6, 0.5])
    built.finalist("lora", 1, {"test": right(0.7)}, setting=0)
    found = gain_in(built)
    assert (found.kept_default, found.gain, found.outcome) == (True, 0.0, "equivalent")
    assert found.interval is None
    assert found.default_test == found.selected_test == pytest.approx(0.7)


def test_an_untested_default_gives_no_gain() -> None:
    found = gain_in(tuned(0.5, 0.7, seeds=()))
    assert (found.gain, found.interval, found.outcome, found.default_test) == (None,) * 4
    assert found.selected_test == pytest.approx(0.7)


def test_the_default_of_another_generation_is_not_taken_for_trial_0() -> None:
    built = tuned(0.5, 0.7)
    built.trials = [
        replace(trial, params={"setting": 7}) if trial.phase == "default" else trial
        for trial in built.trials
    ]
    assert gain_in(built).gain is None


def test_defaults_are_no_finalists() -> None:
    with_defaults, without = whole_study(), whole_study()
    for seed in (1, 2, 3):
        with_defaults.finalist("lora", seed, {"test": right(0.1)}, phase="default")
    one, other = (analyse(b.build(), resamples=200) for b in (with_defaults, without))
    assert one.primary == other.primary
    assert one.verdict == other.verdict
    assert one.arms == other.arms


def test_an_arm_that_only_searched_has_no_entry() -> None:
    assert analyse(whole_study(seeds=()).build(), resamples=100).tuning == ()
