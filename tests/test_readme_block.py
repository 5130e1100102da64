"""The README's block on the demo is what the program printed, and its picture is the report's."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.terminal import Terminal
from harness.errors import InputError
from harness.records import Event
from harness.report import print_decision
from harness.review.studies import AnalysedStudy, load_study
from harness.study.run import run_study
from harness.wording import seconds
from tests.fake_trial import Watching, experiment
from tools import readme_block
from tools.readme_block import END, START, with_block

ROOT = Path(__file__).resolve().parents[1]
PAGE = f"# project\n\n{START}what was there\n{END}\n\nMore.\n"
# Takes the place of a browser: the picture holds the page that it was to show.
BROWSER = f"""#!{sys.executable}
import sys
from pathlib import Path
from urllib.request import url2pathname
options = dict(one.partition("=")[::2] for one in sys.argv)
page = Path(url2pathname(sys.argv[-1].removeprefix("file://"))).read_bytes()
Path(options["--screenshot"]).write_bytes(b"\\x89PNG" + options["--window-size"].encode() + page)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> AnalysedStudy:
    """A study of pretended trials."""
    folder = tmp_path_factory.mktemp("study")
    arms = {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    spec = experiment(folder, name="small", arms=arms, budget={"trials": 1})
    done = run_study(spec, folder / "results", open_with=Watching)
    return load_study(folder / "results", done.experiment_id)


def written(loaded: AnalysedStudy, folder: Path) -> tuple[str, bytes]:
    """The page and the picture that the tool leaves in a project."""
    browser = folder / "browser"
    browser.write_text(BROWSER, encoding="utf-8")
    browser.chmod(0o755)
    (folder / "docs").mkdir()
    (folder / "README.md").write_text(PAGE, encoding="utf-8")
    page, picture = readme_block.write(loaded, folder, str(browser))
    return page.read_text(encoding="utf-8"), picture.read_bytes()


def test_the_block_is_what_the_program_printed(loaded: AnalysedStudy, tmp_path: Path) -> None:
    page, picture = written(loaded, tmp_path)
    assert page == with_block(PAGE, readme_block.readme_block(loaded.study, loaded.view))
    block = page.partition(START)[2].partition(END)[0]
    shown = block.partition("```text\n")[2].partition("\n```")[0]
    console = Terminal(width=readme_block.COLUMNS, color_system=None, record=True)
    print_decision(loaded.view, console)
    printed = [line.rstrip() for line in console.export_text().splitlines()]
    assert printed == shown.splitlines()
    assert len(printed) < 25
    for arm in ("zero-shot", "lora", "base"):
        assert any(line.startswith(f" {arm} ") for line in printed)
    took = block.partition("\n")[0]
    assert took.startswith("The study of the demo took ")
    assert "CPU (float32" in took or "CPU (bfloat16" in took
    assert picture.startswith(b"\x89PNG1000,1000<!DOCTYPE html>")
    assert loaded.findings.verdict.sentence.encode()[:20] in picture


def test_it_took_what_lies_between_declaration_and_end(loaded: AnalysedStudy) -> None:
    times = {"declared": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T10:03:00+00:00"}
    events = [Event(at, kind, "ada", {}) for kind, at in times.items()]
    # Each trial stands there twice.
    trials = loaded.study.trials * 2
    study = replace(loaded.study, events=tuple(events), trials=trials)
    first = readme_block.readme_block(study, loaded.view).partition("\n")[0]
    distinct = len({trial.trial_id for trial in trials})
    assert f"took {seconds(180)} from its declaration to its end, for {distinct} trials" in first
    unfinished = replace(study, events=tuple(events[:1]))
    with pytest.raises(InputError, match="came to its end"):
        readme_block.readme_block(unfinished, loaded.view)


@pytest.mark.parametrize("page", ["", START, START + END + START + END, END])
def test_a_page_without_its_markers_is_left_alone(page: str) -> None:
    with pytest.raises(InputError, match="demo:start"):
        with_block(page, "text")


def test_a_study_that_is_not_there(
    loaded: AnalysedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert readme_block.main([str(loaded.results), "none"]) == 2
    assert "no experiment is called 'none'" in capsys.readouterr().err


def test_the_readme_has_a_place_for_the_block_and_the_picture_that_it_names() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    block = page.partition(START)[2].partition(END)[0]
    assert with_block(page, block) == page
    for name in re.findall(r"!\[[^\]]*\]\((\S+)\)", block):
        picture = (ROOT / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) <= 200_000
