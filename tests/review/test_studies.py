"""From the store to report files."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from harness.errors import InputError
from harness.records import StoredVerdict
from harness.report.document import Code
from harness.report.formats.pdf import BROWSERS
from harness.review.studies import (
    COMPARISON_FORMATS,
    AnalysedStudy,
    chosen_formats,
    find_study,
    load_study,
    note_verdict,
    write_reports,
)
from harness.spec import Experiment
from harness.store import StoreReader, StoreWriter
from harness.study.run import StudyRun, run_study
from harness.versions import __version__
from tests.fake_trial import ARMS, Watching, experiment
from tests.untimed import untimed

__all__ = ["untimed"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    folder = tmp_path_factory.mktemp("study")
    spec = experiment(folder, general={"limit": 5}, budget={"trials": 1})
    return run_study(spec, folder / "results", open_with=Watching)


@pytest.fixture(scope="module")
def loaded(done: StudyRun) -> AnalysedStudy:
    return load_study(results(done), done.experiment_id)


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


def test_the_findings_speak_of_every_arm(loaded: AnalysedStudy) -> None:
    assert {arm.arm for arm in loaded.findings.arms} == set(ARMS)
    assert loaded.findings.verdict.sentence
    assert loaded.findings.primary is not None
    assert loaded.findings.primary.items == 15


def test_a_verdict_is_noted_once_for_what_it_judged(
    done: StudyRun, loaded: AnalysedStudy, tmp_path: Path
) -> None:
    shutil.copy(done.store, tmp_path)
    copied = replace(loaded, results=tmp_path)
    store = tmp_path / done.store.name
    assert StoreReader(store).find().study.verdict is None
    for _ in range(2):
        note_verdict(copied)
    noted = StoreReader(store).find().study.verdict
    verdict = loaded.findings.verdict
    assert noted == StoredVerdict(verdict.outcome, verdict.winner, verdict.sentence, __version__)
    # Judged by another margin, it is to be noted again.
    record = loaded.study.experiment
    contrast = {**record.spec["contrast"], "margin": 0.5}
    StoreWriter(store).declare(replace(record, spec={**record.spec, "contrast": contrast}))
    found = StoreReader(store).find().study
    assert (found.finished, found.verdict) == (True, None)
    note_verdict(copied)
    events = StoreReader(store).events(done.experiment_id)
    (first, second) = [event.detail for event in events if event.kind == "verdict"]
    assert first == second
    assert first["trials"] == {"complete": 13}
    assert len(first["rules_hash"]) == 64


def test_a_report_notes_nothing(done: StudyRun, loaded: AnalysedStudy, tmp_path: Path) -> None:
    before = StoreReader(done.store).events(done.experiment_id)
    write_reports(loaded, tmp_path)
    find_study(results(done), None)
    assert StoreReader(done.store).events(done.experiment_id) == before


def test_reports_land_beside_the_run(done: StudyRun, loaded: AnalysedStudy) -> None:
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


@pytest.mark.usefixtures("untimed")
def test_a_long_search_is_drawn_without_torch_or_optuna(tmp_path: Path) -> None:
    arms = {"few-shot": {"kind": "prompt", "shots": {"low": 0, "high": 9}}, "lora": ARMS["lora"]}
    spec = experiment(tmp_path, arms=arms, budget={"trials": 7})
    run = run_study(spec, tmp_path / "results", open_with=Watching)
    program = f"""
import sys
from pathlib import Path
from harness.review.studies import find_study, write_reports
write_reports(find_study(Path({str(results(run))!r}), None))
print(*sorted({{"torch", "optuna", "transformers"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Which settings mattered" in page
    assert page.count("validation score trial by trial") >= 2
    assert page.count("7 trials: an indication only") >= 2


def test_a_short_search_does_not_wait_for_what_loads_slowly(done: StudyRun) -> None:
    program = f"""
import sys
from pathlib import Path
from harness.review.studies import find_study
find_study(Path({str(results(done))!r}), None)
print(*sorted({{"optuna", "scipy.stats"}} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == []


def test_the_terminal(loaded: AnalysedStudy) -> None:
    screen = io.StringIO()
    loaded.print(Console(file=screen, width=100))
    assert "lora" in screen.getvalue()


def test_the_settings_in_the_report_are_the_experiment(loaded: AnalysedStudy) -> None:
    blocks = loaded.view.section("run").blocks
    text = next(block.text for block in blocks if isinstance(block, Code))
    assert Experiment.model_validate(yaml.safe_load(text)) == Experiment.model_validate(
        loaded.study.experiment.spec
    )
    assert yaml.safe_load(text)["search"]["prompt_pruner_items"] == 24


def test_a_missing_browser_costs_no_other_format(
    done: StudyRun, loaded: AnalysedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_BROWSER", "no-such-browser")
    with pytest.raises(InputError, match=r"no-such-browser.*Written: .*report.html, .*report.json"):
        write_reports(loaded, tmp_path, ("pdf", "json,html"))
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json"}
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert found["experiment"]["experiment_id"] == done.experiment_id
    assert found["findings"]["verdict"]["sentence"] == loaded.findings.verdict.sentence


def test_items_go_to_a_spreadsheet_and_the_appendix_opens(
    loaded: AnalysedStudy, tmp_path: Path
) -> None:
    files = write_reports(loaded, tmp_path, ("csv", "html"), appendix=True)
    assert files["csv"] == tmp_path / "report.csv"
    items = len({row.doc_hash for row in loaded.study.items})
    runs = len({(row.arm, row.seed) for row in loaded.study.items})
    with files["csv"].open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == items * runs
    assert 'id="appendix" open' in files["html"].read_text("utf-8")


@pytest.mark.browser
def test_the_brief_has_a_file_of_its_own(loaded: AnalysedStudy, tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in BROWSERS):
        pytest.skip("NO BROWSER: none of them is on PATH")
    files = write_reports(loaded, tmp_path, ("brief",))
    assert files["brief"] == tmp_path / "report.brief.pdf"
    assert len(re.findall(rb"/Type\s*/Page\b", files["brief"].read_bytes())) <= 2


def test_formats_are_chosen_by_name() -> None:
    assert chosen_formats(["pdf", "MD, html", "html"]) == ("html", "md", "pdf")
    with pytest.raises(InputError, match="no report format is called 'doc'; choose from html, md"):
        chosen_formats(["html,doc"])
    with pytest.raises(InputError, match="name a report format"):
        chosen_formats([","])
    with pytest.raises(InputError, match="called 'csv'; choose from html, md, json, pdf, with"):
        chosen_formats(["csv"], COMPARISON_FORMATS)
