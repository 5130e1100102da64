"""What a trial chooses by: replies that could not be scored make nothing look better."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from harness.analysis.statistics.scores import validation_worth
from harness.answers.metrics import EXACT_MATCH, MetricInfo
from harness.records import Aggregate, ItemScore, ScoreRecord, TrialSummary, filled_mean
from harness.trial.choosing import chosen_by

UNBOUNDED = MetricInfo("own", "own", "as it is", lowest=-math.inf, highest=math.inf)


def record(metric: str, *values: float | None) -> ScoreRecord:
    scored = [value for value in values if value is not None]
    return ScoreRecord(
        "key", "domain", "domain", "validation", "full", 0.0,
        outputs=(),
        item_scores=tuple(ItemScore(str(n), "none", metric, v) for n, v in enumerate(values)),
        aggregates={metric: sum(scored) / len(scored)} if scored else {},
        higher_is_better={metric: True},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "values", "chosen"),
    [
        (EXACT_MATCH, (1.0, 1.0, 0.0), 2 / 3),
        (EXACT_MATCH, (1.0, 1.0, None, None), 0.5),
        (UNBOUNDED, (8.0, 4.0, None), 16 / 3),
        (replace(UNBOUNDED, higher_is_better=False), (8.0, 4.0, None), 20 / 3),
        (replace(UNBOUNDED, lowest=-3.0), (8.0, 4.0, None), 3.0),
        (EXACT_MATCH, (None, None), None),
    ],
)
def test_what_could_not_be_scored_counts_as_the_worst(
    metric: MetricInfo, values: tuple[float | None, ...], chosen: float | None
) -> None:
    found = chosen_by(record(metric.name, *values), metric)
    assert found == (None if chosen is None else pytest.approx(chosen))


def test_a_mean_of_all_items_is_as_it_is() -> None:
    assert filled_mean(0.75, 4, 0, 0.0, 0.5) == 0.75


@pytest.mark.parametrize("metric", [UNBOUNDED, replace(UNBOUNDED, lowest=0.0)])
def test_one_good_reply_of_a_hundred_wins_nothing(metric: MetricInfo) -> None:
    def trial(value: float, unscored: int, worst: float | None) -> TrialSummary:
        found = Aggregate(
            "domain", "domain", "validation", "full", metric.name, value, 100, 1.0, 1.0, 1.0,
            reused=False, higher_is_better=True, chance=None, unscored=unscored, worst=worst,
        )  # fmt: skip
        return cast("TrialSummary", SimpleNamespace(aggregates=(found,)))

    gaps, whole = (
        validation_worth(trial(*one), metric) for one in ((0.9, 99, 0.9), (0.8, 0, None))
    )
    assert gaps < whole
    assert validation_worth(trial(math.nan, 100, None), metric) < gaps
