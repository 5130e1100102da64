"""A judge corrected by people: without bias, as exact as it says, and never worse than people."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis.statistics.prediction_powered import (
    FEWEST_MARKED,
    Corrected,
    Marked,
    Unmarked,
    correct_difference,
    judge_weight,
    marks_to_find,
)

Floats = NDArray[np.float64]
ITEMS, MARKED = 200, 40


def corrected(human: Floats, judged: Floats, marked: int = MARKED, seed: int = 0) -> Corrected:
    """human, judged: marks of every reply, shape (2, items); the first ``marked`` are known."""
    items = human.shape[1]
    return correct_difference(
        Marked(human[:, :marked], judged[:, :marked], np.arange(marked)),
        Unmarked(judged[:, marked:], np.arange(items - marked)),
        [],
        1000,
        np.random.default_rng(seed),
    )


def study(
    generator: np.random.Generator, favour: float, agreement: float = 0.8
) -> tuple[Floats, Floats]:
    """Two arms alike to people; the judge gives the first ``favour`` marks more."""
    quality = generator.normal(0, 1, ITEMS) + generator.normal(0, 0.8, (2, ITEMS))
    noise = np.sqrt(1 - agreement**2) * generator.normal(0, 1.2, (2, ITEMS))
    seen = agreement * quality + noise + np.array([[favour], [0.0]])
    return np.clip(np.round(3 + quality), 1, 5), np.clip(3 + seen, 1, 5)


def test_a_judge_that_is_always_right_is_used_and_shortens_the_interval() -> None:
    human, _ = study(np.random.default_rng(1), 0.0)
    alone = corrected(human, np.full_like(human, 3.0))
    found = corrected(human, human)
    assert found.weight == pytest.approx(1 / (1 + MARKED / (ITEMS - MARKED)))
    assert alone.weight == 0.0
    assert found.sampling.standard_error < 0.6 * alone.sampling.standard_error


def test_a_judge_that_says_nothing_leaves_the_marks_alone() -> None:
    human, _ = study(np.random.default_rng(2), 0.0)
    found = corrected(human, np.full_like(human, 3.0))
    assert found.sampling.estimate == pytest.approx((human[0] - human[1])[:MARKED].mean())
    assert found.means == pytest.approx(tuple(human[:, :MARKED].mean(axis=1)))


def test_a_constant_favour_is_taken_out_whole() -> None:
    human, judged = study(np.random.default_rng(3), 0.0)
    # Beyond the scale too, so that no end of it hides the favour.
    favoured = judged + np.array([[0.7], [0.0]])
    plain, biased = corrected(human, judged), corrected(human, favoured)
    assert biased.sampling.estimate == pytest.approx(plain.sampling.estimate)
    assert biased.means[0] == pytest.approx(plain.means[0])


def test_the_means_differ_by_the_estimate() -> None:
    found = corrected(*study(np.random.default_rng(4), 0.5))
    assert found.means[0] - found.means[1] == pytest.approx(found.sampling.estimate)


def test_a_judge_against_people_is_not_used() -> None:
    human, _ = study(np.random.default_rng(5), 0.0)
    assert corrected(human, 6 - human).weight == 0.0


def test_few_marks_are_refused() -> None:
    human, judged = study(np.random.default_rng(6), 0.0)
    with pytest.raises(ValueError, match=f"{FEWEST_MARKED - 1} marked items"):
        corrected(human, judged, marked=FEWEST_MARKED - 1)


@pytest.mark.parametrize("marked", [FEWEST_MARKED, 100])
def test_marks_that_never_differ_prove_nothing_of_the_other_items(marked: int) -> None:
    _, judged = study(np.random.default_rng(9), 0.5)
    same = corrected(np.full((2, ITEMS), 3.0), judged, marked=marked)
    assert (same.weight, same.sampling.estimate) == (0.0, 0.0)
    within = same.sampling.interval(0.95)
    assert within.high == pytest.approx(-within.low, rel=0.1)
    # About a tenth of the scale of 4 and a bit for 20 marks, and a fifth of that for 100.
    assert 9 / marked < within.high < 12 / marked


def test_all_items_may_be_marked() -> None:
    human, judged = study(np.random.default_rng(7), 0.5)
    found = corrected(human, judged, marked=ITEMS)
    assert found.weight == 0.0
    assert found.sampling.estimate == pytest.approx((human[0] - human[1]).mean())


def test_marked_clusters_are_redrawn_whole() -> None:
    human, judged = study(np.random.default_rng(8), 0.0)
    pairs = np.arange(MARKED) // 2
    # Two items of a cluster that are one and the same tell as much as one.
    human[:, 1:MARKED:2], judged[:, 1:MARKED:2] = human[:, :MARKED:2], judged[:, :MARKED:2]
    rest = Unmarked(judged[:, MARKED:], np.arange(ITEMS - MARKED))
    whole, single = (
        correct_difference(
            Marked(human[:, :MARKED], judged[:, :MARKED], clusters),
            rest,
            [],
            2000,
            np.random.default_rng(1),
        ).sampling.standard_error
        for clusters in (pairs, np.arange(MARKED))
    )
    assert whole > 1.15 * single


@pytest.mark.parametrize("marked", [MARKED, FEWEST_MARKED])
def test_the_interval_holds_what_people_would_say(marked: int) -> None:
    """The judge favours the first arm by half a mark; people see no difference."""
    generator = np.random.default_rng(marked)
    draws, held, better, uncorrected = 300, 0, 0, 0
    for number in range(draws):
        human, judged = study(generator, 0.5)
        interval = corrected(human, judged, marked, number).sampling.interval(0.95)
        held += interval.low <= 0 <= interval.high
        better += interval.low > 0
        apart = judged[0] - judged[1]
        uncorrected += apart.mean() > 1.96 * apart.std() / np.sqrt(ITEMS)
    assert held / draws > 0.91  # 99.9 % of draws at 95 %
    assert better / draws < 0.06
    assert uncorrected / draws > 0.9


def test_the_weight_is_the_one_of_least_variance() -> None:
    human, judged = study(np.random.default_rng(9), 0.0)
    h, j = ((rows[0] - rows[1])[:MARKED] for rows in (human, judged))
    others = ITEMS - MARKED
    weight = judge_weight(h, j, others)

    def variance(w: float) -> float:
        return float((h - w * j).var(ddof=1) / MARKED + w**2 * j.var(ddof=1) / others)

    assert 0 < weight < 1
    assert variance(weight) <= min(variance(weight - 0.05), variance(weight + 0.05))


def test_marks_to_find_a_difference() -> None:
    # ((1.96 + 0.842) * 1 / 0.25)^2 = 125.6
    assert marks_to_find(1.0, 1000, 0.25, 0.95) == 126
    assert marks_to_find(1.0, 50, 0.25, 0.95) == 50
    assert marks_to_find(0.1, 1000, 1.0, 0.95) == FEWEST_MARKED


@pytest.mark.parametrize("judged", [3.0, 5.0])
def test_marks_that_are_all_the_same_prove_nothing(judged: float) -> None:
    """Neither where people and the judge agree on all that they saw, nor where they never do."""
    alike = np.full((2, ITEMS), 3.0)
    found = corrected(alike, np.full((2, ITEMS), judged)).sampling.interval(0.95)
    assert found.low < -0.05 and found.high > 0.05


def test_marks_of_few_groups_prove_nothing_however_they_agree() -> None:
    human = np.stack([np.full(30, 4.0), np.full(30, 3.0)])
    groups = np.arange(30) // 10
    found = correct_difference(
        Marked(human, np.full_like(human, 3.0), groups),
        Unmarked(np.full((2, 30), 3.0), groups),
        [],
        1000,
        np.random.default_rng(0),
    )
    interval = found.sampling.interval(0.95)
    assert interval.low <= -1 < 1 <= interval.high
    assert found.sampling.p_value() >= 0.25
