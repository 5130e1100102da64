"""The sober table: studies that are valid, and what is printed of those that were run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.data import prepare
from harness.errors import InputError
from harness.review.studies import find_study
from harness.spec import Experiment, load_experiment
from harness.study.run import run_study
from lab.public_studies import INTENTS
from lab.written_prompts import TASKS, name_of, tables, tuning_tokens, write_study
from tests.tiny_model import CHATML, messages, write_model


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A few rows of each data set, in the files and shapes in which their authors have them."""
    folder = tmp_path / "published"
    folder.mkdir()
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "category"])
        rows.writerows([f"where is card w{n} x{n}?", f"intent_{n % 7}"] for n in range(80))
    for intent in INTENTS:
        pieces = [[{"text": f"now {n} "}, {"text": intent, "entity": "e"}] for n in range(12)]
        requests = {intent: [{"data": data} for data in pieces]}
        (folder / f"train_{intent}_full.json").write_text(json.dumps(requests), encoding="utf-8")
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_a_study_is_valid_and_its_arms_are_those_of_the_table(
    task: str, published: Path, tmp_path: Path
) -> None:
    source = None if task == "addresses" else published
    path = write_study(task, tmp_path / "out", source)
    spec = load_experiment(path)
    assert (spec.name, list(spec.arms)) == (
        name_of(task),
        ["user", "shots", "written", "lora", "both"],
    )
    if source is not None:
        prepared = prepare(spec)
        assert all(prepared.counts[split] for split in ("train", "validation", "test"))


def test_where_nothing_was_run_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        tables(tmp_path)


@pytest.mark.weights
def test_what_a_study_took_and_gave_is_printed(tmp_path: Path) -> None:
    path = write_study("addresses", tmp_path)
    values = yaml.safe_load(path.read_text("utf-8"))
    spec = tiny(values, tmp_path)
    run_study(spec, tmp_path / "results", engine="in-process")
    printed = tables(tmp_path / "results")
    assert "| both |" in printed
    assert "## written-addresses" in printed
    assert "written, writing 2 of 2: " in printed
    assert "written-snips was not run" in printed
    study = find_study(tmp_path / "results", "written-addresses")
    # The second writing is asked what the first was, whose replies are known by then.
    writings = [trial.writing for trial in study.study.trials if trial.phase == "writing"]
    assert len(writings) == 2
    assert None not in writings
    tokens = {arm: tuning_tokens(study, arm) for arm in spec.arms}
    searches = study.findings.searches
    own = sum(row.tokens or 0 for row in searches if row.arm == "both")
    assert own
    assert tokens["both"] == own + (tokens["written"] or 0)


def tiny(values: dict[str, Any], folder: Path) -> Experiment:
    """The study of the table in small, with a model that knows nothing."""
    write_model(folder / "model", CHATML)
    rows = [{"text": one.inputs["text"], "label": one.answer} for one in messages(100)]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    model = {"reference": str(folder / "model"), "device": "cpu", "dtype": "float32"}
    # What costs time and tells no more of the table.
    for name in ("shots", "lora"):
        values["arms"].pop(name)
    for name, arm in values["arms"].items():
        arm["answering"] = "generate"
        if name == "written":
            writer = {"model": {"reference": str(folder / "model")}, "max_new_tokens": 64}
            arm["instruction"]["optimise"] |= {"reflection": writer, "rows": 8}
        if arm["kind"] == "lora":
            arm["rank"] = 2
    return Experiment.model_validate(
        {
            **values,
            "model": model,
            "data": {
                "source": str(folder / "data.jsonl"),
                "splits": {"train": 0.4, "validation": 0.4, "test": 0.2},
            },
            "task": {
                "instruction": "Good or bad?",
                "template": "{text}",
                "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
                "max_new_tokens": 4,
            },
        }
    )
