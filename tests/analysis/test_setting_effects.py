"""Which settings go with forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, spearmanr

from harness.analysis.forgetting.setting_effects import (
    rank_correlation_interval,
    rank_correlation_p,
    setting_effects,
)
from harness.analysis.whole_study import analyse
from harness.findings import SettingEffect, TradeOffPoint

from .study_builder import ACCURACY, StudyBuilder, experiment, right

RATES = [1e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 4e-3]


def points(params: Sequence[dict[str, Any]], changes: Sequence[float]) -> list[TradeOffPoint]:
    return [
        TradeOffPoint("lora", str(i), 0, 0.1, change, False, "search", params=setting)
        for i, (setting, change) in enumerate(zip(params, changes, strict=True))
    ]


def effects(found: list[TradeOffPoint], *names: str) -> list[SettingEffect]:
    generator = np.random.default_rng(0)
    return list(
        setting_effects("lora", found, names, level=0.95, resamples=9999, generator=generator)
    )


def test_a_rate_that_forgets_more_the_higher_it_is() -> None:
    params = [{"learning_rate": rate, "schedule": "cosine", "flag": True} for rate in RATES]
    (found,) = effects(points(params, [-rate for rate in RATES]), "learning_rate", "schedule",
                       "flag")  # fmt: skip
    assert (found.arm, found.parameter, found.trials) == ("lora", "learning_rate", 7)
    assert found.correlation == pytest.approx(-1)
    assert found.interval.low == pytest.approx(-1)
    assert -0.95 < found.interval.high < -0.5
    assert found.p_value == pytest.approx(2 / 5040)


@pytest.mark.parametrize(
    ("count", "distinct", "flat"), [(5, 5, False), (7, 2, False), (7, 7, True)]
)
def test_too_little_gives_no_entry(count: int, distinct: int, flat: bool) -> None:
    params = [{"rank": 4 + number % distinct} for number in range(count)]
    changes = [0.0 if flat else -0.1 * number for number in range(count)]
    assert effects(points(params, changes), "rank") == []


def test_finalists_and_other_arms_do_not_count() -> None:
    found = points([{"rank": number} for number in range(7)], [-0.1 * n for n in range(7)])
    elsewhere = [TradeOffPoint("full", "x", 0, 0.1, 0.5, False, "search", params={"rank": 9})]
    final = [TradeOffPoint("lora", "y", 1, 0.1, 0.5, False, params={"rank": 9})]
    assert effects([*found, *elsewhere, *final], "rank") == effects(found, "rank")


def test_the_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(2)
    values, changes = generator.random(12), generator.random(12)
    (found,) = effects(points([{"rank": float(v)} for v in values], changes.tolist()), "rank")
    known = spearmanr(values, changes)
    assert found.correlation == pytest.approx(known.statistic)
    assert found.p_value == pytest.approx(known.pvalue, abs=0.02)


def test_the_interval_is_that_of_bonett_and_wright() -> None:
    interval = rank_correlation_interval(0.5, 30, 0.95)
    spread = 1.959964 * np.sqrt(1.125 / 27)
    assert interval.low == pytest.approx(np.tanh(np.arctanh(0.5) - spread), abs=1e-6)
    assert interval.high == pytest.approx(np.tanh(np.arctanh(0.5) + spread), abs=1e-6)
    mirrored = rank_correlation_interval(-0.5, 30, 0.95)
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low))


def test_without_association_it_is_rarely_found() -> None:
    generator = np.random.default_rng(3)
    studies, excluded, low = 300, 0, 0
    for _ in range(studies):
        values, changes = generator.random(8), generator.random(8)
        interval = rank_correlation_interval(float(spearmanr(values, changes).statistic), 8, 0.95)
        excluded += not interval.low <= 0 <= interval.high
        low += rank_correlation_p(values, changes, 300, generator) < 0.05
    # The interval is an approximation: it errs in up to 7 % of so small samples.
    assert excluded <= int(binom.ppf(0.999, studies, 0.07))
    assert low <= int(binom.ppf(0.999, studies, 0.05))


def test_a_study_shows_the_effect_of_its_searched_rate() -> None:
    built = StudyBuilder(experiment(budget={"trials": 7}), {"facts": ACCURACY})
    built.finalist("base", 0, {"validation": right(0.3), "general:facts": right(0.8)})
    shares = [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    built.search(
        "lora",
        [0.5, 0.6, 0.7, 0.6, 0.5, 0.5, 0.4],
        params=[{"learning_rate": rate, "epochs": 2} for rate in RATES],
        general=[{"general:facts": right(share, 20)} for share in shares],
    )
    built.finalist("lora", 1, {"test": right(0.7), "general:facts": right(0.7)})
    (found,) = analyse(built.build(), resamples=9999, sensitivity=False).effects
    assert (found.arm, found.parameter) == ("lora", "learning_rate")
    assert found.correlation == pytest.approx(-1)
