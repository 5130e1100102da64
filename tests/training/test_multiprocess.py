"""Two processes train as one does, and none is left behind. On CPUs, joined by Gloo."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from harness.data import write_examples
from harness.errors import TrialError
from harness.models.adapters import make_trainable
from harness.prompting import PromptRenderer
from harness.records import Example, ScoreRequest, TrialSpec, to_json, to_plain
from harness.spec.settings import TrainedSettings
from harness.training.general_text import encode_texts
from harness.training.job import TrainingJob, run_job
from harness.training.multiprocess import Said, SideBySide
from harness.trial import run_trial
from tests.settings import trained
from tests.tiny_model import (
    PARAMETERS,
    TASK,
    TinyModels,
    load_tiny,
    message,
    messages,
    resolved,
    runtime,
)

TEXTS = ["The parcel came late.", "Great camera, sharp pictures.", "You classify what", "A box."]
WITH_TEXTS = {"replay": 0.3, "kl_weight": 0.5}
# Nine examples in batches of four: the last batch has none for the second process.
EXAMPLES = 9


def settings(kind: str, **more: Any) -> TrainedSettings:
    values = {"answering": "choice", "learning_rate": 3e-3, "batch_size": 4, "micro_batch_size": 3}
    return trained(kind, **values | more)


def job(models: TinyModels, kind: str, **more: Any) -> TrainingJob:
    tokenizer = load_tiny(models.chat).tokenizer
    render = PromptRenderer(tokenizer, TASK)
    return TrainingJob(
        model=resolved(models.chat),
        runtime=runtime(),
        settings=settings(kind, **more),
        seed=5,
        examples=tuple(map(render.encode, messages(EXAMPLES))),
        validation=tuple(map(render.encode, messages(5, 50))),
        texts=tuple(encode_texts(tokenizer, TEXTS, 20)),
        checks_per_epoch=1,
        pad=0,
    )


def trainable(models: TinyModels, kind: str) -> Any:
    return make_trainable(load_tiny(models.chat), settings(kind), seed=5).model


def gone(processes: list[subprocess.Popen[str]]) -> bool:
    return all(process.poll() is not None for process in processes)


@pytest.mark.usefixtures("forked")
def test_two_processes_with_parts_of_the_weights_train_as_one(tiny_models: TinyModels) -> None:
    one = job(tiny_models, "full", **WITH_TEXTS)
    alone, shared = trainable(tiny_models, "full"), trainable(tiny_models, "full")
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


def test_a_trial_with_two_adapters_side_by_side_is_the_trial_with_one(
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
        params=to_plain(settings("lora", learning_rate=1e-2, **WITH_TEXTS)),
        model=resolved(tiny_models.chat),
        task=TASK.model_dump(mode="json", by_alias=True),
        train_path=write("train.parquet", messages(EXAMPLES)),
        validation_path=validation,
        replay_path=write("texts.parquet", tuple(message(t, t, "") for t in TEXTS)),
        scores=(ScoreRequest("v", "domain", "domain", "validation", items_path=validation),),
        runtime=runtime(),
    )
    one = run_trial(spec, tmp_path / "one")
    two = run_trial(replace(spec, params={**spec.params, "processes": 2}), tmp_path / "two")
    assert (two.status, two.failure_message) == ("complete", "")
    for curve in ("loss", "grad_norm"):
        mine, other = ([getattr(step, curve) for step in record.steps] for record in (two, one))
        assert mine == pytest.approx(other, rel=1e-4)
    assert two.scores[0].aggregates == pytest.approx(one.scores[0].aggregates, rel=1e-4)
    assert two.canaries is not None
    assert two.canaries.before_max_difference == 0.0
    assert (two.canaries.after_max_difference or 0.0) > 0.0
    assert one.cost is not None
    assert two.cost is not None
    assert two.cost.total_parameters == PARAMETERS
    # The processes' memory counts beside the trial's own.
    assert two.cost.peak_memory_mib > one.cost.peak_memory_mib + 100


@pytest.mark.usefixtures("forked")
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


PROGRAM = """
import sys, time
from pathlib import Path
from harness.records import from_json
from harness.training.job import TrainingJob
from harness.training.multiprocess import SideBySide

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


KILL_OWN = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
COMPLAIN = "import sys; sys.exit('no room left')"


@pytest.mark.parametrize(
    ("said", "second", "kind", "message"),
    [
        # Both say the same: the first one is quoted, at once.
        (
            [(0, {"failed": ["nan_loss", "loss nan"]}), (1, {"failed": ["nan_loss", "loss nan"]})],
            "",
            "nan_loss",
            "training process 1 of 2 failed: loss nan",
        ),
        # The first only lost its connection to one that was killed, ended, or ran out of memory.
        (
            [(0, {"failed": ["error", "closed by peer"]}), (0, None), (1, None)],
            KILL_OWN,
            "killed",
            "training process 2 of 2 was ended by SIGKILL; if memory ran out, lower micro_batch",
        ),
        (
            [(0, {"failed": ["error", "closed by peer"]}), (1, None)],
            COMPLAIN,
            "error",
            "training process 2 of 2 ended with exit code 1: no room left",
        ),
        (
            [
                (0, {"failed": ["error", "closed by peer"]}),
                (1, {"failed": ["out_of_memory", "no"]}),
            ],
            "",
            "out_of_memory",
            "training process 2 of 2 failed: no",
        ),
        # Silence before the end is a death too.
        ([(1, None)], COMPLAIN, "error", "ended with exit code 1: no room left"),
        # Nobody died: what was said first is the cause.
        (
            [(1, {"failed": ["error", "bad file"]}), (0, {"failed": ["error", "closed by peer"]})],
            "",
            "error",
            "training process 2 of 2 failed: bad file",
        ),
    ],
)
def test_a_failure_is_told_by_its_first_cause(
    tiny_models: TinyModels,
    tmp_path: Path,
    said: list[tuple[int, dict[str, Any] | None]],
    second: str,
    kind: str,
    message: str,
) -> None:
    beside = SideBySide(job(tiny_models, "full"), 2)
    for rank, program in enumerate(("", second)):
        with (tmp_path / f"errors-{rank}.txt").open("w") as errors:
            command = [sys.executable, "-c", program]
            beside.processes.append(subprocess.Popen(command, stderr=errors, text=True))
    heard: Said = queue.Queue()
    for one in said:
        heard.put(one)
    with pytest.raises(TrialError) as caught:
        list(beside._listen(heard, tmp_path))
    assert caught.value.kind == kind
    assert message in str(caught.value)
    for process in beside.processes:
        process.wait()


def test_more_processes_than_gpus_are_refused(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    on_gpus = replace(job(tiny_models, "full"), runtime=replace(runtime(), device="cuda"))
    with pytest.raises(TrialError, match="processes: 2 need as many GPUs, and this trial sees 1"):
        list(SideBySide(on_gpus, 2).train(trainable(tiny_models, "full")))
