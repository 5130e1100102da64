"""Seconds of a request and the money that follows: their ranges, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.analysis.arms.cost import break_even, overlap, total_range
from harness.analysis.arms.latency import latency_caveats, measured_latency, timed_trials
from harness.analysis.statistics.scores import Scores
from harness.analysis.whole_study import analyse
from harness.findings import CostSummary, Findings, Interval
from tests.analysis.study_builder import StudyBuilder, cost, experiment, right, whole_study

CHEAP = CostSummary(0, 0, 0, None, None, 0, 0, 0, None, None, None, None, 1.0, 100.0, 10.0)
LATER = "2026-01-03T08:00:00+00:00"
MORNING = "2026-01-02T08:00:00+00:00"


def analysed(built: StudyBuilder) -> Findings:
    return analyse(built.build(), resamples=200, sensitivity=False)


def cost_of(built: StudyBuilder, arm: str = "lora") -> CostSummary:
    (found,) = [row.cost for row in analysed(built).arms if row.arm == arm]
    return found


def timed(turns: dict[str, list[list[float]]], **changes: Any) -> StudyBuilder:
    """Arms with one finalist each, timed as given."""
    built = StudyBuilder(experiment(**changes))
    for arm, seconds in turns.items():
        built.finalist(arm, 1, {"test": right(0.5)}, latencies=(), trial_cost=cost(0.0))
        for turn in seconds:
            built.timed(arm, 1, turn)
    return built


FIRST, SECOND = [0.1, 0.2, 0.3, 0.2], [0.12, 0.18, 0.32, 0.22]


def test_the_range_of_money_is_that_of_the_seconds() -> None:
    priced = {"machine_per_hour": 3.6, "requests_per_month": 2000, "months": 10}
    found = cost_of(timed({"lora": [FIRST, SECOND]}, cost=priced))
    latency = found.latency
    assert latency is not None
    items = (np.array(FIRST) + np.array(SECOND)) / 2
    expected = stats.t.interval(0.95, 3, items.mean(), stats.sem(items))
    assert (latency.interval.low, latency.interval.high) == pytest.approx(expected)
    assert latency.mean == pytest.approx(items.mean())
    assert [turn.mean for turn in latency.turns] == pytest.approx([0.2, 0.21])
    assert latency.requests == 8
    assert found.latency_p50 == pytest.approx(0.2)
    # A thousandth of a unit of money for a second of the machine.
    assert found.per_thousand_requests == pytest.approx(items.mean())
    assert found.per_thousand_range is not None
    assert (found.per_thousand_range.low, found.per_thousand_range.high) == pytest.approx(expected)
    assert found.monthly_range is not None
    assert found.monthly_range.high == pytest.approx(2 * expected[1])
    horizon = total_range(found, 10)
    assert horizon is not None
    assert found.upfront is not None
    assert horizon.low == pytest.approx(found.upfront + 20 * expected[0])


def test_a_turn_that_asks_half_of_the_items_is_laid_beside_the_same_ones() -> None:
    """The second turn asks the first and the third item, and is a tenth slower on them."""
    latency = cost_of(timed({"lora": [[0.1, 0.9, 0.3, 0.5], [0.11, 0.33]]})).latency
    assert latency is not None
    items = np.array([0.105, 0.9, 0.315, 0.5])
    low, high = stats.t.interval(0.95, 3, items.mean(), stats.sem(items))
    assert latency.mean == pytest.approx(items.mean())
    assert latency.interval.low == pytest.approx(max(0.0, low))
    assert latency.interval.high == pytest.approx(high)
    assert latency.requests == 6
    # As all items would have taken in each turn, going by the first and the third.
    assert [turn.mean for turn in latency.turns] == pytest.approx(
        [items.mean() * 0.2 / 0.21, items.mean() * 0.22 / 0.21]
    )
    assert latency.p95 == pytest.approx(float(np.quantile([0.1, 0.9, 0.3, 0.5, 0.11, 0.33], 0.95)))


@pytest.mark.parametrize(("factor", "told"), [(1.19, False), (1.21, True)])
def test_a_drift_shows_whatever_items_the_second_turn_asks(factor: float, told: bool) -> None:
    """It asks the quick ones alone, whose mean by itself says nothing of the machine."""
    first = [0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9]
    found = said(timed({"lora": [first, [0.1 * factor] * 4]}))
    assert any("The turns in which requests of lora were" in one for one in found) is told


def test_turns_whose_numbers_fit_no_step_are_taken_request_by_request() -> None:
    latency = cost_of(timed({"lora": [[0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.2, 0.2, 0.2]]})).latency
    assert latency is not None
    assert latency.mean == pytest.approx(2.3 / 9)
    assert [turn.mean for turn in latency.turns] == pytest.approx([0.3, 0.2])


def test_the_range_holds_every_turn() -> None:
    latency = cost_of(timed({"lora": [[0.1] * 8, [0.3] * 8]})).latency
    assert latency is not None
    assert (latency.mean, latency.interval.low, latency.interval.high) == pytest.approx(
        (0.2, 0.1, 0.3)
    )


def test_intervals_of_the_mean_hold_it_as_often_as_they_say() -> None:
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        items = generator.lognormal(-1.0, 0.3, 8)
        turns = [list(items * generator.normal(1.0, 0.02, 8))[::step] for step in (1, 2)]
        built = StudyBuilder(experiment())
        built.finalist("lora", 1, {"test": [1.0, 0.0]}, latencies=())
        for turn in turns:
            built.timed("lora", 1, turn)
        latency = measured_latency(timed_trials(Scores(built.build()), "lora"))
        assert latency is not None
        held += latency.interval.low <= np.exp(-1.0 + 0.3**2 / 2) <= latency.interval.high
    # Binomial: 95 % of 400 within three standard errors, a little less for the skew.
    assert 0.90 < held / 400 < 0.99


def test_only_trials_that_time_requests_say_what_a_request_takes() -> None:
    built = timed({"lora": []})
    found = cost_of(built)
    assert found.latency is None
    assert found.latency_p95 is found.per_thousand_requests is found.monthly is None
    assert found.per_thousand_range is found.monthly_range is None
    assert latency_caveats({row.arm: row for row in analysed(built).arms}) == []


def test_of_a_turn_that_ran_twice_the_later_counts_and_old_settings_do_not() -> None:
    built = timed({"lora": [[0.1]]})
    built.timed("lora", 1, [0.5], turn=0, began=MORNING, ended=MORNING)
    built.timed("lora", 1, [0.9], turn=1, setting=7, began=MORNING, ended=MORNING)
    built.timed("lora", 9, [0.9], turn=2, began=MORNING, ended=MORNING)
    assert cost_of(built).latency_p50 == pytest.approx(0.5)


def test_weights_that_are_gone_are_a_reason_and_no_error() -> None:
    built = timed({"few-shot": [FIRST, SECOND], "lora": []})
    gone = "the trained weights are gone: there is no folder X"
    built.timed("lora", 1, [0.0], failure=gone)
    found = analysed(built)
    assert f"Latency of lora was not measured: {gone}." in found.verdict.caveats


def said(built: StudyBuilder) -> list[str]:
    return latency_caveats({row.arm: row for row in analysed(built).arms})


@pytest.mark.parametrize(("others", "told"), [(0.4, False), (0.7, True)])
def test_a_busy_machine_is_said(others: float, told: bool) -> None:
    built = timed({"few-shot": [[0.1], [0.1]], "lora": [[0.1]]})
    built.timed("lora", 1, [0.1], other_cores=others)
    assert said(built) == (
        ["While requests of lora were timed, other programs kept up to 0.7 of the machine's 4 "
         "processors busy: these latencies, and the money that follows from them, are too high by "
         "an unknown amount."]
        if told
        else []
    )  # fmt: skip


@pytest.mark.parametrize(("second", "told"), [(0.119, False), (0.121, True), (0.08, True)])
def test_turns_that_differ_are_said(second: float, told: bool) -> None:
    found = said(timed({"few-shot": [[0.1], [0.1]], "lora": [[0.1], [second]]}))
    assert [one.startswith("The turns in which requests of lora were") for one in found] == (
        [True] if told else []
    )


def test_figures_of_another_sitting_are_said() -> None:
    built = timed({"few-shot": [[0.1]], "lora": [[0.1], [0.1]]})
    built.timed("few-shot", 1, [0.1], began=MORNING, ended=MORNING)
    (found,) = said(built)
    assert "not timed in one go, but between 2026-01-01T00:00:00+00:00" in found
    assert found.count(MORNING) == 1
    assert "in one turn only" in said(timed({"lora": [[0.1]]}))[0]


# --------------------------------------------------------------------------- break-even


def between(low: float, high: float, mean: float, upfront: float) -> CostSummary:
    return replace(
        CHEAP,
        per_thousand_requests=mean,
        per_thousand_range=Interval(low, high),
        monthly=mean * 100,
        monthly_range=Interval(low * 100, high * 100),
        upfront=upfront,
    )


OTHER = between(0.9, 1.1, 1.0, 10.0)


@pytest.mark.parametrize(
    ("mine", "requests", "ends", "words"),
    [
        (between(0.4, 0.6, 0.5, 30.0), 40_000.0, (20 / 0.7e-3, 20 / 0.3e-3),
         "is paid back after 40,000 requests (between 28,571 and 66,667)"),
        (between(0.7, 0.95, 0.8, 30.0), 100_000.0, (50_000.0, None),
         "after 100,000 requests (50,000 at the least; it may never be): 20.00 EUR more upfront"),
        (between(1.0, 1.2, 1.05, 30.0), None, (200_000.0, None),
         "may never pay back: 1,000 requests cost 0.050 EUR more than with few-shot, "
         "within the measurement's range (it saves −0.30 to 0.10 EUR); at the least it takes "
         "200,000 requests"),
        (between(1.2, 1.4, 1.3, 30.0), None, (None, None), "never pays back: 1,000"),
        (between(0.4, 0.6, 0.5, 5.0), 0.0, (0.0, 0.0), "after 0 requests: 0.00 EUR more upfront"),
    ],
)  # fmt: skip
def test_the_break_even_has_a_range(
    mine: CostSummary,
    requests: float | None,
    ends: tuple[float | None, float | None],
    words: str,
) -> None:
    found = break_even("lora", mine, "few-shot", OTHER, "EUR")
    assert found.requests == (None if requests is None else pytest.approx(requests))
    assert (found.requests_low, found.requests_high) == tuple(
        None if end is None else pytest.approx(end) for end in ends
    )
    assert words in found.sentence


def test_cheaper_within_the_measurements_range_says_so() -> None:
    priced = {"machine_per_hour": 3.6, "requests_per_month": 1_000_000, "months": 12}

    def verdict(prompt: list[float], tuned: list[float]) -> str:
        built = whole_study(prompt=0.8, tuned=0.8, cost=priced, contrast={"margin": 0.1})
        built.trials = [trial for trial in built.trials if trial.phase != "latency"]
        for turn in (0, 1):
            built.timed("few-shot", 1, prompt, turn=turn).timed("lora", 1, tuned, turn=turn)
        found = analyse(built.build(), resamples=500, sensitivity=False).verdict
        assert (found.outcome, found.winner) == ("equivalent", "lora")
        return found.sentence

    near = verdict([0.1, 0.14, 0.1, 0.14], [0.09, 0.13, 0.1, 0.14])
    assert "; the difference is within the measurement's range." in near
    far = verdict([1.0, 1.1, 1.0, 1.1], [0.1, 0.11, 0.1, 0.11])
    assert "within the measurement's range" not in far
    assert "lora is cheaper: " in far


def test_money_that_nobody_measured_has_no_range_to_overlap() -> None:
    assert not overlap(CHEAP, CHEAP, 12)
    assert overlap(OTHER, OTHER, 12)
    assert overlap(OTHER, CHEAP, 12)
    assert not overlap(OTHER, replace(CHEAP, monthly=5.0), 12)
    assert not overlap(OTHER, replace(CHEAP, upfront=None), 12)


def test_what_was_timed_is_kept_where_it_cannot_be_timed_again() -> None:
    built = timed({"lora": [FIRST, SECOND]})
    for turn in (0, 1):
        built.timed(
            "lora", 1, FIRST, turn=turn, failure="the trained weights are gone", ended=LATER
        )
        built.trials[-1] = replace(built.trials[-1], trial_id=f"again-{turn}")
    found = cost_of(built)
    assert found.latency is not None
    assert found.latency.mean == pytest.approx((np.mean(FIRST) + np.mean(SECOND)) / 2)
