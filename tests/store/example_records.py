"""Small, plain records to store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.records import (
    Artifact,
    Canaries,
    Checkpoint,
    ExperimentRecord,
    GeneralTask,
    ItemOutput,
    ItemScore,
    Phase,
    ResolvedModel,
    Runtime,
    ScoreRecord,
    ScoreRequest,
    StepReport,
    Stopped,
    SuiteKind,
    TrialCost,
    TrialRecord,
    TrialSpec,
)
from harness.store import StoreWriter
from tests.data_records import data_record

MODEL = ResolvedModel("tiny", "/models/tiny", "f" * 64)
NOW = "2026-01-02T03:04:05+00:00"


def experiment(experiment_id: str = "e1", name: str = "feedback") -> ExperimentRecord:
    return ExperimentRecord(
        experiment_id=experiment_id,
        name=name,
        created_at=NOW,
        spec={
            "name": name,
            "model": MODEL.reference,
            "data": {"source": "feedback.jsonl"},
            "task": {
                "instruction": "Rate it.",
                "answer": {"kind": "label", "column": "label"},
                "metrics": ["exact_match", "macro_f1"],
            },
            "arms": {"prompt": {"kind": "prompt"}, "lora": {"kind": "lora"}},
            "contrast": {"margin": 0.02},
            "cost": {"currency": "EUR", "machine_per_hour": 3.6},
        },
        splits={"train": 8, "validation": 4, "test": 4},
        data=data_record(),
        model=MODEL,
        environment={"torch": "2.13.0"},
        general_tasks={"capitals": GeneralTask("acc", True, True, 0.25)},
    )


def score(
    key: str,
    task: str = "feedback-test",
    suite: SuiteKind = "domain",
    *,
    split: str = "test",
    metric: str = "exact_match",
    values: Sequence[float | None] = (1.0, 0.0, 1.0, None),
) -> ScoreRecord:
    right = [value for value in values if value is not None]
    hashes = [hashlib.sha256(f"{task}-{n}".encode()).hexdigest() for n in range(len(values))]
    return ScoreRecord(
        key=key,
        task=task,
        suite=suite,
        split=split,
        form="adapter-on-bfloat16",
        seconds=1.5,
        outputs=tuple(
            ItemOutput(one, f"item-{n}", f"group-{n // 2}", "yes", "yes" if n % 2 else "ja", 10, 2)
            for n, one in enumerate(hashes)
        ),
        item_scores=tuple(
            ItemScore(one, "none", metric, value) for one, value in zip(hashes, values, strict=True)
        ),
        aggregates={metric: sum(right) / max(len(right), 1), "macro_f1": 0.4},
        higher_is_better={metric: True, "macro_f1": True},
        chance=0.5,
        latencies=(0.1, 0.2, 0.3),
    )


def trial(
    trial_id: str = "t1",
    scores: Sequence[ScoreRecord] = (),
    *,
    known: Sequence[ScoreRequest] = (),
    arm: str = "lora",
    phase: Phase = "finalist",
    seed: int = 1,
) -> TrialRecord:
    requests = [ScoreRequest(one.key, one.task, one.suite, one.split) for one in scores]
    spec = TrialSpec(
        trial_id=trial_id,
        experiment_id="e1",
        arm=arm,
        kind="prompt" if arm == "base" else "lora",
        phase=phase,
        number=0,
        seed=seed,
        params={"rank": 16, "learning_rate": 5e-4, "targets": ["q", "v"]},
        model=MODEL,
        task={"metrics": ["exact_match"]},
        train_path="train.parquet",
        scores=(*requests, *known),
        runtime=Runtime("cpu", "bfloat16", 32),
        known_scores=tuple(request.key for request in known),
    )
    return TrialRecord(
        spec=spec,
        status="complete",
        started_at=NOW,
        ended_at="2026-01-02T03:05:05+00:00",
        steps=(
            StepReport(1, 2, 0.5, 1.4, 5e-4, 2.0, 96, 3.0),
            StepReport(2, 2, 1.0, 0.7, 0.0, 1.0, 192, 6.0, validation_loss=0.9),
        ),
        scores=tuple(scores),
        canaries=Canaries(0.0, 0.25, True),
        cost=TrialCost(1.0, 6.0, 3.0, 192, 2770.5, None, 134_000_000, 460_000, 1_840_000),
        artifacts=(Artifact("adapter/adapter_model.safetensors", "a" * 64, 1_840_000),),
        environment={"torch": "2.13.0"},
        checkpoint=Checkpoint(1, 2, 0.5, 0.8, 0.9, 0.675),
    )


def failed(record: TrialRecord, kind: str = "killed", message: str = "signal 9") -> TrialRecord:
    return replace(
        record, status="failed", failure_kind=kind, failure_message=message, cost=None, artifacts=()
    )


def pruned(record: TrialRecord) -> TrialRecord:
    values = ((0, 0.0), (3, 1.0), (7, 0.0))
    stopped = Stopped("items", 8, 20, 1 / 3, 0.75, values, 300)
    return replace(record, status="pruned", scores=(), stopped=stopped)


def example_store(path: Path) -> StoreWriter:
    """A store with one experiment: a base, two seeds of a finalist, one searched trial."""
    writer = StoreWriter(path, now=lambda: NOW)
    writer.declare(experiment(), who="ada")
    base = score("k-base", values=(0.0, 0.0, 1.0, 0.0))
    general = score("k-base-capitals", "capitals", "general", metric="acc", values=(1, 1, 1, 0))
    writer.ingest(trial("t0", [base, general], arm="base", phase="baseline"))
    for seed in (1, 2):
        after = score(f"k-capitals-{seed}", "capitals", "general", metric="acc", values=(1, 0, 1))
        writer.ingest(trial(f"t{seed}", [score(f"k-{seed}"), after], seed=seed))
        writer.record_event(
            "e1",
            "test_access",
            {
                "trial_id": f"t{seed}",
                "arm": "lora",
                "seed": seed,
                "task": "feedback-test",
                "purpose": "final score",
            },
            who="ada",
        )
    held = score("k-validation", "feedback-validation", split="validation")
    writer.ingest(trial("t3", [held], phase="search"))
    return writer
