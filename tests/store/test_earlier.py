"""Experiments that earlier versions stored."""

from __future__ import annotations

from typing import Any

from harness.spec import Experiment
from harness.store.earlier import current_form

EARLIER: dict[str, Any] = {
    "name": "small",
    "model": {"reference": "smollm2-135m-instruct"},
    "data": {"source": "data.jsonl"},
    "task": {
        "instruction": "Name the intent.",
        "answer": {"kind": "label", "column": "label", "labels": ["a", "b"]},
    },
    "arms": {"lora": {"kind": "lora"}},
    "budget": {"trials": 3, "sampler": "random", "test_default": True},
}


def test_the_sampler_moves_and_nothing_is_said_that_did_not_hold_then() -> None:
    before = dict(EARLIER["budget"])
    spec = Experiment.model_validate(current_form(EARLIER))
    assert spec.budget.trials == 3
    assert spec.search.sampler == "random"
    assert spec.search.forgetting == "ignore"
    assert (spec.search.trained_pruner, spec.search.prompt_pruner) == ("none", "none")
    assert EARLIER["budget"] == before


def test_an_experiment_of_this_version_stays_as_it_is() -> None:
    plain = Experiment.model_validate(current_form(EARLIER)).plain()
    assert current_form(plain) == plain
    assert current_form({}) == {}
