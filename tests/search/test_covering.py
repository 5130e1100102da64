"""The first trials of a search try every kind of setting once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from harness.search import ArmSearch, PastTrial
from harness.search.samplers import startup_trials
from harness.spec import Arm, SearchSpec

FEW_SHOT: dict[str, Any] = {
    "kind": "prompt",
    "shots": {"choices": [0, 2, 4, 8], "default": 2},
    "selection": {"choices": ["balanced", "random", "bm25", "nearest"]},
    "order": {"choices": ["selected", "reversed"]},
    "instruction": {"choices": ["One.", "Two.", "Three."]},
}
LORA = {
    "kind": "lora",
    "rank": {"low": 4, "high": 64, "log": True},
    "epochs": {"low": 1, "high": 3},
    "batch_size": {"choices": [4, 8, 16]},
}


def first(
    plain: dict[str, Any], trials: int, labels: int | None = None, seed: int = 0, **rules: Any
) -> list[dict[str, Any]]:
    """The settings of the first trials, none of which ends before all are asked for."""
    arm: Arm = TypeAdapter(Arm).validate_python(plain)
    spec = SearchSpec.model_validate({"ahead": trials, **rules})
    search = ArmSearch("arm", arm, seed, spec, labels=labels)
    asked = [search.ask() for _ in range(trials)]
    return [one.params for one in asked if one is not None]


@pytest.mark.parametrize("seed", range(8))
def test_every_choice_is_tried_before_one_is_tried_twice(seed: int) -> None:
    settings = first(FEW_SHOT, 5, seed=seed)
    assert {one["selection"] for one in settings if one["shots"]} == set(
        FEW_SHOT["selection"]["choices"]
    )
    assert {one["shots"] for one in settings[:4]} | {0} == {0, 2, 4, 8}
    assert {one["instruction"] for one in settings[:3]} == {"One.", "Two.", "Three."}
    assert {one["order"] for one in settings[:2]} == {"selected", "reversed"}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("labels", "fewest"), [(None, 1), (2, 2), (3, 4), (8, 8), (77, 8)])
def test_the_second_trial_shows_the_nearest_and_a_shot_for_each_label(
    seed: int, labels: int | None, fewest: int
) -> None:
    second = first(FEW_SHOT, 2, labels, seed)[1]
    assert second["selection"] == "nearest"
    assert second["shots"] >= fewest


def test_of_the_ways_to_pick_what_is_near_the_one_that_is_offered_is_tried() -> None:
    choices = {"choices": ["random", "balanced", "bm25"]}
    assert first({**FEW_SHOT, "selection": choices}, 2)[1]["selection"] == "bm25"
    nearest = {"choices": ["nearest", "balanced"]}
    assert first({**FEW_SHOT, "selection": nearest}, 2)[1]["selection"] == "balanced"


@pytest.mark.parametrize("labels", [3, 30, 300])
def test_a_range_of_shots_reaches_the_labels_too(labels: int) -> None:
    plain = {"kind": "prompt", "shots": {"low": 0, "high": 40, "default": 2}}
    second = first(plain, 2, labels)[1]
    assert second["shots"] >= min(labels, 40)


@pytest.mark.parametrize("seed", range(8))
def test_low_middle_and_high_thirds_of_ranges_are_tried(seed: int) -> None:
    settings = first(LORA, 3, seed=seed)
    # Thirds of the logarithm: of 1e-4 to 3e-3, and of 4 to 64.
    rates = sorted(one["learning_rate"] for one in settings)
    assert rates[0] < 3.11e-4 < rates[1] < 9.65e-4 < rates[2]
    ranks = sorted(one["rank"] for one in settings)
    assert ranks[0] <= 10 < ranks[1] <= 25 < ranks[2]
    assert {one["epochs"] for one in settings} == {1, 2, 3}
    assert {one["batch_size"] for one in settings} == {4, 8, 16}


def test_once_all_was_tried_the_sampler_proposes() -> None:
    one_axis = {"kind": "full"}
    settings = first(one_axis, 5)
    assert len({one["learning_rate"] for one in settings}) == 5
    assert first(one_axis, 5, seed=1)[3:] != settings[3:]


def test_who_asks_for_random_or_quasi_random_settings_gets_them() -> None:
    assert [startup_trials(name) for name in ("random", "qmc")] == [1, 1]
    seconds = {first(FEW_SHOT, 2, 8, seed, sampler="random")[1]["shots"] for seed in range(20)}
    assert min(seconds) < 8


def test_settings_depend_on_earlier_proposals_alone() -> None:
    arm: Arm = TypeAdapter(Arm).validate_python(FEW_SHOT)
    whole = first(FEW_SHOT, 5, 3)
    past = [PastTrial(n, one, "complete", 0.1 * n) for n, one in enumerate(whole[:3])]
    again = ArmSearch("arm", arm, 0, SearchSpec(), None, past, labels=3)
    assert [(one := again.ask()) and one.params] == [whole[3]]


def test_repeats_of_a_search_draw_apart() -> None:
    arm: Arm = TypeAdapter(Arm).validate_python(LORA)

    def proposed(repeat: int) -> list[dict[str, Any]]:
        search = ArmSearch("arm", arm, 0, SearchSpec(ahead=9), repeat=repeat)
        return [one.params for _ in range(8) if (one := search.ask()) is not None]

    assert proposed(0) == first(LORA, 8, ahead=9)
    assert proposed(0)[0] == proposed(1)[0]
    assert proposed(0)[1:] != proposed(1)[1:] != proposed(2)[1:]
