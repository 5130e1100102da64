"""A whole study with an arm on a server: paid, stopped by its cap, gone on with, reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import harness.evaluation.endpoint.chat_client as client_module
from harness.errors import InputError
from harness.export import export_optuna
from harness.records import Study
from harness.review.studies import load_study, write_reports
from harness.spec import Experiment
from harness.store import STORE_FILE, StoreReader
from harness.store.reader import VIEWS
from harness.study.run import StudyRun, run_study
from tests.fake_server import Answer, FakeServer, serving, written
from tests.tiny_model import CHATML, messages, write_model

pytestmark = pytest.mark.weights


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Right about what is great, wrong about the rest."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)
    with serving() as state:
        state.reply = lambda message: "positive" if "great" in message else "neither"
        state.usage = lambda payload, reply: (100, 1)
        yield state


def experiment(folder: Path, url: str, cap: float, **changes: Any) -> Experiment:
    """Two prompt arms, one of them on a server whose tokens cost a thousandth each."""
    model, data = folder / "model", folder / "data.jsonl"
    if not model.exists():
        write_model(model, CHATML)
        rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(40)]
        data.write_text("\n".join(map(json.dumps, rows)))
    endpoint = {
        "url": url, "model": "big", "prompt_price": 1000.0, "completion_price": 1000.0,
        "spending_cap": cap, "retries": 1, **changes,
    }  # fmt: skip
    return Experiment.model_validate(
        {
            "name": "served",
            "model": {"reference": str(model), "device": "cpu", "dtype": "float32"},
            "data": {"source": str(data), "splits": {"train": 0.3, "validation": 0.3, "test": 0.4}},
            "task": {
                "instruction": "Good or bad?",
                "template": "Message: {text}",
                "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
                "max_new_tokens": 4,
            },
            "arms": {
                "served": {"kind": "prompt", "shots": {"choices": [0, 2]}, "endpoint": endpoint},
                "here": {"kind": "prompt"},
            },
            "budget": {"trials": 2, "test_default": False},
            "seeds": [1, 2],
            "general": None,
        }
    )


def run(spec: Experiment, folder: Path, *, retry_failed: bool = False) -> tuple[StudyRun, Study]:
    done = run_study(spec, folder / "results", engine="in-process", retry_failed=retry_failed)
    reader = StoreReader(folder / "results" / "harness.duckdb")
    return done, reader.study(done.experiment_id)


def spent(folder: Path) -> float:
    """What the server charged and what may have been charged, by the ledger."""
    (ledger,) = folder.glob("results/served-*/spending/served.jsonl")
    amounts = {}
    for line in map(json.loads, ledger.read_text().splitlines()):
        amounts[line["id"]] = float(line["amount"])
    return sum(amounts.values())


def test_a_study_meets_its_cap_and_goes_on_when_it_is_raised(
    server: FakeServer, tmp_path: Path
) -> None:
    poor, study = run(experiment(tmp_path, server.url, cap=1.0), tmp_path)
    failed = [t for t in study.trials if t.status == "failed"]
    assert failed
    assert {t.failure_kind for t in failed} == {"spending_cap"}
    assert all(t.status == "complete" for t in study.trials if t.arm != "served")
    assert 0.101 * len(server.seen) <= spent(tmp_path) + 1e-9 <= 1.0 + 1e-9
    before = len(server.seen)

    rich, study = run(experiment(tmp_path, server.url, cap=50.0), tmp_path, retry_failed=True)
    assert rich.experiment_id == poor.experiment_id
    assert {t.status for t in study.trials} <= {"complete", "pruned"}
    assert len(server.seen) > before
    assert spent(tmp_path) == pytest.approx(0.101 * len(server.seen))

    again, _ = run(experiment(tmp_path, server.url, cap=50.0), tmp_path)
    assert again.trials_run == 0
    assert spent(tmp_path) == pytest.approx(0.101 * len(server.seen))

    finals = [t for t in study.trials if (t.arm, t.phase) == ("served", "finalist")]
    scores = [a for t in finals for a in t.aggregates if a.metric == "exact_match"]
    tested = [a for a in scores if a.split == "test"]
    assert tested
    assert {a.form for a in tested} == {"endpoint"}
    assert {a.prompt_tokens for a in tested} == {100}
    assert all(0 < a.value < 1 for a in tested)
    found = load_study(tmp_path / "results", rich.experiment_id).findings
    cost = next(arm.cost for arm in found.arms if arm.arm == "served")
    assert cost.per_thousand_requests == pytest.approx(101.0)
    assert cost.upfront is not None
    assert 0 < cost.upfront < spent(tmp_path)


def test_scores_of_a_server_are_no_other_experiments(server: FakeServer, tmp_path: Path) -> None:
    spec = experiment(tmp_path, server.url, cap=50.0)
    run(spec, tmp_path)
    asked = len(server.seen)
    data = spec.data.model_copy(update={"bad_rows": "drop"})
    same_items = spec.model_copy(update={"data": data})
    assert same_items.trial_identity() != spec.trial_identity()
    run(same_items, tmp_path)
    assert len(server.seen) == 2 * asked


def test_a_missing_key_is_told_before_anything_runs(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVED_KEY", raising=False)
    spec = experiment(tmp_path, server.url, cap=50.0, key_variable="SERVED_KEY")
    with pytest.raises(InputError, match="SERVED_KEY is not set"):
        run(spec, tmp_path)
    assert server.seen == []
    assert not (tmp_path / "results").exists()


KEY = "sk-canary/0123+456789&abc"


def test_the_key_is_nowhere(
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in the store, a record, a ledger, a log, a report, an export, nor on the terminal."""
    monkeypatch.setenv("SERVED_KEY", KEY)
    said = " and ".join(written(KEY))
    told: list[str] = []
    with caplog.at_level("DEBUG"):
        server.script = [Answer(401, body=f"no such key: {said}"), Answer(500, body=said)] * 50
        spec = experiment(tmp_path, server.url, cap=50.0, key_variable="SERVED_KEY", concurrency=1)
        _, study = run(spec, tmp_path)
        failed = [trial for trial in study.trials if trial.arm == "served"]
        assert {trial.status for trial in failed} == {"failed"}
        told += [trial.failure_message for trial in failed]
        server.script = []
        server.reply = lambda message: f"positive {KEY}"
        done, study = run(spec, tmp_path, retry_failed=True)
        assert {t.status for t in study.trials if t.arm == "served"} <= {"complete", "pruned"}
        loaded = load_study(tmp_path / "results", done.experiment_id)
        write_reports(loaded, done.folder)
        loaded.print(Console())
        export_optuna(tmp_path / "results", None, tmp_path / "results" / "optuna.log", journal=True)
        reader = StoreReader(tmp_path / "results" / STORE_FILE)
        rows = [reader.query(f"FROM {view}").rows for view in VIEWS]
    assert any("[key]" in message for message in told)
    assert {one.headers["Authorization"] for one in server.seen} == {f"Bearer {KEY}"}
    captured = capfd.readouterr()
    texts = [captured.out, captured.err, caplog.text, str(study), repr(rows), *told]
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert len(files) > 10
    found = b"\n".join([*(path.read_bytes() for path in files), *map(str.encode, texts)])
    # Parquet and DuckDB may compress; what they hold is among the rows.
    for form in (*written(KEY), KEY[:16]):
        assert form.encode() not in found
