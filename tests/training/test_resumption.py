"""A training that was interrupted goes on, and ends as if it had not been."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.records import CHECKPOINT, StepReport
from harness.training import job as training_job
from harness.training import master_weights, resumption
from harness.training.best_weights import BestWeights
from harness.training.general_text import encode_texts
from harness.training.job import TrainingJob, begun_as, fitted, run_job
from harness.training.master_weights import MasterWeightAdamW
from harness.training.multiprocess import SideBySide
from harness.training.peers import SingleProcess
from harness.training.resumption import NEWEST, Resumption
from tests.tiny_model import TinyModels, load_tiny
from tests.training.forked import ForkedPopen
from tests.training.test_best_weights import digest, job, trainable

TEXTS = ["The parcel came late.", "Great camera, sharp pictures.", "You classify what", "A box."]
STEPS = 9


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether a training is written down after every step; it is at first."""

    def write(on: bool) -> None:
        monkeypatch.setattr(resumption, "LEAST_SECONDS", 0.0 if on else 1e9)
        monkeypatch.setattr(resumption, "SHARE", 1e9)

    write(True)
    return write


def steps_of(
    one: TrainingJob, model: Any, best: BestWeights | None = None
) -> Generator[StepReport]:
    yield from run_job(one, model, best=best, resumption=going_on(one) if one.folder else None)


def going_on(one: TrainingJob) -> Resumption:
    return Resumption(Path(one.folder), fitted(one), SingleProcess())


def interrupt(one: TrainingJob, after: int) -> list[StepReport]:
    """Train until a step, and leave it at that."""
    with closing(steps_of(one, trainable(one), BestWeights())) as steps:
        return list(islice(steps, after))


def timeless(steps: list[StepReport]) -> list[StepReport]:
    return [replace(step, seconds=0.0, check_seconds=0.0) for step in steps]


def file_of(one: TrainingJob) -> Path:
    return Path(one.folder) / CHECKPOINT / NEWEST


@pytest.mark.parametrize(
    ("kind", "dtype", "more"),
    [
        ("full", "float32", {}),
        ("full", "bfloat16", {"replay": 0.3, "kl_weight": 0.5}),
        ("lora", "float32", {}),
        ("lora", "float32", {"dropout": 0.3, "replay": 0.3, "kl_weight": 0.5}),
        ("lora", "bfloat16", {"dora": True}),
        ("qlora", "float32", {}),
        ("qlora", "float32", {"dropout": 0.3}),
    ],
)
def test_a_training_that_goes_on_ends_as_if_it_had_not_been_interrupted(
    tiny_models: TinyModels,
    tmp_path: Path,
    written: Callable[[bool], None],
    kind: str,
    dtype: str,
    more: dict[str, Any],
) -> None:
    texts = tuple(encode_texts(load_tiny(tiny_models.chat).tokenizer, TEXTS, 20))
    plain = replace(job(tiny_models, kind, dtype, **more), texts=texts)
    whole, best = trainable(plain), BestWeights()
    expected = list(steps_of(plain, whole, best))
    one = replace(plain, folder=str(tmp_path))
    # Written down after step 4, the second of the second epoch; ended after step 6.
    with closing(steps_of(one, trainable(one), BestWeights())) as steps:
        list(islice(steps, 4))
        written(False)
        list(islice(steps, 2))
    model, best_again = trainable(one), BestWeights()
    torch.manual_seed(99)
    again = going_on(one)
    found = list(run_job(one, model, best=best_again, resumption=again))
    assert (again.done, again.note) == (4, "")
    assert timeless(found) == timeless(expected)
    assert digest(model) == digest(whole)
    assert (best_again.step, best_again.loss) == (best.step, best.loss)
    for trained, kept in ((model, best_again), (whole, best)):
        kept.put_back(trained)
    assert digest(model) == digest(whole)
    times = [step.seconds for step in found]
    assert times == sorted(times)


def test_what_ended_is_not_trained_again(
    tiny_models: TinyModels, tmp_path: Path, written: Callable[[bool], None]
) -> None:
    one = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    expected = interrupt(one, STEPS)
    model, best = trainable(one), BestWeights()
    written(False)
    assert timeless(list(steps_of(one, model, best))) == timeless(expected)
    same = trainable(replace(one, folder=""))
    list(steps_of(replace(one, folder=""), same))
    assert digest(model) == digest(same)
    assert best.step is not None


def test_the_disk_holds_one_checkpoint(
    tiny_models: TinyModels, tmp_path: Path, written: Callable[[bool], None]
) -> None:
    one = replace(job(tiny_models, "full"), folder=str(tmp_path))
    weights = sum(p.numel() for p in trainable(one).parameters())
    sizes = []
    for _ in steps_of(one, trainable(one), BestWeights()):
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files == [file_of(one)]
        sizes.append(files[0].stat().st_size)
    # Weights, two moments and the best weights, four bytes each, and what describes them.
    assert max(sizes) < 16 * weights + 100_000
    assert max(sizes) > 16 * weights


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(bytes(content))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _unsigned(path: Path) -> None:
    save_file(load_file(path), path)


@pytest.mark.parametrize("spoil", [_cut, _flip, _empty, _unsigned])
def test_a_torn_checkpoint_is_not_trusted(
    tiny_models: TinyModels,
    tmp_path: Path,
    written: Callable[[bool], None],
    spoil: Callable[[Path], None],
) -> None:
    one = job(tiny_models, "lora", gradient_checkpointing=False)
    one = replace(one, folder=str(tmp_path))
    expected = interrupt(one, STEPS)
    spoil(file_of(one))
    again = going_on(one)
    found = list(run_job(one, trainable(one), resumption=again))
    assert again.done == 0
    assert again.note.startswith("an earlier checkpoint is torn, and was not used")
    assert timeless(found) == timeless(expected)
    # A whole one is in its place by now.
    assert begun_as(one) == one


@pytest.mark.parametrize("change", ["seed", "examples", "rate", "version"])
def test_the_checkpoint_of_another_training_is_not_used(
    tiny_models: TinyModels,
    tmp_path: Path,
    written: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    one = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    interrupt(one, 4)
    match change:
        case "seed":
            other = replace(one, seed=one.seed + 1)
        case "examples":
            other = replace(one, examples=one.examples[:-1])
        case "rate":
            other = replace(one, settings=replace(one.settings, learning_rate=0.09))
        case _:
            other = one
            monkeypatch.setattr(training_job, "program_versions", lambda: {"torch": "another"})
    again = going_on(other)
    assert begun_as(other) is None
    next(run_job(other, trainable(other), resumption=again))
    assert again.done == 0
    assert again.note == "an earlier checkpoint is of another training, and was not used"


def test_it_goes_on_as_it_was_fitted_into_memory(
    tiny_models: TinyModels, tmp_path: Path, written: Callable[[bool], None]
) -> None:
    asked = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    assert begun_as(asked) is None
    settings = replace(asked.settings, micro_batch_size=2, gradient_checkpointing=True)
    interrupt(replace(asked, settings=settings), 2)
    assert begun_as(asked) == replace(asked, settings=settings)


def test_writing_takes_a_small_share_of_the_time(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    monkeypatch.setattr(resumption, "LEAST_SECONDS", 10.0)
    clock, took, times = [0.0], 2.0, []
    monkeypatch.setattr("harness.training.resumption.time.perf_counter", lambda: clock[0])

    def write(self: Resumption, *rest: Any) -> None:
        times.append(clock[0])
        clock[0] += took

    monkeypatch.setattr(Resumption, "_write", write)
    again = going_on(one)
    optimiser = MasterWeightAdamW(trainable(one).parameters(), 0.0)
    while clock[0] < 1000:
        clock[0] += 1.0
        again.after_step(None, optimiser, None, [])
    # The first time as soon as it may; then after as long as keeps the share.
    assert times[0] == 10.0
    assert times[1] == pytest.approx(times[0] + took + took / resumption.SHARE, abs=1.0)
    assert took * len(times) <= resumption.SHARE * 1000


def test_a_disk_that_takes_nothing_does_not_end_a_training(
    tiny_models: TinyModels, tmp_path: Path, written: Callable[[bool], None]
) -> None:
    one = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    (tmp_path / CHECKPOINT).write_text("a file where the folder is to be")
    again = going_on(one)
    found = list(run_job(one, trainable(one), resumption=again))
    assert len(found) == STEPS
    assert again.note.startswith("the training could not be written down on its way (")


@pytest.mark.parametrize("error", [ValueError, RuntimeError, MemoryError])
def test_a_refusal_of_the_library_does_not_end_a_training(
    tiny_models: TinyModels,
    tmp_path: Path,
    written: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    def refuse(*rest: Any) -> None:
        raise error("not these tensors")

    monkeypatch.setattr(resumption, "save_file", refuse)
    one = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    again = going_on(one)
    assert len(list(run_job(one, trainable(one), resumption=again))) == STEPS
    assert "(not these tensors)" in again.note


def test_nothing_is_written_where_memory_does_not_hold_it(
    tiny_models: TinyModels,
    tmp_path: Path,
    written: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if the weights were on a GPU, of which a copy is needed in main memory.
    monkeypatch.setattr(master_weights, "is_elsewhere", lambda tensor: True)
    one = replace(job(tiny_models, "lora"), folder=str(tmp_path))
    needed = 12 * sum(p.numel() for p in trainable(one).parameters() if p.requires_grad) / 2**20
    for free, count in ((needed * 0.9, 0), (needed * 1.1, 1)):
        monkeypatch.setattr(resumption, "available_mib", lambda device, free=free: free)
        again = going_on(one)
        list(islice(run_job(one, trainable(one), resumption=again), 2))
        assert file_of(one).exists() == bool(count)
        assert ("MiB of main memory" in again.note) != bool(count)


WRITING = """
import runpy
import harness.training.resumption as resumption
resumption.LEAST_SECONDS, resumption.SHARE = 0.0, 1e9
runpy.run_module("harness.training.process", run_name="__main__", alter_sys=True)
"""


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_two_processes_go_on_together(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    more: dict[str, Any] = {} if kind == "full" else {"dropout": 0.3}
    plain = job(tiny_models, kind, processes=2, **more)
    whole, best = trainable(plain), BestWeights()
    expected = list(SideBySide(plain, 2).train(whole, best))
    one = replace(plain, folder=str(tmp_path))

    def writing(command: list[str], **rest: Any) -> ForkedPopen:
        return ForkedPopen([sys.executable, "-c", WRITING, *command[3:]], **rest)

    with monkeypatch.context() as patch:
        patch.setattr("harness.training.multiprocess.subprocess.Popen", writing)
        with closing(SideBySide(one, 2).train(trainable(one), BestWeights())) as steps:
            list(islice(steps, 5))
    model, best_again = trainable(one), BestWeights()
    beside = SideBySide(one, 2)
    found = list(beside.train(model, best_again))
    # What was killed may have been a step further than was heard.
    assert beside.steps_before in (4, 5, 6, 7)
    assert beside.note == ""
    assert json.dumps([s.loss for s in found]) == json.dumps([s.loss for s in expected])
    assert digest(model) == digest(whole)
    assert (best_again.step, best_again.loss) == (best.step, best.loss)
    for trained, kept in ((model, best_again), (whole, best)):
        kept.put_back(trained)
    assert digest(model) == digest(whole)
