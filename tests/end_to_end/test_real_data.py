"""Real data, the embedded model, the whole command line: short, but nothing is pretended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.packaged.fetch import cache_folder
from harness.records import TrialSummary
from harness.store import StoreReader
from tests.command_line import Done, harness
from tests.real_data import SNIPS_SCHEMA, frequent_intents, write_banking77, write_snips

pytestmark = [pytest.mark.real_data, pytest.mark.weights]

HARNESS = Path(sys.executable).with_name("harness")
MODEL = "smollm2-135m-instruct"
ITEMS = {"train": 6, "validation": 1, "test": 2}


@pytest.fixture(scope="module", autouse=True)
def _model_is_ready() -> None:
    folder = cache_folder() / "models"
    if not any(folder.glob("*/model.safetensors")):
        pytest.skip(f"{MODEL} is not in {folder}; `harness doctor --fetch` puts it there")


def in_a_process(*arguments: str | Path) -> str:
    """What the command says beside its output, with trials in children of its own."""
    done = subprocess.run(
        [str(HARNESS), *map(str, arguments)], check=False, capture_output=True, text=True,
        timeout=600, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def here(*arguments: str | Path) -> Done:
    """The same command without a process, whose imports take longer than what is asked."""
    done = harness(*arguments, cwd=Path.cwd(), HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    return done


def write_experiment(folder: Path, source: Path, task: dict[str, Any], arm: dict[str, Any]) -> Path:
    values = {
        "name": "real",
        "model": MODEL,
        "data": {"source": source.name, "limits": ITEMS},
        "task": task,
        "arms": {
            "prompt": {"kind": "prompt", **arm},
            "lora": {"kind": "lora", "learning_rate": 1e-3, "epochs": 1, "batch_size": 2},
        },
        "budget": {"trials": 1},
        "seeds": [1],
        "general": None,
        "train_gap_items": 1,
        "memorisation_items": 1,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def look(told: str, results: Path) -> tuple[TrialSummary, ...]:
    """The trials of a study that the command ran, after what must hold of any study.

    Args:
        told: what the command said beside its output.
    """
    assert "9 trials run, 0 known before, 0 failed." in told
    reader = StoreReader(results / "harness.duckdb")
    (record,) = reader.experiments()
    assert record.splits == ITEMS
    study = reader.study(record.experiment_id)

    trained = [t for t in study.trials if t.kind == "lora" and t.phase != "latency"]
    assert [trial.status for trial in study.trials] == ["complete"] * 9
    assert len(trained) == 2
    for trial in study.trials:
        assert trial.canaries is not None
        assert trial.canaries.prompt_tokens_equal
        assert trial.cost is not None
    for trial in trained:
        assert trial.canaries is not None
        assert trial.canaries.before_max_difference == 0
        assert trial.canaries.after_max_difference is not None
        assert trial.canaries.after_max_difference > 0
        assert len(trial.steps) == 3
        first, last = trial.steps[0].loss, trial.steps[-1].loss
        assert first is not None
        assert last is not None
        assert last < first

    # Every item of every score is a row, with a value of the primary metric.
    rows = reader.query(
        "SELECT arm, phase, split, count(DISTINCT doc_hash), count(value), count(*) FROM items "
        "WHERE metric = (SELECT spec ->> '$.task.metrics[0]' FROM experiment) GROUP BY ALL"
    ).rows
    wanted = {**ITEMS, "train": 1}
    assert {(arm, phase, split) for arm, phase, split, *_ in rows} == {
        ("base", "baseline", "validation"), ("base", "baseline", "test"),
        ("prompt", "search", "validation"), ("lora", "search", "validation"),
        ("prompt", "finalist", "validation"), ("prompt", "finalist", "test"),
        ("lora", "finalist", "validation"), ("lora", "finalist", "test"),
        ("lora", "finalist", "train"),
    }  # fmt: skip
    for *_, split, items, values, every in rows:
        assert (items, values, every) == (wanted[split],) * 3
    (folder,) = results.glob(f"real-{record.experiment_id[:8]}")
    assert (folder / "report.html").stat().st_size > 10_000
    assert "lora" in (folder / "report.md").read_text("utf-8")
    return study.trials


def test_banking77(shared_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "banking.csv"
    labels = frequent_intents(shared_data, 6)
    assert write_banking77(shared_data, source, intents=labels) > 1000
    task = {
        "instruction": f"Name the intent of the message. One of: {', '.join(labels)}",
        "answer": {"kind": "label", "column": "category", "labels": list(labels)},
        "max_new_tokens": 6,
    }
    experiment = write_experiment(tmp_path, source, task, {})
    assert "is a valid experiment" in here("check", experiment).stdout
    results = ("--results", tmp_path / "results")
    trials = look(in_a_process("run", experiment, *results), tmp_path / "results")
    again = here("run", experiment, *results, "--quiet", "--engine", "in-process")
    assert "0 trials run" in again.stderr
    valid = [a.value for t in trials for a in t.aggregates if a.metric == "valid"]
    assert all(0 <= value <= 1 for value in valid)
    assert len(valid) == 9


def test_snips(shared_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "snips.jsonl"
    assert write_snips(shared_data, source, per_intent=60) == 420
    task = {
        "instruction": "Give the intent of the request and its slots as JSON.",
        "answer": {"kind": "json", "schema": SNIPS_SCHEMA, "column": "answer"},
        "max_new_tokens": 10,
    }
    experiment, results = (
        write_experiment(tmp_path, source, task, {"shots": 1}),
        tmp_path / "results",
    )
    done = here("run", experiment, "--results", results, "--engine", "in-process")
    trials = look(done.stderr, results)
    assert {a.metric for t in trials for a in t.aggregates} >= {"field_f1", "valid_json", "valid"}
