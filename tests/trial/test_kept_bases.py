"""What a trial finds does not depend on the trials that ran before it in its process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data import write_examples
from harness.models import packed_weights
from harness.models.base_cache import BaseCache
from harness.records import ModelWork, ScoreRecord, TrialRecord, TrialSpec
from harness.trial import run_trial, story
from tests.tiny_model import message, tiny_models
from tests.trial.test_trial import MakeSpec, make_spec

__all__ = ["make_spec", "tiny_models"]

ORDERS = (
    ("prompt", "lora", "full", "qlora", "prompt"),
    ("full", "qlora", "lora", "full", "prompt", "qlora"),
)


def found(record: TrialRecord) -> dict[str, Any]:
    """What a trial found, without what a clock gave."""
    assert record.status == "complete", record.failure_message
    return {
        "scores": [replace(score, seconds=0.0) for score in record.scores],
        "steps": [replace(step, seconds=0.0, check_seconds=0.0) for step in record.steps],
        "canaries": record.canaries,
        "artifacts": record.artifacts,
        "notes": record.environment.keys(),
    }


def with_all(spec: TrialSpec, folder: Path) -> TrialSpec:
    """The trial with dropout, texts, a look at its base and kept weights."""
    texts = ("The parcel came two days late.", "Great camera.", "Answer with one word.")
    path = folder / "texts.parquet"
    write_examples(path, [message(text, text, "") for text in texts])
    general = spec.scores[2]
    prose = replace(general, key="kl", task="prose", suite="divergence", limit=None)
    more = {"replay": 0.25, "kl_weight": 0.3} if spec.kind != "prompt" else {}
    if spec.kind in ("lora", "qlora"):
        more["dropout"] = 0.2
    return replace(
        spec,
        scores=(prose, *spec.scores) if more else spec.scores,
        replay_path=str(path) if more else "",
        params={**spec.params, **more},
        keep_artifact=bool(more),
    )


@pytest.mark.parametrize(("order", "whole"), zip(ORDERS, (False, True), strict=True))
def test_a_trial_finds_what_it_finds_alone(
    make_spec: MakeSpec,
    tmp_path: Path,
    order: tuple[str, ...],
    whole: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packed_weights, "SMALLEST_SIDE", 8)
    bases = BaseCache()
    for number, kind in enumerate(order):
        spec = make_spec(kind, seed=number)
        if whole:
            spec = with_all(spec, tmp_path)
        alone = run_trial(spec, tmp_path / "alone" / str(number))
        after = run_trial(spec, tmp_path / "after" / str(number), bases=bases)
        assert found(after) == found(alone)
    assert bases.mib > 0
    assert "base_reloaded" not in after.environment


def test_a_failed_trial_changes_nothing_for_the_next(make_spec: MakeSpec, tmp_path: Path) -> None:
    bases, spec = BaseCache(), make_spec("lora")
    fails = replace(spec, params={**spec.params, "learning_rate": 1e30, "max_grad_norm": 1e30})
    alone = run_trial(spec, tmp_path / "alone")
    assert run_trial(fails, tmp_path / "fails", bases=bases).status == "failed"
    assert found(run_trial(spec, tmp_path / "after", bases=bases)) == found(alone)


def test_weights_that_were_written_to_are_noted(make_spec: MakeSpec, tmp_path: Path) -> None:
    bases, spec = BaseCache(), make_spec("prompt")
    alone = run_trial(spec, tmp_path / "alone", bases=bases)
    (kept,) = bases._kept.values()
    next(kept.loaded.model.parameters()).data.add_(0.1)
    after = run_trial(spec, tmp_path / "after", bases=bases)
    assert after.scores[0].outputs == alone.scores[0].outputs
    assert "no longer those" in after.environment["base_reloaded"]


def test_trained_weights_are_scored_on_a_kept_base(make_spec: MakeSpec, tmp_path: Path) -> None:
    bases = BaseCache()
    for kind in ("lora", "full"):
        spec = make_spec(kind, keep=True)
        trained = run_trial(spec, tmp_path / kind, bases=bases)
        again = replace(spec, trained_path=str(tmp_path / kind / "artifact"), keep_artifact=False)
        for _ in range(2):
            scored = run_trial(again, tmp_path / "again", bases=bases)
            assert list(map(timeless, scored.scores)) == list(map(timeless, trained.scores))
        assert run_trial(make_spec("prompt"), tmp_path / "prompt", bases=bases).status == "complete"


def timeless(score: ScoreRecord) -> ScoreRecord:
    return replace(score, seconds=0.0, work=ModelWork())


def test_memory_kept_for_others_is_no_part_of_a_trials_peak(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec, bases = make_spec("qlora"), BaseCache()
    run_trial(make_spec("prompt"), tmp_path / "prompt", bases=bases)
    alone = run_trial(spec, tmp_path / "alone").cost
    assert alone is not None
    kept = next(iter(bases._kept.values()))
    # As if the other base were of many gigabytes.
    kept.packed[(0,)] = _Huge()
    beside = run_trial(spec, tmp_path / "beside", bases=bases).cost
    assert beside is not None
    assert beside.peak_memory_mib < alone.peak_memory_mib


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)
def test_equal_trials_have_equal_peaks(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_weights, "SMALLEST_SIDE", 8)
    # As if both had needed as much, with what is kept for later ones.
    monkeypatch.setattr(story, "peak_memory_mib", lambda: 1000.0)
    bases, spec = BaseCache(), with_all(make_spec("lora"), tmp_path)
    peaks = []
    for name in ("first", "second"):
        cost = run_trial(spec, tmp_path / name, bases=bases).cost
        assert cost is not None
        peaks.append(cost.peak_memory_mib)
    assert peaks[0] == pytest.approx(peaks[1])
    assert peaks[0] < 1000.0


class _Huge:
    """Stands for a packed copy of 256 MiB."""

    def numel(self) -> int:
        return 2**28

    def element_size(self) -> int:
        return 1
