"""A real server of this machine: the same model, asked there and held here, is the same arm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from harness.data.examples_file import write_examples
from harness.records import ScoreRequest, TrialRecord, TrialSpec, TrialSummary, to_plain
from harness.spec.arms import Arm
from harness.store import StoreReader
from harness.trial import run_trial
from tests.command_line import harness
from tests.fake_server import endpoint
from tests.real_server import transformers_serve
from tests.tiny_model import CHATML, TASK, messages, resolved, runtime, write_model

pytestmark = pytest.mark.weights


@dataclass(frozen=True, slots=True)
class Served:
    """A model that a server of this machine holds."""

    model: Path
    """Its folder, by which the server knows it."""
    url: str
    """The server's base address."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    folder = write_model(place / "model", CHATML)
    with transformers_serve(folder, place / "server.log") as url:
        yield Served(folder, url)


def test_a_model_scores_alike_on_a_server_and_in_memory(server: Served, tmp_path: Path) -> None:
    for name, count, start in (("train", 8, 0), ("test", 8, 40)):
        write_examples(tmp_path / f"{name}.parquet", messages(count, start))
    arm = TypeAdapter[Any](Arm).validate_python({"kind": "prompt", "shots": 2})
    asked = ScoreRequest("k", "domain", "domain", "test", items_path=str(tmp_path / "test.parquet"))
    here = TrialSpec(
        trial_id="here",
        experiment_id="tiny",
        arm="arm",
        kind="prompt",
        phase="finalist",
        number=0,
        seed=0,
        params=to_plain(arm.resolve({})),
        model=resolved(server.model),
        # The same room on both sides, which otherwise is estimated from bytes, or tokens.
        task={**TASK.model_dump(mode="json", by_alias=True), "max_new_tokens": 8},
        train_path=str(tmp_path / "train.parquet"),
        scores=(asked,),
        runtime=runtime(),
    )
    there = endpoint(
        server.url, tmp_path / "ledger.jsonl", model=str(server.model), timeout_seconds=60.0
    )
    served = outputs(run_trial(replace(here, endpoint=there), tmp_path / "served"))
    local = outputs(run_trial(here, tmp_path / "local"))
    assert [one[:2] for one in served] == [one[:2] for one in local]
    assert all(40 < tokens < 200 for _, tokens, _ in served)
    # What the tokenizer cleans away (broken bytes, spaces) may differ; the words do not.
    assert [one[2] for one in served] == [one[2] for one in local]


def outputs(record: TrialRecord) -> list[tuple[str, int, str]]:
    """Item, prompt tokens and reply of every item of a complete trial."""
    assert (record.status, record.failure_message) == ("complete", "")
    return [(o.item_id, o.prompt_tokens, o.output.strip()) for o in record.scores[0].outputs]


def terms(server: Served) -> dict[str, Any]:
    """On which the server is asked."""
    return {
        "url": server.url, "model": str(server.model), "concurrency": 2,
        "prompt_price": 0.1, "completion_price": 0.4, "spending_cap": 0.5,
    }  # fmt: skip


def trials_of(
    server: Served, folder: Path, arms: dict[str, Any], *, trials: int, validation: int = 4
) -> tuple[TrialSummary, ...]:
    """What the whole command leaves of a study, run behind a proxy that nobody answers for."""
    rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(52)]
    data = folder / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    values = {
        "name": "served",
        "model": {"reference": str(server.model), "device": "cpu", "dtype": "float32"},
        "data": {"source": str(data), "limits": {"train": 20, "validation": validation, "test": 8}},
        "task": {
            "instruction": "Is the customer's feedback good or bad? Reply with one word.",
            "template": "{text}",
            "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
            "max_new_tokens": 6,
        },
        "arms": arms,
        "budget": {"trials": trials},
        "seeds": [1],
        "general": None,
    }
    experiment = folder / "served.yaml"
    experiment.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    results = ("--results", folder / "results", "--engine", "in-process")
    done = harness("run", experiment, *results, cwd=folder, HF_HUB_OFFLINE="1", **nowhere)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stderr
    reader = StoreReader(folder / "results" / "harness.duckdb")
    (record,) = reader.experiments()
    return reader.study(record.experiment_id).trials


def test_a_study_with_an_arm_on_a_server(server: Served, tmp_path: Path) -> None:
    """The whole command, through a proxy that must not be asked."""
    arms = {
        "served": {"kind": "prompt", "shots": 3, "endpoint": terms(server)},
        "here": {"kind": "prompt", "shots": 3},
    }
    trials = trials_of(server, tmp_path, arms, trials=1)
    tested = {
        trial.arm: found
        for trial in trials
        for found in trial.aggregates
        if (trial.phase, found.split) == ("finalist", "test")
    }
    assert {found.form for found in tested.values()} == {"endpoint", "base"}
    assert tested["served"].items == tested["here"].items == 8
    assert tested["served"].prompt_tokens == tested["here"].prompt_tokens > 50
    timed = [t.arm for t in trials for a in t.aggregates if a.metric == "seconds" and a.latencies]
    assert sorted(timed) == ["here", "here", "served", "served"]
    report = next((tmp_path / "results").rglob("report.md")).read_text(encoding="utf-8")
    assert "served is charged 0.10 EUR for a million prompt tokens" in report


def test_a_server_writes_the_instruction_of_an_arm(server: Served, tmp_path: Path) -> None:
    reflection = {"endpoint": {**terms(server), "timeout_seconds": 60.0}, "max_new_tokens": 32}
    optimise = {"by": "gepa", "reflection": reflection}
    arms = {
        "written": {"kind": "prompt", "instruction": {"optimise": optimise}},
        "here": {"kind": "prompt", "shots": 3},
    }
    (wrote,) = (
        trial
        for trial in trials_of(server, tmp_path, arms, trials=24, validation=12)
        if (trial.arm, trial.phase) == ("written", "writing")
    )
    found = wrote.writing
    assert found is not None
    assert found.writer == str(server.model)
    # A model that was never trained writes nothing that could be of use; it was asked and paid.
    assert found.writing_tokens > 32
    assert found.money > 0
    assert found.ended
