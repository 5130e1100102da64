"""Learning curves: known gaps, and how often intervals of their change hold the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from harness.analysis.generalisation.learning_curve import (
    SizeScores,
    assess_curve,
    gap_change_sampling,
    held_out_gain_sampling,
)
from harness.analysis.statistics.pairing import Floats
from harness.analysis.whole_study import analyse
from harness.findings import LearningCurve
from harness.records import ScoreVector

from .study_builder import StudyBuilder, experiment, items_reversed, right

STUDIES = 200


def curve_study() -> StudyBuilder:
    """Sizes 25 and 50, and the whole 100: gaps of 0.5, 0.3 and 0.1."""
    built = StudyBuilder(experiment()).search("lora", [0.6])
    for seed in (1, 2, 3):
        for size, train, validation in ((50, 0.9, 0.6), (25, 1.0, 0.5)):
            built.finalist(
                "lora",
                seed,
                {"train": right(train, size), "validation": right(validation)},
                phase="curve",
                train_items=size,
            )
        scores = {"train": right(0.8), "validation": right(0.7), "test": right(0.65)}
        built.finalist("lora", seed, scores)
    return built


def curve_in(built: StudyBuilder) -> LearningCurve:
    (found,) = analyse(built.build(), resamples=500, sensitivity=False).curves
    return found


def test_a_built_curve_is_read_back() -> None:
    found = curve_in(curve_study())
    assert [point.train_items for point in found.points] == [25, 50, 100]
    assert [point.full for point in found.points] == [False, False, True]
    assert [point.seeds for point in found.points] == [3, 3, 3]
    assert [point.train for point in found.points] == pytest.approx([1.0, 0.9, 0.8])
    assert [point.held_out for point in found.points] == pytest.approx([0.5, 0.6, 0.7])
    assert [point.gap for point in found.points] == pytest.approx([0.5, 0.3, 0.1])
    assert found.gap_change == pytest.approx(0.4)
    assert found.last_gain == pytest.approx(0.1)
    assert found.gap_change_interval is not None
    assert 0 < found.gap_change_interval.low < 0.4 < found.gap_change_interval.high
    assert found.last_gain_interval is not None
    assert 0 < found.last_gain_interval.low < 0.1 < found.last_gain_interval.high
    assert all(point.held_out_interval and point.gap_interval for point in found.points)


def test_missing_parts_are_none_not_zero() -> None:
    built = curve_study()
    built.vectors = [v for v in built.vectors if v.split != "train" or v.phase != "curve"]
    found = curve_in(built)
    assert [point.gap for point in found.points][:2] == [None, None]
    assert found.points[0].train is None
    assert (found.gap_change, found.gap_change_interval) == (None, None)
    assert found.last_gain == pytest.approx(0.1)
    built.vectors = [v for v in built.vectors if v.split != "validation"]
    found = curve_in(built)
    assert (found.last_gain, found.points[0].held_out, found.points[0].seeds) == (None, None, 0)


def test_a_curve_of_another_setting_is_not_this_ones() -> None:
    built = curve_study()
    built.trials = [
        replace(trial, params={"setting": 7}) if trial.train_items == 25 else trial
        for trial in built.trials
    ]
    assert [point.train_items for point in curve_in(built).points] == [50, 100]


def test_one_size_is_no_curve() -> None:
    built = curve_study()
    built.trials = [trial for trial in built.trials if trial.phase != "curve"]
    assert analyse(built.build(), resamples=100).curves == ()
    assert analyse(StudyBuilder(experiment()).build(), resamples=100).curves == ()


def test_the_order_of_items_changes_nothing() -> None:
    study = curve_study().build()
    again = items_reversed(study)
    assert analyse(again, resamples=100).curves == analyse(study, resamples=100).curves


def vector(seed: int, split: str, values: Floats) -> ScoreVector:
    names = tuple(f"{split}-{item}" for item in range(len(values)))
    return ScoreVector(
        trial_id=f"t{seed}", arm="lora", kind="lora", phase="curve", seed=seed, suite="domain",
        task="domain", split=split, metric="exact_match", higher_is_better=True, chance=None,
        doc_hashes=names, clusters=("",) * len(values), values=values,
    )  # fmt: skip


def drawn_size(
    generator: np.random.Generator, size: int, gap: float, difficulty: Floats, seeds: int
) -> SizeScores:
    """Right-or-wrong scores whose true gap, train minus held-out, is ``gap``."""
    train = np.clip(generator.uniform(0.2, 0.8, 80) + gap, 0, 1)

    def answers(shares: Floats) -> Floats:
        return (generator.random(len(shares)) < shares).astype(float)

    return SizeScores(
        size,
        tuple(vector(seed, f"train-{size}", answers(train)) for seed in range(seeds)),
        tuple(vector(seed, "validation", answers(difficulty)) for seed in range(seeds)),
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_hold_a_true_change_of_the_gap_as_often_as_they_say(seeds: int) -> None:
    generator = np.random.default_rng(30)
    held = gained = 0
    for _ in range(STUDIES):
        difficulty = generator.uniform(0.2, 0.8, 100)
        small = drawn_size(generator, 20, 0.2, difficulty, seeds)
        large = drawn_size(generator, 80, 0.05, difficulty, seeds)
        change = gap_change_sampling(small, large, 300, generator)
        gain = held_out_gain_sampling(small, large, 300, generator)
        assert change is not None
        assert gain is not None
        interval = change.interval(0.95)
        held += interval.low <= 0.15 <= interval.high
        interval = gain.interval(0.95)
        gained += interval.low <= 0 <= interval.high
    # With true coverage 95 % fewer than this many hold the truth in 1 run of 1,000.
    assert min(held, gained) >= int(binom.ppf(0.001, STUDIES, 0.95))


def test_swapping_the_sizes_flips_the_sign_of_the_change() -> None:
    generator = np.random.default_rng(31)
    difficulty = generator.uniform(0.2, 0.8, 100)
    small = drawn_size(generator, 20, 0.2, difficulty, 3)
    large = drawn_size(generator, 80, 0.05, difficulty, 3)
    one = gap_change_sampling(small, large, 2000, np.random.default_rng(1))
    other = gap_change_sampling(large, small, 2000, np.random.default_rng(1))
    assert one is not None
    assert other is not None
    assert one.estimate == pytest.approx(-other.estimate)
    ours, theirs = one.interval(0.95), other.interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((-theirs.high, -theirs.low), abs=0.02)


def test_sizes_may_come_in_any_order() -> None:
    generator = np.random.default_rng(32)
    difficulty = generator.uniform(0.2, 0.8, 100)
    sizes = [drawn_size(generator, size, 0.1, difficulty, 2) for size in (40, 20, 80)]
    found = [
        assess_curve("lora", order, level=0.95, resamples=100, generator=np.random.default_rng(1))
        for order in (sizes, sizes[::-1])
    ]
    assert found[0] == found[1]
