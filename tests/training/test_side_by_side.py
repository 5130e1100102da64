"""Two processes train as one does, and none is left behind. On CPUs, joined by Gloo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from pydantic import TypeAdapter
from tiny_model import PARAMETERS, TASK, TinyModels, load_tiny, messages, resolved, runtime

from harness.data import write_examples
from harness.errors import TrialError
from harness.models.adapters import make_trainable
from harness.prompting import PromptRenderer
from harness.records import Example, ScoreRequest, TrialSpec, to_json
from harness.spec.arms import Arm
from harness.training.general_text import encode_texts
from harness.training.job import TrainingJob, run_job
from harness.training.side_by_side import SideBySide
from harness.trial import run_trial

TEXTS = ["The parcel came late.", "Great camera, sharp pictures.", "You classify what", "A box."]
# Nine examples in batches of four: the last batch has none for the second process.
EXAMPLES = 9


def params(kind: str, **more: Any) -> dict[str, Any]:
    rank = {"rank": 4} if kind == "lora" else {}
    values = {"kind": kind, "answering": "choice", "learning_rate": 3e-3, "batch_size": 4, **rank}
    arm = TypeAdapter[Any](Arm).validate_python({**values, "micro_batch_size": 3, **more})
    return arm.resolve({})  # type: ignore[no-any-return]


def job(models: TinyModels, kind: str, **more: Any) -> TrainingJob:
    tokenizer = load_tiny(models.chat).tokenizer
    render = PromptRenderer(tokenizer, TASK)
    return TrainingJob(
        model=resolved(models.chat),
        runtime=runtime(),
        kind=kind,
        params=params(kind, **more),
        seed=5,
        examples=tuple(map(render.encode, messages(EXAMPLES))),
        validation=tuple(map(render.encode, messages(5, 50))),
        texts=tuple(encode_texts(tokenizer, TEXTS, 20)),
        checks_per_epoch=1,
        pad=0,
    )


def trainable(models: TinyModels, kind: str) -> Any:
    return make_trainable(load_tiny(models.chat), kind, params(kind), seed=5).model


def gone(processes: list[subprocess.Popen[str]]) -> bool:
    return all(process.poll() is not None for process in processes)


@pytest.mark.parametrize(
    ("kind", "more"), [("full", {}), ("lora", {"replay": 0.3, "kl_weight": 0.5})]
)
def test_two_processes_train_as_one(
    tiny_models: TinyModels, kind: str, more: dict[str, float]
) -> None:
    one = job(tiny_models, kind, **more)
    alone, shared = trainable(tiny_models, kind), trainable(tiny_models, kind)
    start = [p.detach().clone() for p in alone.parameters()]
    expected = list(run_job(one, alone))
    beside = SideBySide(one, 2)
    found = list(beside.train(shared))
    assert len(found) == len(expected) == 6
    for a, b in zip(found, expected, strict=True):
        assert (a.step, a.tokens, a.learning_rate) == (b.step, b.tokens, b.learning_rate)
        assert (a.validation_loss is None) == (b.validation_loss is None)
        mine, other = ((r.loss, r.grad_norm, r.validation_loss or 0.0) for r in (a, b))
        assert mine == pytest.approx(other, rel=1e-4)
    for a_weight, b_weight in zip(shared.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(a_weight, b_weight, atol=1e-5)
    now = [p.detach() for p in shared.parameters()]
    moved = [(a - b).abs().max() for a, b in zip(now, start, strict=True)]
    assert max(map(float, moved)) > 1e-3
    assert not shared.training
    assert gone(beside.processes)
    assert beside.memory_mib > 2 * 100
    assert beside.device_mib is None


def test_a_trial_with_two_processes_is_the_trial_with_one(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    def write(name: str, items: tuple[Example, ...]) -> str:
        write_examples(tmp_path / name, items)
        return str(tmp_path / name)

    validation = write("validation.parquet", messages(4, 20))
    spec = TrialSpec(
        trial_id="t",
        experiment_id="e",
        arm="lora",
        kind="lora",
        phase="search",
        number=0,
        seed=5,
        params=params("lora", learning_rate=1e-2),
        model=resolved(tiny_models.chat),
        task=TASK.model_dump(mode="json", by_alias=True),
        train_path=write("train.parquet", messages(EXAMPLES)),
        validation_path=validation,
        scores=(ScoreRequest("v", "domain", "domain", "validation", items_path=validation),),
        runtime=runtime(),
    )
    one = run_trial(spec, tmp_path / "one")
    two = run_trial(replace(spec, params={**spec.params, "processes": 2}), tmp_path / "two")
    assert (two.status, two.failure_message) == ("complete", "")
    assert [s.loss for s in two.steps] == pytest.approx([s.loss for s in one.steps], rel=1e-5)
    assert two.scores[0].aggregates == pytest.approx(one.scores[0].aggregates, rel=1e-4)
    assert two.canaries is not None
    assert two.canaries.before_max_difference == 0.0
    assert (two.canaries.after_max_difference or 0.0) > 0.0
    assert one.cost is not None
    assert two.cost is not None
    assert two.cost.total_parameters == PARAMETERS
    # The processes' memory counts beside the trial's own.
    assert two.cost.peak_memory_mib > one.cost.peak_memory_mib + 100


def test_a_process_that_dies_fails_the_trial_and_takes_the_others_along(
    tiny_models: TinyModels,
) -> None:
    beside = SideBySide(job(tiny_models, "full", epochs=50), 2)
    with (
        pytest.raises(TrialError, match="training process 2 of 2 was ended by SIGKILL") as caught,
        closing(beside.train(trainable(tiny_models, "full"))) as steps,
    ):
        next(steps)
        beside.processes[1].kill()
        for _ in steps:
            pass
    assert caught.value.kind == "killed"
    assert gone(beside.processes)


def test_a_trial_that_is_left_early_leaves_no_process(tiny_models: TinyModels) -> None:
    beside = SideBySide(job(tiny_models, "full", epochs=50), 2)
    model = trainable(tiny_models, "full")
    before = [p.detach().clone() for p in model.parameters()]
    with closing(beside.train(model)) as steps:
        next(steps)
        assert not gone(beside.processes)
    assert gone(beside.processes)
    assert beside.memory_mib > 0
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


PROGRAM = """
import sys, time
from pathlib import Path
from harness.records import from_json
from harness.training.job import TrainingJob
from harness.training.side_by_side import SideBySide

beside = SideBySide(from_json(TrainingJob, Path(sys.argv[1]).read_bytes()), 2)
steps = beside.train(type("Model", (), {"device": __import__("torch").device("cpu")})())
next(steps)
print(*(process.pid for process in beside.processes), flush=True)
time.sleep(600)
"""


def test_processes_end_with_the_trial_that_was_killed(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    path = tmp_path / "job.json"
    path.write_text(to_json(job(tiny_models, "full", epochs=5000)), encoding="utf-8")
    trial = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert trial.stdout is not None
    with trial.stdout as said:
        processes = [psutil.Process(int(pid)) for pid in said.readline().split()]
    assert len(processes) == 2
    os.kill(trial.pid, signal.SIGKILL)
    trial.wait()
    _, left = psutil.wait_procs(processes, timeout=30)
    assert left == []


def test_what_a_process_fails_of_is_what_the_trial_fails_of(
    tiny_models: TinyModels, fails_at: Callable[..., TrialError]
) -> None:
    rates = {"learning_rate": 1e25, "warmup": 0.0, "schedule": "constant"}
    error = fails_at(job(tiny_models, "full", **rates))
    assert error.kind == "nan_loss"
    assert "training process" in str(error)
    assert "of 2 failed: " in str(error)
    assert "a lower rate usually cures it" in str(error)


@pytest.fixture
def fails_at(tiny_models: TinyModels) -> Callable[..., TrialError]:
    """Run a job in two processes; the error it ends with."""

    def run(one: TrainingJob) -> TrialError:
        beside = SideBySide(one, 2)
        with pytest.raises(TrialError) as caught:
            list(beside.train(trainable(tiny_models, one.kind)))
        assert gone(beside.processes)
        return caught.value

    return run


def test_a_process_that_cannot_start_says_why(
    tiny_models: TinyModels, fails_at: Callable[..., TrialError]
) -> None:
    nowhere = replace(resolved(tiny_models.chat), path="/nowhere", reference="nowhere")
    error = fails_at(replace(job(tiny_models, "full"), model=nowhere))
    assert error.kind == "error"
    assert "nowhere: not a causal language model" in str(error)


def test_more_processes_than_gpus_are_refused(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    on_gpus = replace(job(tiny_models, "full"), runtime=replace(runtime(), device="cuda"))
    with pytest.raises(TrialError, match="processes: 2 need as many GPUs, and this trial sees 1"):
        list(SideBySide(on_gpus, 2).train(trainable(tiny_models, "full")))
