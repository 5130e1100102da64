"""A study on the tiny model whose final runs are real where an export needs it.

Weights are really trained and scored, and a server is really asked; searches and local prompts are
pretended, since all that is exported of them is how they ask.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.engine.in_process import InProcessEngine
from harness.records import Progress, TrialSpec
from harness.spec import Experiment
from harness.study.executing import execute_trial
from harness.study.run import StudyRun, run_study
from tests.fake_trial import execute
from tests.tiny_model import CHATML, messages, write_model

# Braces and markup must come through as they are.
INSTRUCTION = 'Reply {"label": ...} or a word: <b>positive</b> or *negative*?'
QUESTION = "Is <script>alert(1)</script> a [question](http://x.y)?"
TRAINED: dict[str, Any] = {"epochs": 2, "batch_size": 4, "answering": "choice"}
ADAPTER: dict[str, Any] = {**TRAINED, "learning_rate": 1e-2, "rank": 4}
SHOTS: dict[str, Any] = {"kind": "prompt", "shots": 2}
LABELS: dict[str, Any] = {"kind": "label", "column": "label", "labels": ["positive", "negative"]}
ARMS: dict[str, dict[str, Any]] = {
    "full": {"kind": "full", **TRAINED, "learning_rate": 2e-3},
    "lora": {"kind": "lora", **ADAPTER},
    "qlora": {"kind": "qlora", **ADAPTER, "answering": "generate"},
    "drawn": {**SHOTS, "selection": "balanced", "order": "shuffled"},
    "nearest": {**SHOTS, "selection": "bm25"},
    "plain": {**SHOTS, "chat": False, "answering": "choice"},
    "kept": {"kind": "prompt", "answering": "constrained"},
}


def experiment(folder: Path, arms: dict[str, Any], **changes: Any) -> Experiment:
    """The experiment; its model and data are written to ``folder``."""
    model, data = folder / "model", folder / "data.jsonl"
    write_model(model, CHATML)
    rows = [{"text": f"{e.inputs['text']} {{so}}", "label": e.answer} for e in messages(30)]
    data.write_text("\n".join(map(json.dumps, rows)))
    return Experiment.model_validate(
        {
            "name": "small",
            "question": QUESTION,
            "model": {"reference": str(model), "device": "cpu", "dtype": "float32"},
            "data": {"source": str(data), "splits": {"train": 0.4, "validation": 0.2, "test": 0.4}},
            "task": {
                "instruction": INSTRUCTION,
                "template": "{{Message}}: {text}",
                "answer": LABELS,
                "max_new_tokens": 4,
            },
            "arms": arms,
            "budget": {"trials": 1, "test_default": False},
            "seeds": [1],
            "general": None,
            "memorisation_items": 0,
            **changes,
        }
    )


def run_small(spec: Experiment, folder: Path, *real: str) -> StudyRun:
    """Run it into ``folder / "results"``; final runs of the arms ``real`` are no pretence."""

    def mixed(trial: TrialSpec, place: Path, on_progress: Callable[[Progress], None]) -> None:
        wanted = trial.phase == "finalist" and trial.arm in real
        (execute_trial if wanted else execute)(trial, place, on_progress)

    return run_study(spec, folder / "results", open_with=lambda: InProcessEngine(mixed))
