"""From the store to report files."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from fake_trial import ARMS, Watching, experiment
from rich.console import Console

from harness.errors import InputError
from harness.pipeline import StudyRun, run_study
from harness.reporting import find_study, load_study, write_comparison, write_reports
from harness.store import StoreWriter


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    folder = tmp_path_factory.mktemp("study")
    spec = experiment(folder, general={"limit": 5}, budget={"trials": 1})
    return run_study(spec, folder / "results", open_with=Watching)


def results(done: StudyRun) -> Path:
    return done.store.parent


def test_a_study_is_found_by_name_by_id_or_as_the_latest(done: StudyRun) -> None:
    for name in ("pretended", done.experiment_id, done.experiment_id[:6], None):
        found = find_study(results(done), name)
        assert found.study.experiment.experiment_id == done.experiment_id


def test_what_is_not_there(done: StudyRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no experiment is called 'other'"):
        find_study(results(done), "other")
    with pytest.raises(InputError, match="there is no store"):
        find_study(tmp_path, None)
    StoreWriter(tmp_path / "harness.duckdb")
    with pytest.raises(InputError, match="holds no experiment yet"):
        find_study(tmp_path, None)


def test_the_findings_speak_of_every_arm(done: StudyRun) -> None:
    loaded = load_study(results(done), done.experiment_id)
    assert {arm.arm for arm in loaded.findings.arms} == set(ARMS)
    assert loaded.findings.verdict.sentence
    assert loaded.findings.primary is not None
    assert loaded.findings.primary.items == 15


def test_reports_land_beside_the_run(done: StudyRun) -> None:
    loaded = load_study(results(done), done.experiment_id)
    files = write_reports(loaded)
    assert files.html == done.folder / "report.html"
    assert loaded.findings.verdict.sentence.split(".")[0] in files.markdown.read_text("utf-8")
    before = undated(files.markdown)
    again = write_reports(load_study(results(done), done.experiment_id))
    assert undated(again.markdown) == before
    assert [path.name for path in done.folder.glob(".report*")] == []


def undated(path: Path) -> list[str]:
    """The report without the line that says when it was written."""
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if "Report written" not in line]


def test_a_long_search_is_drawn_without_torch(tmp_path: Path) -> None:
    arms = {"few-shot": {"kind": "prompt", "shots": {"low": 0, "high": 9}}, "lora": ARMS["lora"]}
    spec = experiment(tmp_path, arms=arms, budget={"trials": 7})
    run = run_study(spec, tmp_path / "results", open_with=Watching)
    program = f"""
import sys
from pathlib import Path
from harness.reporting import find_study, write_reports
write_reports(find_study(Path({str(results(run))!r}), None))
print(*sorted({{"torch", "optuna", "transformers"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["optuna"]
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Which settings mattered" in page
    assert page.count("validation score trial by trial") >= 2
    assert page.count("7 trials: an indication only") >= 2


def test_a_short_search_does_not_wait_for_optuna(done: StudyRun) -> None:
    program = f"""
import sys
from pathlib import Path
from harness.reporting import find_study
find_study(Path({str(results(done))!r}), None)
print("optuna" in sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == ["False"]


def test_the_terminal_and_a_comparison(done: StudyRun, tmp_path: Path) -> None:
    loaded = load_study(results(done), done.experiment_id)
    screen = io.StringIO()
    console = Console(file=screen, width=100)
    loaded.print(console)
    assert "lora" in screen.getvalue()
    page = write_comparison([loaded, loaded], tmp_path / "both.html", console)
    assert "pretended" in page.read_text("utf-8")
