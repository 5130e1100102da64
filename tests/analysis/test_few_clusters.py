"""Differences of a few clusters: never told more exactly than their number allows."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis.statistics.few_clusters import FewClusters, fewest_clusters
from harness.analysis.whole_study import analyse
from harness.findings import Contrast, Findings

from .study_builder import StudyBuilder, experiment

Floats = NDArray[np.float64]


def found(
    prompt: list[Floats], tuned: list[Floats], clusters: list[str] | None = None, **changes: Any
) -> Findings:
    """A study of one prompt and one adapter; a row of test scores for each seed."""
    built = StudyBuilder(experiment(general=None, **changes))
    built.search("few-shot", [0.5, 0.4]).search("lora", [0.6, 0.5])
    of = None if clusters is None else {"test": clusters}
    for seed, (before, after) in enumerate(zip(prompt, tuned, strict=True), start=1):
        built.finalist("few-shot", seed, {"test": before}, clusters=of)
        built.finalist("lora", seed, {"test": after}, clusters=of)
    return analyse(built.build(), resamples=1000, sensitivity=False)


def primary(findings: Findings) -> Contrast:
    assert findings.primary is not None
    return findings.primary


def groups(number: int, size: int) -> list[str]:
    return [f"group {place // size}" for place in range(number * size)]


@pytest.mark.parametrize(("number", "outcome"), [(2, "inconclusive"), (5, "inconclusive"),
                                                  (6, "better"), (9, "better")])  # fmt: skip
def test_groups_that_all_agree_decide_from_six_on(number: int, outcome: str) -> None:
    size = 12
    contrast = primary(
        found([np.zeros(number * size)] * 3, [np.ones(number * size)] * 3, groups(number, size))
    )
    assert contrast.outcome == outcome
    assert contrast.p_value >= 2 ** (1 - number)
    assert contrast.interval.low < 1
    assert (contrast.interval.low <= 0) == (outcome == "inconclusive")
    if number < 6:
        assert contrast.minimum_detectable == 1
        assert contrast.items_needed is not None
        assert contrast.items_needed >= 6 * size


def test_a_seed_that_differs_on_one_item_makes_no_proof_of_five() -> None:
    for items in (4, 5):
        one_wrong = np.ones(items)
        one_wrong[0] = 0
        tuned = [one_wrong, np.ones(items), np.ones(items)]
        contrast = primary(found([np.zeros(items)] * 3, tuned))
        assert contrast.outcome == "inconclusive"
        assert contrast.p_value == pytest.approx(2 ** (1 - items), rel=0.01)


def test_few_items_with_one_difference_prove_neither_a_lead_nor_equality() -> None:
    for difference in (0.1, 0.001):
        contrast = primary(found([np.full(3, 0.8)] * 3, [np.full(3, 0.8 + difference)] * 3))
        assert contrast.outcome == "inconclusive"
        assert contrast.interval.low < -0.5
        assert contrast.interval.high > 0.5


def test_the_number_of_groups_is_named_where_it_cannot_decide() -> None:
    caveats = found([np.zeros(40)] * 3, [np.ones(40)] * 3, groups(4, 10)).verdict.caveats
    assert any("40 test items of 4 groups" in caveat and "6 groups" in caveat for caveat in caveats)
    many = found([np.zeros(40)] * 3, [np.ones(40)] * 3, groups(8, 5)).verdict.caveats
    assert not any("groups" in caveat for caveat in many)


@pytest.mark.parametrize("number", [3, 4, 6, 9])
def test_groups_that_a_coin_decides_are_rarely_called_better(number: int) -> None:
    drawn, called = np.random.default_rng(number), 0
    for _ in range(40):
        tuned = np.repeat(drawn.integers(0, 2, number), 4).astype(np.float64)
        contrast = primary(found([1 - tuned] * 3, [tuned] * 3, groups(number, 4)))
        called += contrast.outcome in ("better", "worse")
    assert called <= 5  # at 5 %, six or more of 40 come in one of seventy such tests


def test_the_items_that_an_open_difference_takes_are_of_enough_groups() -> None:
    drawn = np.random.default_rng(3)
    tuned = np.where(drawn.uniform(size=15) < 0.9, 1.0, 0.0)
    findings = found([np.zeros(15)] * 3, [tuned] * 3, groups(5, 3))
    contrast = primary(findings)
    assert contrast.outcome == "inconclusive"
    assert contrast.items_needed is not None and contrast.items_needed >= 18
    assert "groups would settle it" in findings.verdict.sentence


def test_bounds_are_those_of_the_exact_test_by_random_signs() -> None:
    drawn = np.random.default_rng(5)
    sums, weights = drawn.normal(0.3, 1, 7), drawn.uniform(0.5, 2, 7)
    weights /= weights.sum()
    few = FewClusters(sums * weights, weights, limit=9.0)

    def p_above(null: float) -> float:
        centred = few.sums - null * few.weights
        signs = np.array(list(product((1, -1), repeat=7)))
        return float(np.mean(signs @ centred >= centred.sum() - 1e-12))

    for tail in (0.025, 0.05, 0.2):
        bound = few.lower(tail)
        assert p_above(bound - 1e-9) <= tail < p_above(bound + 1e-9)
        assert few.negated().upper(tail) == pytest.approx(-bound)
    assert few.lower(0.001) == -9 == -few.upper(0.001)


def test_the_fewest_clusters_follow_from_the_level() -> None:
    assert [fewest_clusters(tail) for tail in (0.25, 0.05, 0.025, 0.005)] == [2, 5, 6, 8]
