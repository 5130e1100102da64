"""From the store to report files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fake_trial import ARMS, Watching, experiment
from rich.console import Console

from harness.errors import InputError
from harness.pipeline import StudyRun, run_study
from harness.report.document import Code
from harness.reporting import chosen_formats, find_study, load_study, write_reports
from harness.spec import Experiment
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
    assert files["html"] == done.folder / "report.html"
    assert loaded.findings.verdict.sentence.split(".")[0] in files["md"].read_text("utf-8")
    before = undated(files["md"])
    again = write_reports(load_study(results(done), done.experiment_id))
    assert undated(again["md"]) == before
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


def test_the_terminal(done: StudyRun) -> None:
    screen = io.StringIO()
    load_study(results(done), done.experiment_id).print(Console(file=screen, width=100))
    assert "lora" in screen.getvalue()


def test_the_settings_in_the_report_are_the_experiment(done: StudyRun) -> None:
    loaded = load_study(results(done), done.experiment_id)
    blocks = loaded.view.section("run").blocks
    text = next(block.text for block in blocks if isinstance(block, Code))
    assert Experiment.model_validate(yaml.safe_load(text)) == Experiment.model_validate(
        loaded.study.experiment.spec
    )
    assert yaml.safe_load(text)["search"]["prompt_pruner_items"] == 24


def test_a_missing_browser_costs_no_other_format(
    done: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_BROWSER", "no-such-browser")
    loaded = load_study(results(done), done.experiment_id)
    with pytest.raises(InputError, match=r"no-such-browser.*Written: .*report.html, .*report.json"):
        write_reports(loaded, tmp_path, ("pdf", "json,html"))
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json"}
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert found["experiment"]["experiment_id"] == done.experiment_id
    assert found["findings"]["verdict"]["sentence"] == loaded.findings.verdict.sentence


def test_formats_are_chosen_by_name() -> None:
    assert chosen_formats(["pdf", "MD, html", "html"]) == ("html", "md", "pdf")
    with pytest.raises(InputError, match="no report format is called 'doc'; choose from html, md"):
        chosen_formats(["html,doc"])
    with pytest.raises(InputError, match="name a report format"):
        chosen_formats([","])
