"""A judge's model at the terminal: looked for by check, and named where it is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import fake_trial
from tests.command_line import Done, harness


def checked(folder: Path, judge: dict[str, Any]) -> Done:
    values = fake_trial.experiment_values(
        folder,
        arms={"zero-shot": {"kind": "prompt"}},
        judges={"kind": {"rubric": "Is it kind?", **judge}},
    )
    values["task"]["metrics"] = ["exact_match", "judge:kind"]
    path = folder / "e.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return harness("check", path.name, cwd=folder, HF_HUB_OFFLINE="1")


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ({"model": "./nowhere"}, "judges.kind.model: model"),
        ({"model": {"reference": "model", "chat_template_args": {"loud": True}}}, "chat_template"),
    ],
)
def test_a_model_that_cannot_judge_is_refused(
    tmp_path: Path, judge: dict[str, Any], said: str
) -> None:
    fake_trial.write_model(tmp_path / "model")
    done = checked(tmp_path, judge)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_is_still_to_be_fetched_is_named(tmp_path: Path) -> None:
    done = checked(tmp_path, {"model": "some-org/a-judge"})
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "the model of judge kind, a-judge, is not on this machine yet" in said
