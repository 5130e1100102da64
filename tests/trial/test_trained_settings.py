"""Hyperparameters of fine-tuning reach the training of a whole trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import write_examples
from harness.trial import run_trial
from tests.tiny_model import message, tiny_models
from tests.trial.test_trial import MakeSpec, make_spec

__all__ = ["make_spec", "tiny_models"]


@pytest.mark.parametrize(
    ("kind", "dtype", "more", "form"),
    [
        ("full", "bfloat16", {}, "full"),
        ("lora", "float32", {"rslora": True, "targets": ["q_proj"]}, "adapter-on-float32"),
        ("lora", "bfloat16", {"dora": True, "dropout": 0.1}, "adapter-on-bfloat16"),
        ("qlora", "bfloat16", {"dora": True, "quantisation": "fp4"}, "adapter-on-fp4"),
    ],
)
def test_a_trial_trains_with_texts_and_every_kind_of_adapter(
    make_spec: MakeSpec, tmp_path: Path, kind: str, dtype: str, more: dict[str, Any], form: str
) -> None:
    texts = ("The parcel came two days late.", "Great camera.", "Answer with one word.")
    path = tmp_path / "texts.parquet"
    write_examples(path, [message(text, text, "") for text in texts])
    plain = make_spec(kind, **more)
    plain = replace(plain, runtime=replace(plain.runtime, dtype=dtype), checks_per_epoch=2)
    spec = replace(
        plain, replay_path=str(path), params={**plain.params, "replay": 0.25, "kl_weight": 0.3}
    )
    record = run_trial(spec, tmp_path / "texts")
    assert (record.status, record.failure_message) == ("complete", "")
    assert record.canaries is not None
    assert record.canaries.before_max_difference == 0.0
    assert {score.form for score in record.scores} == {form}
    checked = [step.validation_loss is not None for step in record.steps]
    assert checked == [False, True, True] * 2
    without = run_trial(plain, tmp_path / "plain")
    assert without.status == "complete"
    assert record.steps[-1].tokens > without.steps[-1].tokens
    # The first step starts from the same weights and the same examples.
    assert record.steps[0].loss == pytest.approx(without.steps[0].loss, rel=1e-5)
    assert [s.loss for s in record.steps[1:]] != [s.loss for s in without.steps[1:]]
