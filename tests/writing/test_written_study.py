"""A whole study whose instruction is written, against a server that knows one better wording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import harness.evaluation.endpoint.chat_client as client_module
from harness.records import Study, TrialSummary
from harness.spec import Experiment
from harness.store import StoreReader
from harness.study.run import StudyRun, run_study
from tests.fake_server import FakeServer, serving
from tests.tiny_model import CHATML, messages, write_model

pytestmark = pytest.mark.weights

OWN = "Good or bad?"
BETTER = "Say positive where something is great, and negative elsewhere."


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Right about everything under one instruction, which it proposes when it is asked to write."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)
    with serving() as state:
        state.chat = told
        yield state


def told(payload: dict[str, Any]) -> tuple[str, str, int]:
    """Text, finish reason and prompt tokens of a reply."""
    asked = payload["messages"]
    if payload["model"] == "writer":
        return f"Here it is:\n```\n{BETTER}\n```", "stop", 400
    system, item = str(asked[0]["content"]), str(asked[-1]["content"])
    right = "positive" if "great" in item else "negative"
    return (right if BETTER in system else "neither"), "stop", 20


def experiment(folder: Path, url: str, **optimise: Any) -> Experiment:
    model, data = folder / "model", folder / "data.jsonl"
    if not model.exists():
        write_model(model, CHATML)
        rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(120)]
        data.write_text("\n".join(map(json.dumps, rows)))
    server = {"url": url, "retries": 1, "timeout_seconds": 2.0}
    return Experiment.model_validate(
        {
            "name": "written",
            "model": {"reference": str(model), "device": "cpu", "dtype": "float32"},
            "data": {"source": str(data), "splits": {"train": 0.5, "validation": 0.2, "test": 0.3}},
            "task": {
                "instruction": OWN,
                "template": "Message: {text}",
                "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
                "max_new_tokens": 4,
            },
            "arms": {
                "written": {
                    "kind": "prompt",
                    "endpoint": {**server, "model": "big"},
                    "instruction": {
                        "optimise": {
                            "by": "gepa",
                            "reflection": {"endpoint": {**server, "model": "writer"}},
                            **optimise,
                        }
                    },
                },
                "plain": {"kind": "prompt", "endpoint": {**server, "model": "big"}},
            },
            "budget": {"trials": 24},
            "seeds": [1, 2],
            "general": None,
        }
    )


def run(spec: Experiment, folder: Path) -> tuple[StudyRun, Study]:
    done = run_study(spec, folder / "results", engine="in-process")
    return done, StoreReader(folder / "results" / "harness.duckdb").study(done.experiment_id)


def of_phase(study: Study, phase: str, arm: str = "written") -> list[TrialSummary]:
    return [trial for trial in study.trials if (trial.arm, trial.phase) == (arm, phase)]


def test_the_better_instruction_is_found_kept_and_tested_beside_the_users_own(
    server: FakeServer, tmp_path: Path
) -> None:
    _, study = run(experiment(tmp_path, server.url), tmp_path)
    (trial,) = of_phase(study, "writing")
    writing = trial.writing
    assert writing is not None, trial.failure_message
    assert writing.headroom.moves
    assert writing.text == BETTER
    assert [proposal.status for proposal in writing.proposals][0] == "taken up"
    assert {t.params["instruction"] for t in of_phase(study, "search")} == {None, BETTER}
    assert {t.params["instruction"] for t in of_phase(study, "finalist")} == {BETTER}
    assert {t.params["instruction"] for t in of_phase(study, "default")} == {None}
