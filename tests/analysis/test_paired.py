from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, ttest_rel

from harness.analysis.statistics import bootstrap
from harness.analysis.statistics.bootstrap import redrawn_means, seed_deviations
from harness.analysis.statistics.difference import difference_sampling
from harness.analysis.statistics.item_sample import Variance, cluster_variance, degrees_of_freedom
from harness.analysis.statistics.paired import (
    Comparison,
    compare,
    conclude_family,
    conclude_primary,
    contrast_outcome,
    holm,
)
from harness.analysis.statistics.pairing import Aligned, Codes, Floats
from harness.analysis.statistics.power import items_needed, minimum_detectable
from harness.analysis.statistics.sampling import Sampling
from harness.findings import Interval
from harness.records import ScoreVector


def aligned(a: Floats, b: Floats, codes: Codes | None = None) -> Aligned:
    items = a.shape[1]
    codes = np.arange(items) if codes is None else codes
    names = tuple(str(item) for item in range(items))
    return Aligned(names, (a, b), codes, int(codes.max()) + 1, 0, 0)


def vectors(
    arm: str, scores: Floats, clusters: list[str] | None = None, order: list[int] | None = None
) -> list[ScoreVector]:
    items = scores.shape[1]
    order = list(range(items)) if order is None else order
    return [
        ScoreVector(
            trial_id=f"{arm}{seed}",
            arm=arm,
            kind="lora",
            phase="finalist",
            seed=seed,
            suite="domain",
            task="domain",
            split="test",
            metric="m",
            higher_is_better=True,
            chance=None,
            doc_hashes=tuple(f"d{item:04d}" for item in order),
            clusters=tuple((clusters or [""] * items)[item] for item in order),
            values=row[order],
        )
        for seed, row in enumerate(scores)
    ]


def compared(a: list[ScoreVector], b: list[ScoreVector], resamples: int = 500) -> Comparison:
    found = compare(
        a, b, margin=0.03, level=0.95, resamples=resamples, generator=np.random.default_rng(7)
    )
    assert found is not None
    return found


@pytest.mark.parametrize("kinds", [12, 3])
def test_redrawn_means_agree_with_the_slow_definition(
    kinds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Clusters of few kinds are drawn by how often each kind comes.
    monkeypatch.setattr(bootstrap, "CLUSTERS_A_KIND", 3)
    generator = np.random.default_rng(3)
    sizes = generator.integers(1, 6, kinds)
    codes = np.repeat(np.arange(12), np.tile(sizes, 12 // kinds))
    scores = np.tile(generator.normal(size=(2, sizes.sum())), 12 // kinds)
    fast = redrawn_means(scores, codes, 12, 20_000, generator)
    slow = []
    for _ in range(4000):
        items = np.concatenate([np.flatnonzero(codes == g) for g in generator.integers(0, 12, 12)])
        slow.append(scores[:, items].mean(axis=1))
    expected = np.cov(np.array(slow).T) * 12 / 11
    assert np.cov(fast.T) == pytest.approx(expected, rel=0.12, abs=0.005)


def test_seed_deviations_have_the_variance_of_a_mean_over_seeds() -> None:
    seeds = np.array([0.1, 0.4, 0.3])
    changes = seed_deviations(seeds, 50_000, np.random.default_rng(0))
    assert changes.var() == pytest.approx(seeds.var(ddof=1) / 3, rel=0.03)
    assert not seed_deviations(np.ones(1), 5, np.random.default_rng(0)).any()


def test_many_continuous_items_agree_with_the_paired_t_test() -> None:
    generator = np.random.default_rng(5)
    a, b = generator.normal(0.2, 2, (1, 400)), generator.normal(0, 2, (1, 400))
    sampling = difference_sampling(aligned(a, b), 20_000, generator)
    expected = ttest_rel(a[0], b[0])
    span = expected.confidence_interval(0.95)
    interval = sampling.interval(0.95)
    assert sampling.degrees == pytest.approx(399)
    assert (interval.low, interval.high) == pytest.approx((span.low, span.high), abs=0.02)
    assert sampling.p_value() == pytest.approx(float(expected.pvalue), abs=0.02)


def test_effective_number_of_clusters_and_satterthwaite() -> None:
    even = cluster_variance(np.arange(12.0), np.repeat(np.arange(4), 3), 4)
    assert even.degrees == pytest.approx(3)
    uneven = cluster_variance(np.arange(12.0), np.array([0] * 9 + [1, 2, 3]), 4)
    assert uneven.degrees == pytest.approx(1)
    assert degrees_of_freedom([Variance(1, 4), Variance(1, 4)]) == pytest.approx(8)
    assert degrees_of_freedom([Variance(0, 2), Variance(0, np.inf)]) == 2


def test_the_mean_of_independent_items_has_the_textbook_variance() -> None:
    values = np.random.default_rng(0).normal(size=50)
    found = cluster_variance(values, np.arange(50), 50)
    assert found.value == pytest.approx(values.var(ddof=1) / 50)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_the_p_value_agrees_with_the_interval(level: float) -> None:
    generator = np.random.default_rng(11)
    for shift in np.linspace(0, 0.3, 13):
        a, b = generator.normal(shift, 1, (3, 80)), generator.normal(0, 1, (3, 80))
        sampling = difference_sampling(aligned(a, b), 2000, generator)
        interval = sampling.interval(level)
        assert (sampling.p_value() < 1 - level) == (interval.low > 0 or interval.high < 0)


def test_proportions_are_compared_for_right_or_wrong_scores_that_no_seed_changes() -> None:
    generator = np.random.default_rng(1)
    a = generator.integers(0, 2, (1, 60)).astype(np.float64)
    b = generator.integers(0, 2, (1, 60)).astype(np.float64)
    assert compared(vectors("a", a), vectors("b", b)).test == "McNemar test (score)"
    repeated = np.repeat(a, 3, axis=0)
    assert compared(vectors("a", repeated), vectors("b", b)).test == "McNemar test (score)"
    two = np.vstack([a, 1 - a])
    assert compared(vectors("a", two), vectors("b", b)).test == "bootstrap over seeds and items"
    pairs = [f"g{item // 2}" for item in range(60)]
    found = compared(vectors("a", a, pairs), vectors("b", b, pairs))
    assert found.test == "bootstrap over clusters of items"


def test_five_items_all_won_prove_nothing() -> None:
    contrast = conclude_primary(
        compared(vectors("a", np.ones((1, 5))), vectors("b", np.zeros((1, 5))))
    )
    assert contrast.p_value == pytest.approx(0.0625)
    assert contrast.outcome == "inconclusive"


def test_twenty_items_without_a_difference_do_not_prove_equivalence() -> None:
    few = compared(vectors("a", np.ones((1, 20))), vectors("b", np.ones((1, 20))))
    assert conclude_primary(few).outcome == "inconclusive"
    many = compared(vectors("a", np.ones((1, 300))), vectors("b", np.ones((1, 300))))
    assert conclude_primary(many).outcome == "equivalent"


def test_fewer_than_two_clusters_cannot_be_compared() -> None:
    one = ["k"] * 5
    found = compare(
        vectors("a", np.ones((1, 5)), one),
        vectors("b", np.zeros((1, 5)), one),
        margin=0.03,
        level=0.95,
        resamples=100,
        generator=np.random.default_rng(0),
    )
    assert found is None


binary = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=4, max_size=40)


@settings(max_examples=40, deadline=None)
@given(binary)
def test_swapping_the_arms_flips_every_sign(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).T[:, None, :]
    one = conclude_primary(compared(vectors("a", a), vectors("b", b)))
    two = conclude_primary(compared(vectors("b", b), vectors("a", a)))
    assert two.difference == -one.difference
    assert (two.interval.low, two.interval.high) == pytest.approx(
        (-one.interval.high, -one.interval.low)
    )
    assert two.p_value == one.p_value
    mirror = {"better": "worse", "worse": "better"}
    assert two.outcome == mirror.get(one.outcome, one.outcome)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(30)))
def test_the_order_of_the_items_changes_nothing(order: list[int]) -> None:
    scores = np.random.default_rng(2).normal(size=(2, 3, 30))
    plain = compared(vectors("a", scores[0]), vectors("b", scores[1]))
    mixed = compared(vectors("a", scores[0], order=order), vectors("b", scores[1]))
    assert conclude_primary(mixed) == conclude_primary(plain)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_repeating_the_items_of_clusters_does_not_narrow_the_interval(
    times: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 2, (2, 2, 24)).astype(np.float64)
    codes = np.repeat(np.arange(8), 3)
    once = difference_sampling(
        aligned(scores[0], scores[1], codes), 300, np.random.default_rng(0)
    ).interval(0.95)
    repeated = np.tile(scores, (1, 1, times))
    more = difference_sampling(
        aligned(repeated[0], repeated[1], np.tile(codes, times)), 300, np.random.default_rng(0)
    ).interval(0.95)
    assert more.high - more.low == pytest.approx(once.high - once.low)


@pytest.mark.parametrize(
    ("low", "high", "p", "p_outside", "outcome"),
    [
        (0.01, 0.20, 0.01, 0.9, "better"),
        (-0.20, -0.01, 0.01, 0.9, "worse"),
        (-0.01, 0.20, 0.10, 0.9, "inconclusive"),
        (0.01, 0.02, 0.01, 0.01, "equivalent"),
        (-0.01, 0.01, 0.80, 0.01, "equivalent"),
        (0.01, 0.20, 0.06, 0.9, "inconclusive"),
        (-0.02, 0.02, 0.90, 0.06, "inconclusive"),
    ],
)
def test_the_rule_of_a_contrast(
    low: float, high: float, p: float, p_outside: float, outcome: str
) -> None:
    found = contrast_outcome(Interval(low, high), p=p, p_outside=p_outside, level=0.95)
    assert found == outcome


def test_equivalence_is_the_ninety_per_cent_interval_inside_the_margin() -> None:
    generator = np.random.default_rng(4)
    seen = set()
    for items in (30, 60, 120, 800, 3000):
        a, b = generator.normal(0, 0.3, (2, 1, items))
        found = compared(vectors("a", a), vectors("b", b), resamples=2000)
        interval = found.sampling.interval(0.90)
        inside = interval.low > -0.03 and interval.high < 0.03
        assert (conclude_primary(found).outcome == "equivalent") == inside
        seen.add(inside)
    assert seen == {True, False}


def test_holm_steps_down() -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    generator = np.random.default_rng(5)
    for size in (1, 2, 7):
        p_values = [float(p) for p in generator.random(size) ** 2]
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_a_secondary_contrast_must_survive_the_correction() -> None:
    scores = np.zeros((1, 40))
    better = scores.copy()
    better[0, :6] = 1  # mid-p 0.016: significant alone, not among four
    alone = compared(vectors("a", better), vectors("b", scores))
    assert conclude_primary(alone).outcome == "better"
    family = conclude_family([alone] * 4)
    assert {contrast.outcome for contrast in family} == {"inconclusive"}
    assert family[0].p_adjusted == pytest.approx(4 * alone.p_value)


def test_what_a_secondary_contrast_can_find_counts_the_correction() -> None:
    generator = np.random.default_rng(6)
    a, b = generator.normal(0.1, 1, (3, 80)), generator.normal(0, 1, (3, 80))
    found = compared(vectors("a", a), vectors("b", b))
    alone, among = conclude_primary(found), conclude_family([found] * 5)[0]
    assert (alone.family, among.family) == (0, 5)
    assert isinstance(found.sampling, Sampling)
    assert among.minimum_detectable == pytest.approx(minimum_detectable(found.sampling, 0.99))
    assert among.minimum_detectable > alone.minimum_detectable


def test_differences_that_are_not_paired_are_of_the_same_family() -> None:
    scores = np.zeros((1, 40))
    better = scores.copy()
    better[0, :9] = 1
    found = compared(vectors("a", better), vectors("b", scores))
    (among,) = conclude_family([found], [0.9, 0.8])
    assert among.p_adjusted == pytest.approx(3 * found.p_value)
    assert among.family == 3


def test_the_minimum_detectable_difference_is_found_in_four_cases_of_five() -> None:
    generator = np.random.default_rng(8)
    a, b = generator.normal(0, 1, (2, 1, 100))
    sampling = difference_sampling(aligned(a, b), 4000, generator)
    expected = (norm.ppf(0.975) + norm.ppf(0.8)) * np.sqrt((a - b).var(ddof=1) / 100)
    assert minimum_detectable(sampling, 0.95) == pytest.approx(expected, rel=0.06)


def test_items_needed_is_about_what_the_power_formula_says() -> None:
    generator = np.random.default_rng(8)
    a, b = generator.normal(0.1, 1, (1, 100)), generator.normal(0, 1, (1, 100))
    sampling = difference_sampling(aligned(a, b), 4000, generator)
    needed = items_needed(sampling, 100, margin=0.01, level=0.95)
    variance = (a - b).var(ddof=1)
    expected = variance * ((norm.ppf(0.975) + norm.ppf(0.8)) / abs(sampling.estimate)) ** 2
    assert needed == pytest.approx(expected, rel=0.1)


def test_no_number_of_items_settles_what_seeds_leave_open() -> None:
    a = np.tile(np.array([[0.9], [0.1], [0.5]]), (1, 50)) + np.linspace(0, 0.01, 50)
    sampling = difference_sampling(
        aligned(a, np.full((3, 50), 0.45)), 500, np.random.default_rng(0)
    )
    assert items_needed(sampling, 50, margin=0.01, level=0.95) is None
