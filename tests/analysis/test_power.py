from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm, t

from harness.analysis.statistics.bootstrap import SeedEffect, sampling_of, seed_effect
from harness.analysis.statistics.item_sample import ItemSample
from harness.analysis.statistics.paired_proportions import PairedProportions, counted_p
from harness.analysis.statistics.power import (
    items_needed,
    items_to_settle,
    minimum_detectable,
    noncentrality,
    proportions_items_needed,
    proportions_minimum_detectable,
    proportions_power,
)
from harness.analysis.statistics.single_arm import wilson


@pytest.mark.parametrize("items", [10, 25, 80])
def test_the_noncentrality_is_that_of_the_paired_t_test(items: int) -> None:
    from statsmodels.stats.power import TTestPower

    expected = TTestPower().solve_power(nobs=items, alpha=0.05, power=0.8)
    critical = float(t.ppf(0.975, items - 1))
    assert noncentrality(items - 1, critical) == pytest.approx(expected * np.sqrt(items), rel=1e-3)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 5.0])
def test_the_noncentrality_at_large_critical_values_goes_on_from_that_at_smaller_ones(
    degrees: float,
) -> None:
    below, above = noncentrality(degrees, 29.9), noncentrality(degrees, 30.1)
    assert above == pytest.approx(below * 30.1 / 29.9, rel=2e-3)
    assert np.isfinite(noncentrality(degrees, 1e6))


def test_seeds_that_hardly_differ_beside_their_noise_leave_numbers_that_can_be() -> None:
    # Almost all of the variance between seeds, 0.005, is noise, and is taken out of it.
    effect = SeedEffect(np.array([0.4, 0.5]), 0.00249)
    sample = ItemSample(np.full(8, 0.45), np.arange(8), 8, bounded=False)
    found = sampling_of([sample], [effect], 400, np.random.default_rng(1), low=-1.0, high=1.0)
    assert found.degrees == 1
    assert found.interval(0.95).high < 0.6
    assert 0 < minimum_detectable(found, 0.99) <= 1


@pytest.mark.parametrize(("gain", "share", "items"), [(0.1, 0.3, 150), (0.05, 0.1, 300)])
def test_the_power_of_two_proportions_is_what_simulation_counts(
    gain: float, share: float, items: int
) -> None:
    generator = np.random.default_rng(1)
    discordant = generator.binomial(items, share, 4000)
    wins = generator.binomial(discordant, (share + gain) / (2 * share))
    found = [
        2 * win > both and PairedProportions(int(win), int(both - win), items).p_value() < 0.05
        for win, both in zip(wins, discordant, strict=True)
    ]
    power = proportions_power(gain, share, items, 0.95)
    assert np.mean(found) == pytest.approx(power, abs=0.025)


def test_the_detectable_difference_has_eighty_per_cent_power_and_shrinks_with_items() -> None:
    few, many = PairedProportions(20, 18, 200), PairedProportions(200, 180, 2000)
    for counts in (few, many):
        difference = proportions_minimum_detectable(counts, 0.95)
        power = proportions_power(difference, counts.discordance, counts.items, 0.95)
        assert power == pytest.approx(0.8, abs=0.02)
    ratio = proportions_minimum_detectable(few, 0.95) / proportions_minimum_detectable(many, 0.95)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)
    assert proportions_minimum_detectable(PairedProportions(0, 0, 4), 0.95) == 1


def test_items_needed_of_two_proportions_have_eighty_per_cent_power() -> None:
    counts = PairedProportions(30, 20, 200)
    needed = proportions_items_needed(counts, 0.01, 0.95)
    assert needed is not None
    assert proportions_power(0.05, counts.discordance, needed, 0.95) == pytest.approx(0.8, abs=0.01)


def test_items_for_equivalence_where_nothing_differs_are_those_of_two_one_sided_tests() -> None:
    values = np.random.default_rng(3).normal(0.0, 0.3, 400)
    sample = ItemSample(values - values.mean(), np.arange(400), 400, bounded=False)
    sampling = sampling_of([sample], [], 4000, np.random.default_rng(0))
    # Of four studies in five that settle it, one in twenty finds a difference that is not there.
    expected = values.var() * ((norm.ppf(0.95) + norm.ppf(0.875)) / 0.035) ** 2
    assert items_needed(sampling, 400, 0.035, 0.95) == pytest.approx(expected, rel=0.05)
    # One sample may be settled either way: as a difference or as equivalence.
    near = ItemSample(values - values.mean() + 0.03, np.arange(400), 400, bounded=False)
    sampling = sampling_of([near], [], 4000, np.random.default_rng(0))
    as_difference = values.var() * ((norm.ppf(0.975) + norm.ppf(0.8)) / 0.03) ** 2
    needed = items_needed(sampling, 400, 0.035, 0.95)
    assert needed is not None
    assert 400 < needed < as_difference


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


@pytest.mark.parametrize("items", [1, 7, 60])
def test_wilsons_interval_is_that_of_scipy(items: int) -> None:
    for right, level in product(range(items + 1), (0.8, 0.95, 0.999)):
        expected = binomtest(right, items).proportion_ci(level, method="wilson")
        found = wilson(right, items, level)
        assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12, abs=1e-15)


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


def test_mcnemars_tests_as_fagerland_2013_prints_them() -> None:
    # Airways of 21 children before and after a transplantation: one improved, seven got worse.
    counts = PairedProportions(1, 7, 21)
    assert counted_p(1, 8, 21) == pytest.approx(0.0391, abs=5e-5)
    assert 2 * counts.p_below() == pytest.approx(0.0339, abs=5e-5)
    assert counts.p_value() == pytest.approx(0.0391, abs=5e-5)
    # Tango's interval of the same, as Fagerland 2014 prints it.
    found = counts.interval(0.95)
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=1e-3)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_the_interval_of_two_proportions_excludes_zero_exactly_where_the_test_rejects(
    level: float,
) -> None:
    for items in (5, 12, 20, 40):
        for wins_a, wins_b in product(range(items + 1), repeat=2):
            if wins_a + wins_b <= items:
                counts = PairedProportions(wins_a, wins_b, items)
                found = counts.interval(level)
                outside = found.low > 0 or found.high < 0
                assert outside == (counts.p_value() < 1 - level), counts
                assert found.low <= counts.estimate <= found.high


@pytest.mark.parametrize("items", [10, 21, 45, 100])
def test_the_test_of_two_proportions_errs_in_one_study_of_twenty_at_most(items: int) -> None:
    both = np.arange(items + 1)
    errs = [
        sum(
            binom.pmf(wins, count, 0.5)
            for wins in range(count + 1)
            if PairedProportions(wins, int(count) - wins, items).p_value() < 0.05
        )
        for count in both
    ]
    for discordance in (0.02, 0.1, 0.3, 0.7):
        assert float(binom.pmf(both, items, discordance) @ np.array(errs)) <= 0.051
