"""The table of arms: selection, intervals, overfitting and cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.arms.cost import break_even, total_money, unit_cost
from harness.analysis.arms.tokens import search_tokens
from harness.analysis.whole_study import analyse
from harness.findings import ArmSummary, CostSummary, Findings

from .study_builder import StudyBuilder, cost, experiment, right, whole_study


def analysed(built: StudyBuilder) -> Findings:
    return analyse(built.build(), resamples=1000, sensitivity=False)


def arm_of(found: Findings, name: str) -> ArmSummary:
    return next(arm for arm in found.arms if arm.arm == name)


def test_validation_chooses_the_arms_and_test_does_not() -> None:
    built = StudyBuilder(experiment({"p": "prompt", "q": "prompt", "lora": "lora", "full": "full"}))
    for arm, validation, test in (
        ("p", 0.6, 0.3), ("q", 0.5, 0.9), ("lora", 0.7, 0.4), ("full", 0.6, 0.9),
    ):  # fmt: skip
        built.search(arm, [validation]).finalist(arm, 1, {"test": right(test)})
    found = analysed(built)
    assert found.primary is not None
    assert (found.primary.a, found.primary.b) == ("lora", "p")
    assert [(c.a, c.b) for c in found.secondary] == [
        ("full", "p"),
        ("lora", "full"),
        ("lora", "q"),
        ("q", "p"),
    ]


def test_the_runs_that_are_tested_do_not_choose_the_arm() -> None:
    built = StudyBuilder(experiment({"searched": "prompt", "lucky": "prompt", "lora": "lora"}))
    for arm, searched, validation in (
        ("searched", 0.6, 0.5), ("lucky", 0.5, 0.9), ("lora", 0.7, 0.7),
    ):  # fmt: skip
        scores = {"test": right(0.5), "validation": right(validation)}
        built.search(arm, [searched]).finalist(arm, 1, scores)
    found = analysed(built)
    assert found.primary is not None
    assert (found.primary.a, found.primary.b) == ("lora", "searched")


def test_the_experiment_may_name_the_arms() -> None:
    arms = experiment({"p": "prompt", "lora": "lora", "full": "full"}).plain()["arms"]
    built = StudyBuilder(experiment(arms, contrast={"margin": 0.03, "fine_tuned": "full"}))
    for arm, validation in (("p", 0.5), ("lora", 0.9), ("full", 0.6)):
        built.search(arm, [validation]).finalist(arm, 1, {"test": right(0.5)})
    found = analysed(built)
    assert found.primary is not None
    assert found.primary.a == "full"


def test_an_arm_without_test_result_is_replaced_and_that_is_said() -> None:
    built = StudyBuilder(experiment({"p": "prompt", "lora": "lora", "full": "full"}))
    built.search("p", [0.5]).search("lora", [0.9]).search("full", [0.6])
    built.finalist("p", 1, {"test": right(0.5)}).finalist("full", 1, {"test": right(0.6)})
    found = analysed(built)
    assert found.primary is not None
    assert found.primary.a == "full"
    assert any("lora was the best of its kind" in caveat for caveat in found.verdict.caveats)


def test_the_selected_setting_is_the_finalists() -> None:
    built = StudyBuilder(experiment()).search("lora", [0.6, 0.7])
    built.finalist("lora", 1, {"test": right(0.5)}, setting=1)
    arm = arm_of(analysed(built), "lora")
    assert (arm.params, arm.validation, arm.default_validation) == ({"setting": 1}, 0.7, 0.6)
    assert (arm.complete, arm.failed, arm.budget_trials, arm.tuned) == (2, 0, 2, True)


def test_an_arm_that_another_outspent_is_marked() -> None:
    built = whole_study().search("lora", [None])
    built.trials = [t for t in built.trials if t.trial_id != "few-shot-search-1-0"]
    found = analysed(built)
    assert (arm_of(found, "few-shot").short_of_budget, arm_of(found, "lora").short_of_budget) == (
        True,
        False,
    )
    built.trials = [t for t in built.trials if t.trial_id != "lora-search-1-0"]
    assert not any(arm.short_of_budget for arm in analysed(built).arms)
    assert not any(arm.short_of_budget for arm in analysed(whole_study()).arms)


@pytest.mark.parametrize("tokens", [None, 5000])
def test_tokens_that_count_for_nothing_in_the_budget_are_told(tokens: int | None) -> None:
    theirs = {"kind": "command", "command": ["train", "{result}"]}
    spec = experiment(
        {"few-shot": "prompt", "theirs": theirs}, budget={"trials": 2, "tokens": tokens}
    )
    built = StudyBuilder(spec).search("few-shot", [0.5, 0.4])
    unsaid = replace(cost(), train_tokens=None)
    built.search("theirs", [0.6, 0.7], trial_cost=unsaid)
    for arm in ("few-shot", "theirs"):
        built.finalist(arm, 1, {"test": right(0.5)})
    caveats = " ".join(analysed(built).verdict.caveats)
    assert ("What tokens theirs trained on was not told" in caveats) is (tokens is not None)


def test_a_pruned_trial_was_seen_through() -> None:
    built = whole_study()
    built.trials = [
        replace(t, status="pruned") if t.trial_id == "lora-search-1-0" else t for t in built.trials
    ]
    assert not any(arm.short_of_budget for arm in analysed(built).arms)


def test_search_tokens_are_those_of_every_search_trial() -> None:
    built = whole_study().search("lora", [None])
    built.trials[-1] = replace(built.trials[-1], trial_id="a third one")
    assert arm_of(analysed(built), "lora").search_tokens == 3000


def test_a_deterministic_arm_has_wilsons_interval() -> None:
    from statsmodels.stats.proportion import proportion_confint

    interval = arm_of(analysed(whole_study(prompt=0.05)), "few-shot").test_interval
    assert interval is not None
    expected = proportion_confint(10, 200, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_scores_that_differ_between_seeds_have_a_wider_interval() -> None:
    built = StudyBuilder(experiment())
    for seed, share in enumerate((0.3, 0.5, 0.7)):
        built.finalist("lora", seed, {"test": right(share)})
    interval = arm_of(analysed(built), "lora").test_interval
    assert interval is not None
    assert interval.low < 0.35
    assert interval.high > 0.65
    assert 0 <= interval.low <= interval.high <= 1


def test_out_of_domain_scores_are_means_over_seeds() -> None:
    built = StudyBuilder(experiment())
    for seed, share in ((1, 0.2), (2, 0.4)):
        built.finalist("lora", seed, {"test": right(0.5), "ood:tweets": right(share)})
    assert arm_of(analysed(built), "lora").out_of_domain == {"tweets": pytest.approx(0.3)}


def test_overfitting_is_a_difference_of_independent_samples() -> None:
    built = StudyBuilder(experiment()).search("lora", [0.75])
    scores = {"train": right(0.9, 300), "test": right(0.6), "validation": right(0.7, 100)}
    built.finalist("lora", 1, scores)
    # Widths of intervals are compared below, which a thousand draws tell within some 5 %.
    (found,) = analyse(built.build(), resamples=10_000, sensitivity=False).overfitting
    assert found.generalisation_gap == pytest.approx(0.3)
    assert found.selected == 0.75
    assert found.selection_gap == pytest.approx(found.selected - 0.6)
    assert (found.train, found.validation, found.test) == pytest.approx((0.9, 0.7, 0.6))
    error = np.sqrt(0.9 * 0.1 / 300 + 0.6 * 0.4 / 200)
    assert found.gap_interval is not None
    width = found.gap_interval.high - found.gap_interval.low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found.selection_interval is not None
    width = found.selection_interval.high - found.selection_interval.low
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.21 / 100 + 0.24 / 200), rel=0.1)


def test_without_training_scores_there_is_no_gap() -> None:
    (found,) = analysed(
        StudyBuilder(experiment()).finalist("lora", 1, {"test": [1.0, 0.0]})
    ).overfitting
    assert found.generalisation_gap is None
    assert found.selection_gap is None


def test_costs() -> None:
    built = StudyBuilder(experiment(cost={"machine_per_hour": 3.6, "requests_per_month": 2000}))
    built.search("lora", [0.5, None, 0.6], trial_cost=cost(70.0))
    for seed, taken in ((1, 0.1), (2, 0.3)):
        built.finalist(
            "lora", seed, {"test": right(0.5)}, latencies=(taken,) * 10, trial_cost=cost(90.0)
        )
    found = arm_of(analysed(built), "lora").cost
    assert found.search_seconds == 3 * (10 + 70 + 20)
    assert found.train_seconds == 90
    assert found.upfront == pytest.approx((300 + 10 + 90) * 0.001)
    assert (found.latency_p50, found.latency_p95) == pytest.approx((0.2, 0.3))
    assert found.per_thousand_requests == pytest.approx(0.2)
    assert found.monthly == pytest.approx(0.4)
    assert total_money(found, 10) == pytest.approx(4.4)
    assert found.artifact_bytes == 2**20


def test_what_was_scored_later_and_what_was_asked_for_twice() -> None:
    built = StudyBuilder(experiment(cost={"machine_per_hour": 3.6}))
    built.search("lora", [0.5, 0.6, 0.4], trial_cost=cost(70.0))
    built.finalist("lora", 1, {"test": right(0.5)}, trial_cost=cost(90.0))
    of_search = [trial for trial in built.trials if trial.phase == "search"]
    (final,) = [trial for trial in built.trials if trial.phase == "finalist"]
    # The second proposal came to the setting of the first, and the third is the finalist's trial.
    search = [
        replace(of_search[0], added_seconds=5.0),
        replace(of_search[1], trial_id=of_search[0].trial_id, added_seconds=5.0),
        replace(of_search[2], trial_id=final.trial_id),
    ]
    found = unit_cost(search, [replace(final, added_seconds=7.0)], [], "exact_match")
    assert found.search_seconds == 10 + 70 + 20 + 5
    assert found.added_seconds == 7
    assert found.upfront == pytest.approx((105 + 10 + 90) / 3600)
    assert search_tokens(search[:2]) == search_tokens(search[:1])
    assert (search_tokens(search[:1]) or 0) > 0


CHEAP = CostSummary(0, 0, 0, None, None, 0, 0, 0, None, None, None, None, 1.0, 100.0, 10.0)


@pytest.mark.parametrize(
    ("per_thousand", "upfront", "requests", "words"),
    [
        (0.5, 30.0, 40_000.0, "paid back after 40,000 requests"),
        (0.5, 5.0, 0.0, "paid back after 0 requests"),
        (1.0, 30.0, None, "serving costs the same"),
        (2.0, 30.0, None, "cost 1.00 EUR more"),
        (1.0, 5.0, 0.0, "no more money upfront"),
        (None, 5.0, None, "was not measured"),
    ],
)
def test_break_even(
    per_thousand: float | None, upfront: float, requests: float | None, words: str
) -> None:
    mine = replace(CHEAP, per_thousand_requests=per_thousand, upfront=upfront)
    found = break_even("lora", mine, "few-shot", CHEAP, "EUR")
    assert found.requests == requests
    assert words in found.sentence


def tied(
    seconds: dict[str, float], arms: dict[str, Any], tokens: dict[str, float] | None = None
) -> Findings:
    """Arms with 0.7 on validation: seconds of their requests, tokens of their prompts."""
    built = StudyBuilder(experiment(arms))
    for arm in arms:
        size = {"lora": 10, "full": 1000}.get(arm, 0)
        sized = replace(cost(), trainable_parameters=size)
        built.search(arm, [0.7])
        built.finalist(
            arm, 1, {"test": right(0.5)}, latencies=(seconds.get(arm, 0.1),), trial_cost=sized
        )
    for place, trial in enumerate(built.trials):
        long = (tokens or {}).get(trial.arm)
        if long is not None:
            counted = tuple(replace(a, prompt_tokens=long) for a in trial.aggregates)
            built.trials[place] = replace(trial, aggregates=counted)
    return analysed(built)


THREE: dict[str, Any] = {"few": "prompt", "many": "prompt", "lora": "lora"}


@pytest.mark.parametrize("seconds", [{"few": 0.9, "many": 0.1}, {"few": 0.1, "many": 0.9}])
def test_arms_that_validation_ranks_alike_are_told_apart_by_what_is_the_same_in_every_run(
    seconds: dict[str, float],
) -> None:
    found = tied(seconds, THREE)
    assert found.primary is not None and found.primary.b == "few"
    assert (
        "Validation ranks few and many alike: few, which is declared first, goes before the other "
        "in what is compared." in found.verdict.caveats
    )
    shorter = tied(seconds, THREE, {"few": 90.0, "many": 30.0})
    assert shorter.primary is not None and shorter.primary.b == "many"
    assert any("whose prompts hold fewer tokens" in text for text in shorter.verdict.caveats)


def test_of_trained_arms_the_one_that_trains_less_goes_first() -> None:
    found = tied({"lora": 0.9}, {"full": "full", "lora": "lora", "few": "prompt"})
    assert found.primary is not None and found.primary.a == "lora"
    assert any("lora, which trains fewer parameters" in text for text in found.verdict.caveats)


def test_of_prompts_alone_the_second_is_told_too() -> None:
    found = tied({"b": 0.01}, {"a": "prompt", "b": "prompt", "c": "prompt"})
    assert found.primary is not None and (found.primary.a, found.primary.b) == ("a", "b")
    ties = [text for text in found.verdict.caveats if text.startswith("Validation ranks")]
    assert [text.split(" alike")[0] for text in ties] == [
        "Validation ranks a and b", "Validation ranks b and c",
    ]  # fmt: skip


def test_where_validation_decides_nothing_is_said_of_ties() -> None:
    assert not any("alike" in text for text in analysed(whole_study()).verdict.caveats)
