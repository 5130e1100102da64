"""A trial keeps the weights of its best check, and says what the last would have scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records import CHECKPOINT, Progress, TrialRecord, TrialSpec
from harness.store import discard_record, read_record, write_record
from harness.training import resumption
from harness.trial import run_trial
from tests.tiny_model import tiny_models
from tests.trial.test_trial import MakeSpec, make_spec

__all__ = ["make_spec", "tiny_models"]

# A rate that rises to a height at which the loss on other messages rises, too.
RISING: dict[str, Any] = {"warmup": 1.0, "epochs": 3, "max_grad_norm": 100.0}
RATES = {"full": 1.0, "lora": 0.1, "qlora": 0.1}


def rising(make_spec: MakeSpec, kind: str, keep: str) -> TrialSpec:
    spec = make_spec(kind, learning_rate=RATES[kind], **RISING, keep=True)
    return replace(spec, params={**spec.params, "keep": keep}, checks_per_epoch=3)


def validation_score(record: TrialRecord) -> float:
    return record.scores[0].aggregates["exact_match"]


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_finalist_says_what_its_last_weights_would_have_scored(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    best = run_trial(rising(make_spec, kind, "best"), tmp_path / "best")
    last = run_trial(rising(make_spec, kind, "last"), tmp_path / "last")
    assert (best.status, last.status) == ("complete", "complete")
    losses = {s.step: s.validation_loss for s in best.steps if s.validation_loss is not None}
    assert losses == {s.step: s.validation_loss for s in last.steps if s.validation_loss}
    lowest = min(losses, key=lambda step: losses[step])
    kept, of_last = best.checkpoint, last.checkpoint
    assert kept is not None
    assert of_last is not None
    assert (kept.step, kept.steps) == (lowest, 9)
    assert kept.epoch == pytest.approx(lowest / 3)
    assert (kept.validation_loss, kept.last_validation_loss) == (losses[lowest], losses[9])
    assert lowest < 9
    assert (of_last.step, of_last.validation_loss, of_last.last_score) == (9, losses[9], None)
    # What it says of the weights that it did not keep is what they score where they are kept.
    assert kept.last_score == validation_score(last)
    assert [s.outputs for s in best.scores] != [s.outputs for s in last.scores]
    assert best.canaries is not None
    assert last.canaries is not None
    assert best.canaries.after_max_difference != last.canaries.after_max_difference


def test_a_search_trial_scores_only_what_it_keeps(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = replace(rising(make_spec, "lora", "best"), phase="search", keep_artifact=False)
    record = run_trial(spec, tmp_path)
    assert record.checkpoint is not None
    assert record.checkpoint.step < record.checkpoint.steps
    assert record.checkpoint.last_score is None


def scored(make_spec: MakeSpec, kind: str, keep: str) -> TrialSpec:
    """Its rate rises to where replies to other messages get worse; its checks score them."""
    spec = rising(make_spec, kind, keep)
    return replace(spec, params={**spec.params, "checks": "score"})


@pytest.mark.parametrize("kind", ["full", "lora", "qlora"])
def test_checks_that_score_say_what_their_weights_score(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    best = run_trial(scored(make_spec, kind, "best"), tmp_path / "best")
    last = run_trial(scored(make_spec, kind, "last"), tmp_path / "last")
    assert (best.status, last.status) == ("complete", "complete"), best.failure_message
    by_step = {s.step: (s.validation_score, s.validation_loss) for s in best.steps}
    assert all((score is None) == (loss is None) for score, loss in by_step.values())
    found = {
        step: (score, -loss)
        for step, (score, loss) in by_step.items()
        if score is not None and loss is not None
    }
    assert len(found) == 9
    assert len({score for score, _ in found.values()}) > 1
    kept = best.checkpoint
    assert kept is not None
    assert kept.step == max(found, key=lambda step: found[step])
    # The rows of the check are all of the validation rows here.
    assert kept.validation_score == found[kept.step][0] == validation_score(best)
    assert kept.last_validation_score == found[9][0] == validation_score(last)
    # Where they would choose nothing, no replies are asked for; and to look at them changes
    # nothing of the training.
    assert {s.validation_score for s in last.steps} == {None}
    assert [s.loss for s in last.steps] == [s.loss for s in best.steps]


def test_replies_are_written_at_checks_too(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = scored(make_spec, "lora", "best")
    record = run_trial(
        replace(
            spec, params={**spec.params, "answering": "generate", "gradient_checkpointing": True}
        ),
        tmp_path,
    )
    assert record.status == "complete", record.failure_message
    assert record.checkpoint is not None
    assert record.checkpoint.validation_score == validation_score(record)


def test_without_validation_the_last_weights_are_kept(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = rising(make_spec, "lora", "best")
    without = run_trial(replace(spec, validation_path=""), tmp_path / "without")
    last = run_trial(rising(make_spec, "lora", "last"), tmp_path / "last")
    assert without.checkpoint is None
    assert [s.outputs for s in without.scores] == [s.outputs for s in last.scores]


def interrupted_at(step: int) -> Any:
    """What hears of a trial's progress, and ends it after a step of its training."""

    def hear(progress: Progress) -> None:
        if (progress.stage, progress.done) == ("train", step):
            raise KeyboardInterrupt

    return hear


@pytest.mark.parametrize(
    ("kind", "checks"), [("full", "loss"), ("lora", "loss"), ("lora", "score")]
)
def test_a_trial_that_was_interrupted_goes_on_in_its_folder(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, checks: str
) -> None:
    spec = rising(make_spec, kind, "best")
    spec = replace(spec, params={**spec.params, "checks": checks})
    whole = run_trial(spec, tmp_path / "whole")
    assert not (tmp_path / "whole" / CHECKPOINT).exists()
    folder = tmp_path / "halved"
    monkeypatch.setattr(resumption, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(resumption, "SHARE", 1e9)
    with pytest.raises(KeyboardInterrupt):
        run_trial(spec, folder, interrupted_at(5))
    # What a study does before a trial runs again.
    discard_record(folder)
    record = run_trial(spec, folder)
    assert record.environment["resumed"] == (
        "training was interrupted, and went on after step 5 of 9"
    )
    assert "checkpoint" not in record.environment
    for name in ("status", "checkpoint", "canaries", "artifacts"):
        assert getattr(record, name) == getattr(whole, name), name
    assert [s.outputs for s in record.scores] == [s.outputs for s in whole.scores]
    assert [s.item_scores for s in record.scores] == [s.item_scores for s in whole.scores]
    assert [(s.step, s.loss) for s in record.steps] == [(s.step, s.loss) for s in whole.steps]
    assert [s.validation_score for s in record.steps] == [s.validation_score for s in whole.steps]
    assert record.cost is not None
    # The time before the interruption counts.
    assert record.cost.train_seconds > record.steps[-1].seconds
    assert (folder / CHECKPOINT).is_dir()
    write_record(folder, record)
    assert not (folder / CHECKPOINT).exists()
    assert read_record(folder) == record
