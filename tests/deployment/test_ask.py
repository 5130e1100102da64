"""A finalist answers rows exactly as it was scored, from the terminal, a file and Python."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness import open_result
from harness.cli import group
from harness.data import read_examples_file
from harness.errors import DataError, InputError
from harness.export.final_run import find_final_run
from harness.store import StoreReader

from .conftest import LOCAL, RealStudy

pytestmark = pytest.mark.weights


def scored(study: RealStudy, arm: str) -> tuple[list[dict[str, str]], list[str]]:
    """The test rows as data, and what the arm replied to each when it was scored."""
    run = find_final_run(study.run.store.parent, None, arm)
    (request,) = run.spec.scores
    stored = StoreReader(study.run.store).query(
        "SELECT item_id, output FROM item_output WHERE score_key = ?", [request.key]
    )
    replies = {row["item_id"]: row["output"] for row in stored.named}
    items = read_examples_file(Path(request.items_path))
    return [{"text": item.inputs["text"]} for item in items], [replies[i.id] for i in items]


def ask(study: RealStudy, *options: str, text: str | None = None) -> Result:
    called = ["ask", "--results", str(study.run.store.parent), *options]
    return CliRunner().invoke(group, called, input=text)


@pytest.mark.parametrize("arm", [*LOCAL, "hosted"])
def test_every_finalist_replies_as_when_it_was_scored(study: RealStudy, arm: str) -> None:
    rows, replies = scored(study, arm)
    assert len(rows) > 5
    told: list[tuple[int, int]] = []
    result = open_result(results=study.run.store.parent)
    found = result.predict(rows, arm=arm, on_progress=lambda *done: told.append(done))
    assert [one.reply for one in found] == replies
    assert [one.row for one in found] == rows
    assert told[-1] == (len(rows), len(rows))
    if arm in ("chosen", "kept", "hosted"):
        assert {one.answer for one in found} <= {"positive", "negative"}


def test_a_file_is_answered_row_by_row(study: RealStudy, tmp_path: Path) -> None:
    source, out = tmp_path / "new.csv", tmp_path / "deep" / "answered.csv"
    rows = [
        {"text": "The parcel, 7, was great", "answer": "own"},
        {"text": "It was late", "answer": ""},
    ]
    with source.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    done = ask(study, "--arm", "chosen", "--file", str(source), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert f"{out}: 2 rows answered" in done.output
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(one["text"], one["answer"]) for one in found] == [tuple(r.values()) for r in rows]
    assert {one["predicted_answer"] for one in found} <= {"positive", "negative"}
    assert [one["reply"] for one in found] == [one["predicted_answer"] for one in found]
    again = ask(study, "--arm", "chosen", "--file", str(source), "--out", str(out))
    assert isinstance(again.exception, InputError)
    assert "--force writes over it" in str(again.exception)
    lines = tmp_path / "answered.jsonl"
    ask(study, "--arm", "chosen", "--file", str(source), "--out", str(lines))
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [one["predicted_answer"] for one in read] == [one["predicted_answer"] for one in found]


def test_lines_of_a_pipe_are_answered(study: RealStudy) -> None:
    text = 'The parcel was great\n\n{"text": "The parcel was great"}\n'
    done = ask(study, "--arm", "kept", text=text)
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first == second
    assert first in ("positive", "negative")


def test_a_reply_without_an_answer_is_shown(study: RealStudy) -> None:
    study.server.reply = lambda message: "I cannot\x1b say"
    try:
        done = ask(study, "--arm", "hosted", text="An item never seen\n")
    finally:
        study.server.reply = lambda message: "positive"
    assert json.loads(done.stdout) == {"answer": None, "reply": "I cannot\x1b say"}
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row is given"),
        ([{"text": "a"}, {"text": None}], "row:2: text"),
        ([{"test": "a"}], "no column 'text' \\(did you mean 'test'\\?\\)"),
        ([{"text": " "}], "row:1: text: the text is empty"),
        (["The " * 2000], "are more than the 512 that the model reads"),
    ],
)
def test_rows_that_cannot_be_asked_are_named(
    study: RealStudy, rows: list[Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_result(results=study.run.store.parent).predict(rows, arm="kept")


def test_a_bad_file_is_refused_before_anything_is_loaded(
    study: RealStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("harness.models.load.load_base", never)
    source = tmp_path / "new.jsonl"
    source.write_text('{"text": "a"}\n{"label": "b"}\nnonsense\n')
    done = ask(study, "--file", str(source), "--arm", "kept")
    assert isinstance(done.exception, DataError)
    assert [problem.where for problem in done.exception.problems] == [
        f"{source}:{n}" for n in (2, 3)
    ]
    done = ask(study, "--file", str(source), "--arm", "kept", "--out", "x.txt")
    assert "written as .csv or .jsonl" in str(done.exception)


def test_weights_that_are_gone_are_said_to_be(study: RealStudy) -> None:
    run = find_final_run(study.run.store.parent, None, "chosen")
    kept = run.folder.with_name("kept-aside")
    shutil.move(run.folder, kept)
    try:
        with pytest.raises(InputError, match=r"is gone; put the folder .* back from a copy"):
            open_result(results=study.run.store.parent).predict(["a"], arm="chosen")
    finally:
        shutil.move(kept, run.folder)
