from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.power import TTestPower

from harness.analysis.bootstrap import ItemSample, SeedEffect, sampling_of, seed_effect
from harness.analysis.paired import mcnemar_p, permutation_p
from harness.analysis.pairing import Aligned, Floats
from harness.analysis.power import (
    Flips,
    items_to_settle,
    mcnemar_items_needed,
    mcnemar_minimum_detectable,
    mcnemar_power,
    noncentrality,
)
from harness.analysis.single_arm import wilson


def aligned(a: Floats, b: Floats, clusters: int | None = None) -> Aligned:
    items = a.shape[1]
    codes = np.arange(items) // (items // (clusters or items))
    return Aligned(tuple(map(str, range(items))), (a, b), codes, int(codes.max()) + 1, 0, 0)


def test_flipping_signs_is_exact_where_all_patterns_fit() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 1, 8))
    differences = (a - b)[0]
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=8)]
    expected = np.mean([value >= abs(differences.sum()) - 1e-12 for value in sums])
    found = permutation_p(aligned(a, b), 10_000, generator)
    assert found == pytest.approx(expected)


def test_signs_of_a_cluster_flip_together() -> None:
    a, b = np.ones((1, 12)), np.zeros((1, 12))
    # Three clusters: of eight sign patterns, two are as extreme as what was seen.
    assert permutation_p(aligned(a, b, 3), 1000, np.random.default_rng(0)) == pytest.approx(0.25)
    assert permutation_p(aligned(a, a), 1000, np.random.default_rng(0)) == 1


@pytest.mark.parametrize("items", [10, 25, 80])
def test_the_noncentrality_is_that_of_the_paired_t_test(items: int) -> None:
    expected = TTestPower().solve_power(nobs=items, alpha=0.05, power=0.8)
    critical = float(t.ppf(0.975, items - 1))
    assert noncentrality(items - 1, critical) == pytest.approx(expected * np.sqrt(items), rel=1e-3)


@pytest.mark.parametrize(("gain", "share", "items"), [(0.1, 0.3, 150), (0.05, 0.1, 300)])
def test_the_power_of_mcnemar_is_what_simulation_counts(
    gain: float, share: float, items: int
) -> None:
    generator = np.random.default_rng(1)
    discordant = generator.binomial(items, share, 4000)
    wins = generator.binomial(discordant, (share + gain) / (2 * share))
    found = [
        2 * win > both and mcnemar_p(int(win), int(both - win)) < 0.05
        for win, both in zip(wins, discordant, strict=True)
    ]
    power = mcnemar_power(gain, share, items, 0.95)
    assert np.mean(found) == pytest.approx(power, abs=0.025)


def test_the_detectable_difference_has_eighty_per_cent_power_and_shrinks_with_items() -> None:
    few, many = Flips(20, 18, 200), Flips(200, 180, 2000)
    for flips in (few, many):
        difference = mcnemar_minimum_detectable(flips, 0.95)
        power = mcnemar_power(difference, flips.discordance, flips.items, 0.95)
        assert power == pytest.approx(0.8, abs=0.02)
    ratio = mcnemar_minimum_detectable(few, 0.95) / mcnemar_minimum_detectable(many, 0.95)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)
    assert mcnemar_minimum_detectable(Flips(0, 0, 4), 0.95) == 1


def test_items_needed_by_mcnemar_have_eighty_per_cent_power() -> None:
    generator = np.random.default_rng(2)
    values = np.repeat([1.0, 0.0, -1.0], (30, 150, 20))
    sampling = sampling_of([ItemSample(values, np.arange(200), 200)], [], 500, generator)
    needed = mcnemar_items_needed(Flips(30, 20, 200), sampling, 0.01, 0.95)
    assert needed is not None
    power = mcnemar_power(0.05, Flips(30, 20, 200).discordance, needed, 0.95)
    assert power == pytest.approx(0.8, abs=0.01)


def test_items_that_bring_a_mean_clear_of_a_border() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(0.0, 0.3, 400).clip(-1, 1)
    sampling = sampling_of([ItemSample(values, np.arange(400), 400)], [], 4000, generator)
    needed = items_to_settle(sampling, 400, -0.05, 0.95)
    expected = values.var() * (2.8016 / (sampling.estimate + 0.05)) ** 2
    assert needed == pytest.approx(max(401, expected), rel=0.1)
    assert items_to_settle(sampling, 400, sampling.estimate, 0.95) is None


def test_the_noise_of_single_answers_is_told_from_the_effect_of_a_seed() -> None:
    generator = np.random.default_rng(4)
    noise, between = [], []
    for _ in range(400):
        effects = generator.normal(0, 0.2, (5, 1))
        scores = effects + generator.normal(0, 1, (5, 100)) + generator.normal(0, 1, 100)
        effect = seed_effect(scores, np.arange(100), 100)
        noise.append(effect.noise)
        between.append(effect.variance.value - effect.noise)
    assert np.mean(noise) == pytest.approx(1 / 100 / 5, rel=0.05)
    assert np.mean(between) == pytest.approx(0.2**2 / 5, rel=0.15)


def test_seeds_that_differ_by_noise_alone_widen_nothing() -> None:
    generator = np.random.default_rng(5)
    items = ItemSample(generator.normal(size=300), np.arange(300), 300, bounded=False)
    alone = sampling_of([items], [], 4000, np.random.default_rng(0))
    noisy = SeedEffect(np.array([0.0, 0.01, -0.01]), noise=0.001)
    beside = sampling_of([items], [noisy], 4000, np.random.default_rng(0))
    assert beside.seed_variance == 0
    assert beside.interval(0.95) == alone.interval(0.95)
    apart = sampling_of([items], [SeedEffect(np.array([0.0, 1.0, -1.0]), 0.0)], 4000, generator)
    assert apart.seed_variance == pytest.approx(1 / 3)
    width = apart.interval(0.95).high - apart.estimate
    assert width == pytest.approx(float(t.ppf(0.975, 2)) * np.sqrt(1 / 3), rel=0.06)


@pytest.mark.parametrize(
    ("right", "items", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_as_newcombe_1998_prints_it(
    right: int, items: int, low: float, high: float
) -> None:
    found = wilson(right, items, 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_mcnemars_exact_test_as_fagerland_2013_prints_it() -> None:
    # Airways of 21 children before and after a transplantation: one improved, seven got worse.
    assert mcnemar_p(1, 7) == pytest.approx(0.0703, abs=5e-5)
