"""A metric of one's own at the terminal: what it is told, and what stops before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.study import run as pipeline
from tests import fake_trial
from tests.command_line import Done, harness
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

GOOD = "return reply == target and len(item) == 2"


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "executing", lambda: fake_trial.execute)


def study(folder: Path, body: str, **changes: Any) -> Path:
    values = fake_trial.experiment_values(folder, arms={"zero-shot": {"kind": "prompt"}}, **changes)
    values["task"]["metrics"] = ["python:own.py:own", "exact_match"]
    (folder / "own.py").write_text(f"def own(item, reply, target):\n    {body}\n")
    path = folder / "e.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def asked(command: str, path: Path) -> Done:
    more = [] if command == "check" else ["--results", str(path.parent / "results")]
    if command == "run":
        more += ["--engine", "in-process", "--quiet"]
    return harness(command, path.name, *more, cwd=path.parent)


def test_check_says_what_it_is(tmp_path: Path) -> None:
    done = asked("check", study(tmp_path, GOOD))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "Metric own (it decides): from 0 to 1; a metric of this" in said
    assert "computed by own of own.py (SHA-256 " in said


def test_check_tells_of_rows_that_it_cannot_score(tmp_path: Path) -> None:
    done = asked("check", study(tmp_path, "return 1 / (target != 'billing')"))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "warning: own cannot score " in said
    assert (
        "ZeroDivisionError: division by zero (own.py:2: return 1 / (target != 'billing'))" in said
    )


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return item['prise']", "own can score none of the 16 rows that were tried"),
        ("return 'yes'", "gives str 'yes'; give a number"),
        ("return (", "e.yaml:"),
    ],
)
def test_what_cannot_work_stops_before_anything_runs(
    tmp_path: Path, command: str, body: str, message: str
) -> None:
    done = asked(command, study(tmp_path, body))
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert message in " ".join(said.split())
    assert "task.metrics.0" in said
    assert "Traceback" not in said
    assert not (tmp_path / "results" / "harness.duckdb").exists()
    assert not (tmp_path / fake_trial.LOG).exists()


def test_a_study_runs_and_is_queried_by_its_name(tmp_path: Path) -> None:
    path = study(tmp_path, GOOD)
    done = asked("run", path)
    assert done.returncode == 0, done.stderr
    sql = "SELECT DISTINCT metric FROM scores WHERE suite = 'domain'"
    done = harness("query", sql, "--results", "results", cwd=tmp_path)
    assert "own" in done.stdout
    # Its report needs the file no more.
    (tmp_path / "own.py").unlink()
    done = harness(
        "report", "--results", "results", "--format", "html,json", "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (text,) = (tmp_path / "results").rglob("report.html")
    assert "def own(item, reply, target):" in text.read_text()
