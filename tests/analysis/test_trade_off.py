"""The plane of learning against forgetting: who is in it, where, and who is on the fronts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.forgetting.trade_off import with_fronts
from harness.analysis.whole_study import analyse
from harness.findings import TradeOffPoint
from harness.records import Study

from .study_builder import ACCURACY, BITS, StudyBuilder, experiment, items_reversed, right


def searched() -> StudyBuilder:
    """A base with 0.3 on validation; `lora` gains by search trial 0.2 and 0.4, at a price."""
    built = StudyBuilder(experiment(), {"facts": ACCURACY, "text": BITS})
    built.finalist(
        "base",
        0,
        {"test": right(0.3), "validation": right(0.3, 100), "general:facts": right(0.8)},
    )
    built.search("few-shot", [0.4, 0.35])
    # The first 20 items: the base has all of them right.
    built.search(
        "lora",
        [0.5, 0.7, None],
        general=[
            {"general:facts": right(1.0, 20)},
            {"general:facts": right(0.5, 20)},
            {"general:facts": right(0.5, 20)},
        ],
    )
    built.finalist("few-shot", 1, {"test": right(0.5), "validation": right(0.4, 100)})
    built.finalist(
        "lora",
        1,
        {"test": right(0.9), "validation": right(0.6, 100), "general:facts": right(0.7)},
        setting=1,
    )
    return built


def points_of(study: Study) -> dict[str, TradeOffPoint]:
    return {
        point.trial_id: point
        for point in analyse(study, resamples=100, sensitivity=False).trade_off
    }


def test_the_front_holds_what_nothing_beats() -> None:
    places = [(0.1, -0.1), (0.2, -0.2), (0.1, -0.2), (0.0, 0.0), (0.2, -0.2)]
    points = [TradeOffPoint("a", str(i), i, x, y, False) for i, (x, y) in enumerate(places)]
    marked = with_fronts(points)
    assert [point.on_front for point in marked] == [True, True, False, True, True]
    assert [point.on_arm_front for point in marked] == [True, True, False, True, True]
    other = TradeOffPoint("b", "5", 5, 0.1, -0.2, False)
    *_, last = with_fronts([*points, other])
    assert (last.on_front, last.on_arm_front) == (False, True)


def test_every_candidate_has_its_place_on_validation() -> None:
    points = points_of(searched().build())
    assert {name: point.phase for name, point in points.items()} == {
        "few-shot-search-0-0": "search",
        "few-shot-search-1-0": "search",
        "few-shot-finalist-0-1": "finalist",
        "lora-search-0-0": "search",
        "lora-search-1-0": "search",
        "lora-finalist-0-1": "finalist",
    }
    gains = [
        points[f"{arm}-search-{number}-0"].domain_gain
        for arm in ("few-shot", "lora")
        for number in (0, 1)
    ]
    assert gains == pytest.approx([0.1, 0.05, 0.2, 0.4])
    assert points["lora-finalist-0-1"].domain_gain == pytest.approx(0.3)
    assert points["lora-finalist-0-1"].general_change == pytest.approx(-0.1)
    assert points["lora-search-1-0"].params == {"setting": 1}
    assert points["few-shot-search-1-0"].general_change == 0


def test_search_trials_are_paired_with_the_base_on_the_items_they_answered() -> None:
    points = points_of(searched().build())
    assert points["lora-search-0-0"].general_change == 0
    assert points["lora-search-1-0"].general_change == pytest.approx(-0.5)


def test_the_order_of_items_changes_nothing() -> None:
    study = searched().build()
    assert points_of(items_reversed(study)) == points_of(study)


def test_a_trial_without_general_scores_has_no_place() -> None:
    built = searched()
    built.vectors = [v for v in built.vectors if v.trial_id != "lora-search-1-0"]
    points = points_of(built.build())
    assert "lora-search-1-0" not in points
    assert "lora-search-0-0" in points


def test_a_base_without_validation_leaves_the_finalists_on_test() -> None:
    built = StudyBuilder(experiment(), {"facts": ACCURACY})
    built.search("lora", [0.5], general=[{"general:facts": right(1.0, 20)}])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    built.finalist("few-shot", 1, {"test": right(0.5)})
    built.finalist("lora", 1, {"test": right(0.9), "general:facts": right(0.7)})
    points = {
        point.arm: point
        for point in analyse(built.build(), resamples=100, sensitivity=False).trade_off
    }
    assert all(point.phase == "finalist" for point in points.values())
    assert points["few-shot"].general_change == 0
    assert points["few-shot"].domain_gain == pytest.approx(0.2)
    assert points["lora"].domain_gain == pytest.approx(0.6)
    assert points["lora"].general_change == pytest.approx(-0.1)
    assert all(point.on_front and point.on_arm_front for point in points.values())


def test_without_a_base_or_a_suite_there_is_no_plane() -> None:
    built = searched()
    built.vectors = [v for v in built.vectors if v.arm != "base" or v.suite != "domain"]
    assert analyse(built.build(), resamples=100, sensitivity=False).trade_off == ()
    built = StudyBuilder(experiment(general=None))
    built.finalist("base", 0, {"validation": right(0.5)}).search("lora", [0.5])
    assert analyse(built.build(), resamples=100, sensitivity=False).trade_off == ()


def test_an_unscored_base_is_as_good_as_none() -> None:
    built = searched()
    built.vectors = [
        replace(v, values=np.full(len(v.values), np.nan))
        if v.arm == "base" and v.split == "validation"
        else v
        for v in built.vectors
    ]
    points = points_of(built.build())
    assert points["lora-finalist-0-1"].domain_gain == pytest.approx(0.6)
