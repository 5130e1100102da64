"""A real study on the tiny model: every kind of arm trained or asked, and scored on test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_server import FakeServer
from tiny_model import CHATML, messages, write_model

from harness.pipeline import StudyRun, run_study
from harness.spec import Experiment

INSTRUCTION = 'Reply {"label": ...} or a word: <b>positive</b> or *negative*?'
TRAINED: dict[str, Any] = {"epochs": 2, "batch_size": 4, "answering": "choice"}


def arms(server: FakeServer) -> dict[str, dict[str, Any]]:
    """Arms of every kind that an export treats in a way of its own."""
    adapter = {**TRAINED, "learning_rate": 1e-2, "rank": 4}
    shots = {"kind": "prompt", "shots": 2}
    return {
        "full": {"kind": "full", **TRAINED, "learning_rate": 2e-3},
        "lora": {"kind": "lora", **adapter},
        "qlora": {"kind": "qlora", **adapter, "answering": "generate"},
        "drawn": {**shots, "selection": "balanced", "order": "shuffled"},
        "nearest": {**shots, "selection": "bm25"},
        "plain": {**shots, "chat": False, "answering": "choice"},
        "kept": {"kind": "prompt", "answering": "constrained"},
        "served": {**shots, "endpoint": {"url": server.url, "model": "big"}},
    }


def run_small_study(folder: Path, server: FakeServer) -> StudyRun:
    """Run it; the store and the trials lie in ``folder / "results"``."""
    model, data = folder / "model", folder / "data.jsonl"
    write_model(model, CHATML)
    rows = [{"text": f"{e.inputs['text']} {{so}}", "label": e.answer} for e in messages(36)]
    data.write_text("\n".join(map(json.dumps, rows)))
    spec = Experiment.model_validate(
        {
            "name": "small",
            "question": "Is <script>alert(1)</script> a [question](http://x.y)?",
            "model": {"reference": str(model), "device": "cpu", "dtype": "float32"},
            "data": {"source": str(data), "splits": {"train": 0.4, "validation": 0.2, "test": 0.4}},
            "task": {
                "instruction": INSTRUCTION,
                "template": "{{Message}}: {text}",
                "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
                "max_new_tokens": 4,
            },
            "arms": arms(server),
            "budget": {"trials": 1, "test_default": False},
            "seeds": [1, 2],
            "general": None,
            "memorisation_items": 0,
        }
    )
    return run_study(spec, folder / "results", engine="in-process")
