"""What a judge is asked while weights are trained whose checks it decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare, read_examples_file
from harness.forecast.judges import marks_of_checks
from harness.records import ResolvedModel, Runtime
from harness.study.make_plan import make_plan
from tests.fake_trial import experiment

MODEL = ResolvedModel("fake", "/fake", "f" * 64)


@pytest.mark.parametrize(
    ("arm", "times"),
    [
        pytest.param({"checks": "score", "keep": "best", "epochs": 3}, 6, id="checked"),
        pytest.param({"checks": "score", "keep": "last", "epochs": 3}, 0, id="last"),
        pytest.param({"checks": "loss", "keep": "best", "epochs": 3}, 0, id="loss"),
    ],
)
def test_each_check_has_the_rows_of_the_loss_judged(
    tmp_path: Path, arm: dict[str, Any], times: int
) -> None:
    arms = {"lora": {"kind": "lora", "learning_rate": 1e-3, "batch_size": 2, **arm}}
    spec = experiment(tmp_path, arms=arms, search={"checks_per_epoch": 2})
    made = make_plan(
        spec, prepare(spec), MODEL, Runtime("cpu", "float32", 1, 4), None, tmp_path / "results"
    )
    trial = made.finalist("lora", 0, 1, made.default_setting("lora"))
    rows = len(read_examples_file(Path(trial.validation_path)))
    assert rows > 0
    assert marks_of_checks(trial).high == rows * times
    assert marks_of_checks(replace(trial, trained_path="/there")).high == 0
