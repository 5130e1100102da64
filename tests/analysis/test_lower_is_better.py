"""A primary metric of which lower is better: the same study, mirrored, has the same findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis.statistics.paired import compare, conclude_primary
from harness.analysis.statistics.single_arm import mean_interval
from harness.analysis.whole_study import analyse
from harness.findings import Contrast, Findings
from harness.records import ScoreVector
from tests.analysis.study_builder import ACCURACY, StudyBuilder, experiment

ITEMS = 120
ARMS: dict[str, Any] = {"few-shot": "prompt", "zero": "prompt", "lora": "lora", "full": "full"}
ANSWER = {"kind": "number", "column": "y"}


def scores(level: float, seed: int) -> NDArray[np.float64]:
    """Scores from 0 to 1 whose mean is about ``level``."""
    noise = np.random.default_rng(seed).uniform(-0.2, 0.2, ITEMS)
    return np.clip(np.round(level + noise, 3), 0, 1)


def study(metric: str, factor: float = 1.0) -> StudyBuilder:
    """The same study under a metric; of an error, what lacks from 1 times ``factor``."""
    turned = metric != "exact_match"

    def seen(value: Any) -> Any:
        return factor * (1 - value) if turned else value

    built = StudyBuilder(
        experiment(
            ARMS,
            task={"instruction": "Add.", "answer": ANSWER, "metrics": [metric]},
            contrast={"margin": 0.03 * factor},
        ),
        {"facts": ACCURACY},
    )
    levels = {"few-shot": 0.55, "zero": 0.45, "lora": 0.75, "full": 0.65}
    for arm, level in levels.items():
        built.search(arm, [seen(level - 0.1), seen(level), seen(level - 0.2)])
    general = np.ones(ITEMS)
    built.finalist("base", 0, {"test": seen(scores(0.3, 0)), "general:facts": general})
    for seed in (1, 2, 3):
        for arm, level in levels.items():
            splits = {
                split: seen(scores(level + more, 1000 * seed + sum(map(ord, arm)) + place))
                for place, (split, more) in enumerate(
                    [("test", 0.0), ("train", 0.1), ("validation", 0.02)]
                )
            }
            trained = {"general:facts": general} if arm in ("lora", "full") else {}
            built.finalist(arm, seed, {**splits, **trained}, setting=1)
    return built


@pytest.fixture(scope="module")
def plain() -> Findings:
    return analyse(study("exact_match").build(), resamples=400)


@pytest.fixture(scope="module", params=[("relative_error", 1.0), ("absolute_error", 250.0)])
def mirrored(request: pytest.FixtureRequest) -> tuple[Findings, float]:
    metric, factor = request.param
    return analyse(study(metric, factor).build(), resamples=400), factor


def same(one: Contrast, other: Contrast, factor: float) -> None:
    assert (one.a, one.b, one.outcome) == (other.a, other.b, other.outcome)
    assert other.difference == pytest.approx(factor * one.difference)
    assert other.mean_a == pytest.approx(factor * (1 - one.mean_a))
    assert other.interval.low == pytest.approx(factor * one.interval.low, rel=0.02)
    assert other.interval.high == pytest.approx(factor * one.interval.high, rel=0.02)
    assert other.minimum_detectable == pytest.approx(factor * one.minimum_detectable, rel=0.02)


def test_the_verdict_and_the_contrasts_are_the_same(
    plain: Findings, mirrored: tuple[Findings, float]
) -> None:
    other, factor = mirrored
    assert (plain.verdict.outcome, plain.verdict.winner) == ("fine_tune", "lora")
    assert (other.verdict.outcome, other.verdict.winner) == ("fine_tune", "lora")
    assert plain.primary is not None and other.primary is not None
    assert plain.primary.difference > 0
    same(plain.primary, other.primary, factor)
    assert len(plain.secondary) == len(other.secondary) > 1
    for one, two in zip(plain.secondary, other.secondary, strict=True):
        same(one, two, factor)


def test_searches_select_the_least_error(plain: Findings, mirrored: tuple[Findings, float]) -> None:
    other, factor = mirrored
    for one, two in zip(plain.searches, other.searches, strict=True):
        assert one.choice is not None and two.choice is not None
        assert one.choice.number == two.choice.number == two.choice.best_number == 1
        assert two.choice.score == pytest.approx(factor * (1 - one.choice.score))


def test_overfitting_is_worse_on_test_whatever_the_direction(
    plain: Findings, mirrored: tuple[Findings, float]
) -> None:
    other, factor = mirrored
    for one, two in zip(plain.overfitting, other.overfitting, strict=True):
        assert one.generalisation_gap is not None and one.generalisation_gap > 0.05
        assert two.generalisation_gap == pytest.approx(factor * one.generalisation_gap)
        assert one.selection_gap is not None
        assert two.selection_gap == pytest.approx(factor * one.selection_gap)


def test_the_trade_off_and_the_sensitivity_are_the_same(
    plain: Findings, mirrored: tuple[Findings, float]
) -> None:
    other, factor = mirrored
    for one, two in zip(plain.trade_off, other.trade_off, strict=True):
        assert two.domain_gain == pytest.approx(factor * one.domain_gain)
        assert (one.on_front, one.general_change) == (two.on_front, two.general_change)
    assert plain.sensitivity is not None and other.sensitivity is not None
    flips = [
        [flip for flip in found.sensitivity.flips if flip.assumption == "contrast.margin"]
        for found in (plain, other)
        if found.sensitivity is not None
    ]
    for first, second in zip(*flips, strict=True):
        assert (first.at is None) == (second.at is None)
        if first.at is not None and second.at is not None:
            assert (first.outcome, first.winner) == (second.outcome, second.winner)
            assert second.at == pytest.approx(factor * first.at, rel=0.15)
    changed = [[row.changed for row in found.sensitivity.perturbations]
               for found in (plain, other) if found.sensitivity]  # fmt: skip
    assert changed[0] == changed[1]


def test_sentences_say_that_lower_is_better(mirrored: tuple[Findings, float]) -> None:
    findings, _ = mirrored
    said = " ".join([findings.verdict.sentence, *findings.verdict.reasons])
    assert "where lower is better," in said
    assert "lora is better by" in said


def vector(arm: str, values: Any, metric: str = "absolute_error") -> ScoreVector:
    built = study(metric, 1.0).build().vectors[0]
    return replace(
        built,
        arm=arm,
        metric=metric,
        values=np.asarray(values, np.float64),
        doc_hashes=tuple(map(str, range(len(values)))),
        item_ids=(),
        clusters=("",) * len(values),
        higher_is_better=False,
    )


def test_a_few_items_equally_wrong_do_not_prove_two_arms_equal() -> None:
    wrong = [float(n * 40) for n in range(15)]
    generator = np.random.default_rng(0)
    comparison = compare(
        [vector("a", wrong)], [vector("b", wrong)], margin=20, level=0.95, resamples=400,
        generator=generator,
    )  # fmt: skip
    assert comparison is not None
    contrast = conclude_primary(comparison)
    assert contrast.difference == 0
    assert contrast.outcome == "inconclusive"
    assert contrast.interval.low < -20 < 20 < contrast.interval.high


def test_an_error_without_bounds_has_an_interval_beyond_1() -> None:
    off = [1.0] * 19 + [0.0]
    generator = np.random.default_rng(0)
    unbounded = mean_interval([vector("a", off)], 0.95, 400, generator)
    bounded = mean_interval([vector("a", off, "relative_error")], 0.95, 400, generator)
    assert unbounded is not None and bounded is not None
    assert bounded.high < 1 < unbounded.high
