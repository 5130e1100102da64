"""A trial stops early where its specification says what it is hopeless against."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data.examples_file import write_examples
from harness.evaluation.score_batches import Answered
from harness.records import Pruning, TrialCurve, TrialSpec
from harness.store import read_record, write_record
from harness.study.score_keys import in_score_batches
from harness.trial import run_trial
from harness.trial.candidate import Pruned
from harness.trial.early_stopping import ItemWatch
from tests.tiny_model import messages, tiny_models
from tests.trial.test_trial import MakeSpec, make_spec

__all__ = ["make_spec", "tiny_models"]
ITEMS = 40


@pytest.fixture
def prompt(make_spec: MakeSpec, tmp_path: Path) -> TrialSpec:
    write_examples(tmp_path / "validation.parquet", messages(ITEMS, 20))
    spec = make_spec("prompt", answering="generate")
    return replace(spec, phase="search", scores=(in_score_batches(spec.scores[0], 8),))


def against(value: float, pruner: Any = "wilcoxon") -> Pruning:
    """A past trial that had ``value`` on every item."""
    return Pruning(
        pruner, (TrialCurve(1, "complete", value, tuple((n, value) for n in range(ITEMS))),)
    )


def test_a_hopeless_prompt_stops(prompt: TrialSpec, tmp_path: Path) -> None:
    # The tiny model writes no right answer; the best prompt so far got every item right.
    record = run_trial(replace(prompt, pruning=against(1.0)), tmp_path)
    assert record.status == "pruned"
    assert record.scores == ()
    assert record.stopped is not None
    stopped = record.stopped
    assert (stopped.unit, stopped.done, stopped.total) == ("items", 24, ITEMS)
    assert (stopped.value, stopped.against) == (0.0, 1.0)
    assert len(stopped.values) == 24
    assert stopped.tokens > 24 * 5
    assert record.cost is not None
    assert record.cost.score_seconds > 0
    write_record(tmp_path / "kept", record)
    assert read_record(tmp_path / "kept") == record


def test_a_prompt_that_is_as_good_goes_on(prompt: TrialSpec, tmp_path: Path) -> None:
    for pruning in (against(0.0), None):
        record = run_trial(replace(prompt, pruning=pruning), tmp_path)
        assert record.status == "complete"
        assert record.stopped is None
        assert len(record.scores[0].outputs) == ITEMS


def answered(first: int, values: list[float]) -> list[Answered]:
    return [Answered(first + n, value, 1) for n, value in enumerate(values)]


def test_of_a_metric_that_is_better_when_lower_the_higher_one_is_hopeless() -> None:
    """Values of the past are signed so that higher is better, as searches hand them on."""
    for value, hopeless in ((9.0, True), (1.0, False)):
        watch = ItemWatch(against(-5.0), ITEMS, higher_is_better=False)
        stopped: Pruned | None = None
        try:
            for start in range(0, ITEMS - 8, 8):
                watch(answered(start, [value] * 8))
        except Pruned as way_out:
            stopped = way_out
        assert (stopped is not None) is hopeless
        if stopped is not None:
            assert (stopped.stopped.value, stopped.stopped.against) == (value, 5.0)


def test_items_that_could_not_be_scored_say_nothing() -> None:
    watch = ItemWatch(against(1.0), 2 * ITEMS)
    # Not one value: there is nothing that could be hopeless.
    watch(answered(0, [math.nan] * 8))
    with pytest.raises(Pruned) as caught:
        for start in range(8, ITEMS, 8):
            watch(answered(start, [math.nan, *[0.0] * 7]))
    stopped = caught.value.stopped
    assert len(stopped.values) == stopped.done - 8 - (stopped.done - 8) // 8
    assert stopped.value == 0


def test_a_trial_of_which_all_is_asked_is_not_stopped() -> None:
    watch = ItemWatch(against(1.0), ITEMS)
    # Some items have no value, and yet there is nothing left to save.
    watch(answered(0, [math.nan, *[0.0] * (ITEMS - 1)]))


def losses(first: float) -> Pruning:
    """Five finished trials with these losses at their checks."""
    course = ((1, -first), (2, -first), (3, -first))
    return Pruning("median", tuple(TrialCurve(n, "complete", 0.5, course) for n in range(5)))


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_hopeless_training_stops(make_spec: MakeSpec, tmp_path: Path, kind: str) -> None:
    spec = replace(make_spec(kind, epochs=3), phase="search")
    record = run_trial(replace(spec, pruning=losses(0.0)), tmp_path)
    assert record.status == "pruned"
    assert record.stopped is not None
    assert record.stopped.unit == "steps"
    assert record.stopped.done == len(record.steps) < record.stopped.total
    assert record.stopped.value == record.steps[-1].validation_loss
    assert record.stopped.against == 0.0
    assert record.cost is not None
    assert record.cost.train_tokens == record.steps[-1].tokens > 0
    assert record.cost.train_seconds > 0


def test_training_that_is_better_than_the_median_goes_on(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = replace(make_spec("lora", epochs=2), phase="search", pruning=losses(99.0))
    assert run_trial(spec, tmp_path).status == "complete"
