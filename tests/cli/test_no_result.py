"""A study in which nothing ended well is no success."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import harness
from harness.cli import group
from harness.errors import StudyFailedError
from harness.study import run as pipeline
from tests import fake_trial
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

FAILS = "[fail] Classify."


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "executing", lambda: fake_trial.execute)


def study(folder: Path, *failing: str) -> Path:
    arms: dict[str, dict[str, Any]] = {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    for name in failing:
        arms[name]["instruction"] = FAILS
    path = folder / "e.yaml"
    path.write_text(yaml.safe_dump(fake_trial.experiment_values(folder, arms=arms)))
    return path


def run(path: Path) -> Result:
    place = ["--results", str(path.parent / "results"), "--engine", "in-process", "--quiet"]
    return CliRunner().invoke(group, ["run", str(path), *place])


def test_no_arm_with_a_result_is_code_1_and_names_the_first_cause(tmp_path: Path) -> None:
    path = study(tmp_path, "zero-shot", "lora")
    # Known failures count as those of this run do.
    for _ in range(2):
        done = run(path)
        assert isinstance(done.exception, StudyFailedError)
        assert done.exception.exit_code == 1
        assert "the first failed by: the loss is not a number at step 3 (nan_loss)" in str(
            done.exception
        )
        assert "Report:" in done.output
    with pytest.raises(StudyFailedError, match="nothing to compare"):
        harness.run(path, results=tmp_path / "results", engine="in-process")


def test_an_arm_without_a_result_is_named_and_the_others_count(tmp_path: Path) -> None:
    done = run(study(tmp_path, "lora"))
    assert done.exit_code == 0, done.exception
    said = " ".join(done.output.split())
    assert "arm lora: none of its trials ended well; the first failed by: the loss is not" in said


def test_a_study_that_goes_well_warns_of_nothing(tmp_path: Path) -> None:
    done = run(study(tmp_path))
    assert done.exit_code == 0, done.exception
    assert "none of its trials" not in done.output
