"""harness plan, with small trials in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from harness import engine
from harness.cli import group
from harness.engine.in_process import InProcessEngine
from harness.errors import InputError
from tests.fake_trial import experiment_values
from tests.tiny_model import write_model

pytestmark = pytest.mark.weights


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        engine, "open_engine", lambda name, execute, limits: InProcessEngine(execute)
    )
    values = experiment_values(
        tmp_path,
        arms={"few-shot": {"kind": "prompt", "shots": {"low": 1, "high": 2}}},
        score_batch_size=8,
    )
    values["model"] = {
        "reference": str(write_model(tmp_path / "tiny", None)),
        "dtype": "float32",
    }
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_tables_name_arms_trials_and_what_the_numbers_rest_on(experiment: Path) -> None:
    results = experiment.parent / "results"
    done = CliRunner().invoke(group, ["plan", str(experiment), "--results", str(results)])
    assert done.exit_code == 0, (done.output, done.exception)
    shown = " ".join(done.stdout.split())
    for text in ("few-shot", "2 + 1", "What this rests on", "--thorough", "minutes"):
        assert text in shown
    assert "Measuring 1 of 2: base (prompt)" in done.stderr
    assert not results.exists()


def test_json_is_one_object_and_nothing_else(experiment: Path) -> None:
    done = CliRunner().invoke(group, ["plan", str(experiment), "--format", "json"])
    assert done.exit_code == 0, (done.output, done.exception)
    found = json.loads(done.stdout)
    assert [arm["arm"] for arm in found["arms"]] == ["base", "few-shot"]
    assert found["seconds"]["low"] < found["seconds"]["expected"] < found["seconds"]["high"]
    assert found["arms"][1]["trials"]["search"] == {"expected": 2, "low": 2, "high": 2}


def test_a_missing_file_is_the_users_to_mend(tmp_path: Path) -> None:
    done = CliRunner().invoke(group, ["plan", str(tmp_path / "none.yaml")])
    assert isinstance(done.exception, InputError)
