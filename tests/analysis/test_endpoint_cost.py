"""Money, caveats and claims of a study with an arm that asks a server."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from harness.analysis.whole_study import analyse
from harness.findings import CostSummary, Findings
from harness.records import Stopped
from harness.report import build_view, to_html, to_markdown

from .study_builder import ACCURACY, StudyBuilder, experiment, right

AWAY = "https://api.example.com/v1"
PRICES = {"prompt_price": 2.0, "completion_price": 10.0, "spending_cap": 50.0}
# Trials of the builder: 100 items of 50 prompt and 5 answer tokens each.
REQUEST = (50 * 2.0 + 5 * 10.0) / 1e6


def built(price: float = 0.0, url: str = AWAY, **changes: Any) -> StudyBuilder:
    """``large`` on a server against ``lora`` here, the latter a little better."""
    endpoint = {"url": url, "model": "big", **PRICES, **changes}
    arms: dict[str, Any] = {
        "large": {"kind": "prompt", "shots": {"choices": [0, 4]}, "endpoint": endpoint},
        "lora": {"kind": "lora"},
    }
    costs = {"machine_per_hour": price, "requests_per_month": 1_000_000, "months": 10}
    made = StudyBuilder(experiment(arms, general=None, cost=costs))
    made.search("large", [0.7, 0.6]).search("lora", [0.7, 0.6])
    for seed in (1, 2, 3):
        made.finalist("large", seed, {"test": right(0.6)}, latencies=(0.5,) * 8)
        made.finalist("lora", seed, {"test": right(0.62)})
    return made


def analysed(made: StudyBuilder) -> Findings:
    return analyse(made.build(), resamples=500, sensitivity=False)


def cost_of(found: Findings, arm: str = "large") -> CostSummary:
    return next(row.cost for row in found.arms if row.arm == arm)


@pytest.mark.parametrize("price", [0.0, 5.0])
def test_serving_costs_the_price_of_its_tokens_whatever_the_machine_costs(price: float) -> None:
    cost = cost_of(analysed(built(price)))
    assert cost.by_token
    assert cost.per_thousand_requests == pytest.approx(1000 * REQUEST)
    assert cost.monthly == pytest.approx(1_000_000 * REQUEST)
    assert cost.upfront == pytest.approx(2 * 100 * REQUEST)
    assert (cost.prompt_tokens, cost.completion_tokens) == (50, 5)
    assert cost.latency_p50 == 0.5
    assert cost.peak_memory_mib is cost.peak_device_mib is None


def test_an_arm_here_still_costs_machine_time() -> None:
    assert not cost_of(analysed(built()), "lora").by_token
    assert cost_of(analysed(built(0.0)), "lora").upfront == 0
    assert (cost_of(analysed(built(5.0)), "lora").upfront or 0) > 0


def test_break_even_sets_machine_time_against_tokens() -> None:
    found = analysed(built(3.6))
    lora, large = cost_of(found, "lora"), cost_of(found)
    assert lora.per_thousand_requests == pytest.approx(0.1)  # a tenth of a second each
    assert large.per_thousand_requests == pytest.approx(0.15)
    assert lora.upfront is not None
    assert large.upfront is not None
    (row,) = found.break_even
    assert row.requests == pytest.approx((lora.upfront - large.upfront) / 0.05 * 1000)


def test_a_trial_that_was_stopped_costs_what_it_asked() -> None:
    made = built()
    stop = Stopped("items", 20, 100, 0.1, 0.7, (), tokens=20 * 55)
    made.trials = [
        replace(t, status="pruned", stopped=stop, aggregates=())
        if (t.arm, t.phase, t.number) == ("large", "search", 1)
        else t
        for t in made.trials
    ]
    assert cost_of(analysed(made)).upfront == pytest.approx(120 * REQUEST)


def test_scores_that_another_trial_paid_for_are_not_paid_twice() -> None:
    made = built()
    made.trials = [
        replace(t, aggregates=tuple(replace(a, reused=True) for a in t.aggregates))
        if (t.arm, t.phase, t.number) == ("large", "search", 1)
        else t
        for t in made.trials
    ]
    assert cost_of(analysed(made)).upfront == pytest.approx(100 * REQUEST)


@pytest.mark.parametrize("missing", ["count", "price"])
def test_without_a_count_or_a_price_the_money_is_not_known(missing: str) -> None:
    free: dict[str, Any] = (
        {"prompt_price": 0.0, "completion_price": 0.0} if missing == "price" else {}
    )
    made = built(**free)
    if missing == "count":
        made.trials = [
            replace(
                t,
                aggregates=tuple(
                    replace(a, prompt_tokens=0.0, completion_tokens=0.0) for a in t.aggregates
                ),
            )
            if t.arm == "large"
            else t
            for t in made.trials
        ]
    found = analysed(made)
    cost = cost_of(found)
    assert cost.per_thousand_requests is cost.monthly is cost.upfront is None
    assert (cost.prompt_tokens is None) is (missing == "count")
    assert "was not measured" in found.break_even[0].sentence


def in_house(found: Findings) -> str:
    claim = next(one for one in found.claims if one.key == "in_house")
    assert claim.status == "held"
    return f"{claim.measured} {claim.why}"


def test_a_study_that_asks_elsewhere_does_not_claim_that_nothing_left() -> None:
    found = analysed(built())
    told = in_house(found)
    assert f"large asks {AWAY}" in told
    assert "they sent it texts of the data" in told
    assert "No arm calls a service elsewhere" not in told
    (caveat,) = [one for one in found.verdict.caveats if "server" in one]
    assert "Texts of the data were sent to the servers of large" in caveat


def test_a_server_on_this_machine_is_in_house() -> None:
    found = analysed(built(url="http://localhost:8000/v1"))
    assert "No arm calls a service elsewhere" in in_house(found)
    (caveat,) = [one for one in found.verdict.caveats if "server" in one]
    assert "hold for the days of this study" in caveat
    assert "sent" not in caveat


def test_the_report_says_what_the_server_is_and_charges() -> None:
    made = built()
    text = unescape(to_html(build_view(made.build(), made.experiment, analysed(made))))
    for words in (
        "Server that large asked with texts of the data",
        f"big at {AWAY}",
        "large is charged 2.00 EUR for a million prompt tokens and 10.00 EUR for a million answer",
        "nothing: the server has it",
        "its cost is the price of its tokens",
    ):
        assert words in text


def test_fewer_tokens_are_told_with_whose_they_are() -> None:
    claim = next(one for one in analysed(built()).claims if one.key == "tokens")
    assert "The server counts by its own tokenizer." in claim.why


@pytest.mark.parametrize("own", [True, False])
def test_only_a_prompt_of_the_base_leaves_its_general_abilities_as_they_are(own: bool) -> None:
    arms: dict[str, Any] = {
        "few-shot": {"kind": "prompt"},
        "other": {"kind": "prompt", **({} if own else {"model": "./another"})},
        "lora": {"kind": "lora"},
    }
    made = StudyBuilder(experiment(arms), {"facts": ACCURACY})
    made.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for arm in arms:
        made.finalist(arm, 1, {"test": right(0.5), "general:facts": right(0.8)})
    found = analysed(made)
    placed = {point.arm for point in found.trade_off}
    assert placed == {"few-shot", "lora", *(["other"] if own else [])}
    text = to_markdown(build_view(made.build(), made.experiment, found))
    assert ("arms that ask another model have no place here" in text) is not own
