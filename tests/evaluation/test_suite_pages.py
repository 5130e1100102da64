"""The files shown in the pages on suites are written out, checked and scored as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import group
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import build_general_task, load_suite
from harness.records import ScoreRequest
from tests.tiny_model import TinyModels, load_tiny

DOCS = Path(__file__).resolve().parents[2] / "docs"
# A name in a line of its own, then the file; or the file alone, which begins with its name.
NAMED = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SELF_NAMED = re.compile(r"^```yaml\n(# ([\w./-]+)\n.*?)^```$", re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """Write the files of a page; returns their names."""
    text = (DOCS / page).read_text(encoding="utf-8")
    files = {name: content for content, name in SELF_NAMED.findall(text)}
    files |= dict(NAMED.findall(text))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return sorted(files)


def test_the_suite_of_the_tutorial_is_checked_and_scored(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_files("domain-suite.md", tmp_path)
    texts = re.findall(
        r"^```text\n(.*?)^```", (DOCS / "domain-suite.md").read_text("utf-8"), re.M | re.S
    )
    tree, table = texts[0], next(text for text in texts if "┃" in text)
    assert len(names) == 10
    assert all(Path(name).name in tree for name in names)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    done = CliRunner().invoke(group, ["check", "experiment.yaml"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = [" ".join(line.split()) for line in done.output.splitlines()]
    shown = re.findall(r"^[┃│G].*$", table, re.M)
    assert len(shown) == 5
    for line in shown:
        assert " ".join(line.split()) in said

    suite = load_suite("workshop.yaml")
    loaded = load_tiny(tiny_models.chat)
    lm = CandidateLM(loaded.model, loaded.tokenizer, 4)
    for entry in suite.tasks:
        task = build_general_task(suite, entry.task)
        request = ScoreRequest("k", entry.task, "general", "test", suite_path=str(suite.path))
        record = score_task(lm, task, request, "base", chat=entry.chat, chance=entry.chance)
        assert entry.metric in record.aggregates
        assert record.higher_is_better[entry.metric] is entry.higher_is_better
        values = [one for one in record.item_scores if one.metric == entry.metric]
        assert len(values) == len(record.outputs) == len(task.eval_docs)
    prompt = task_prompt("workshop_parts")
    assert prompt.count("Question:") == 3
    assert prompt.startswith("Question: Which part stops the wheel?\nAnswer: brake\n\n") or (
        prompt.startswith("Question: Which part does the rider sit on?\nAnswer: saddle\n\n")
    )


def task_prompt(name: str) -> str:
    """The first prompt of a task of the tutorial's suite."""
    task = build_general_task(load_suite("workshop.yaml"), name)
    task.build_all_requests()
    return str(task.instances[0].args[0])


def test_the_suites_on_the_page_of_mirrors_are_valid(tmp_path: Path) -> None:
    names = write_files("mirrors.md", tmp_path)
    assert names == ["few-shot.yaml", "house-copies.yaml", "offline.yaml"]
    row = json.dumps({"question": "Is it?"}) + "\n"
    text = (tmp_path / "offline.yaml").read_text("utf-8")
    for place in re.findall(r": (mirrors/\S+)", text):
        path = tmp_path / (place if place.endswith(".jsonl") else f"{place}/test.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row, encoding="utf-8")
    (tmp_path / "copies" / "pubmedqa").mkdir(parents=True)
    (tmp_path / "copies" / "pubmedqa" / "questions.jsonl").write_text(row, encoding="utf-8")
    standard = [entry.task for entry in load_suite("standard").tasks]
    assert set(load_suite(tmp_path / "offline.yaml").mirrors) == set(standard)
    few = load_suite(tmp_path / "few-shot.yaml")
    assert [entry.task for entry in few.tasks] == standard
    assert (few.task("arc_challenge").num_fewshot, few.task("arc_challenge").limit) == (25, 100)
    assert load_suite(tmp_path / "house-copies.yaml").mirrors["pubmedqa"].columns
