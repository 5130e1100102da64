"""The weights of the best check are held while training goes on, and put back bit by bit."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.models.adapters import make_trainable
from harness.models.load import load_arms_base
from harness.prompting import PromptRenderer
from harness.records import StepReport
from harness.training.best_weights import BestWeights, trainable_weights
from harness.training.fitting import fit
from harness.training.job import TrainingJob, run_job
from harness.training.multiprocess import SideBySide
from tests.settings import trained
from tests.tiny_model import TASK, TinyModels, load_tiny, messages, resolved, runtime

# Warmed up over all of its steps, the rate ends so high that the loss on other messages rises.
RATES = {"full": 1.0, "lora": 0.1, "qlora": 0.1}
RISING: dict[str, Any] = {
    "warmup": 1.0,
    "batch_size": 4,
    "epochs": 3,
    "max_grad_norm": 100.0,
}


def job(models: TinyModels, kind: str, dtype: str = "float32", **more: Any) -> TrainingJob:
    render = PromptRenderer(load_tiny(models.chat).tokenizer, TASK)
    return TrainingJob(
        model=resolved(models.chat),
        runtime=replace(runtime(), dtype=dtype),
        settings=trained(kind, **{"learning_rate": RATES[kind], **RISING, **more}),
        seed=3,
        examples=tuple(map(render.encode, messages(12))),
        validation=tuple(map(render.encode, messages(6, 40))),
        texts=(),
        checks_per_epoch=3,
        pad=0,
    )


def trainable(one: TrainingJob) -> Any:
    loaded = load_arms_base(one.model, one.runtime, one.settings)
    return make_trainable(loaded, one.settings, one.seed).model


def digest(model: Any) -> str:
    """Of the trained weights, bit by bit."""
    found = hashlib.sha256()
    for name, weight in trainable_weights(model).items():
        found.update(name.encode())
        found.update(weight.contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def checks(steps: list[StepReport]) -> dict[int, float]:
    return {s.step: s.validation_loss for s in steps if s.validation_loss is not None}


@pytest.mark.parametrize(
    ("kind", "dtype", "more"),
    [
        ("full", "float32", {}),
        ("full", "bfloat16", {}),
        ("lora", "float32", {"dropout": 0.2}),
        ("lora", "bfloat16", {"dora": True, "rslora": True, "alpha_over_rank": 0.5}),
        ("qlora", "float32", {}),
    ],
)
def test_the_weights_of_the_best_check_come_back(
    tiny_models: TinyModels, kind: str, dtype: str, more: dict[str, Any]
) -> None:
    one = job(tiny_models, kind, dtype, **more)
    model, best = trainable(one), BestWeights()
    at: dict[int, str] = {}
    steps = []
    for step in run_job(one, model, best=best):
        steps.append(step)
        at[step.step] = digest(model)
    losses = checks(steps)
    lowest = min(losses, key=lambda number: losses[number])
    assert lowest < len(steps), "the loss was to rise again"
    assert (best.step, best.loss) == (lowest, losses[lowest])
    # Until it is decided what is kept, the model has what it learnt last.
    assert digest(model) == at[len(steps)] != at[lowest]
    best.put_back(model)
    assert digest(model) == at[lowest]
    assert best.weights == {}


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_two_processes_give_back_the_same_best_weights(tiny_models: TinyModels, kind: str) -> None:
    one = job(tiny_models, kind)
    alone, shared = trainable(one), trainable(one)
    best, best_beside = BestWeights(), BestWeights()
    steps = list(run_job(one, alone, best=best))
    beside = list(SideBySide(one, 2).train(shared, best_beside))
    assert best.step is not None
    assert best.step < len(steps)
    assert best_beside.step == best.step
    assert best_beside.loss == checks(beside)[best.step]
    assert set(best_beside.weights) == set(trainable_weights(shared))
    last = {name: weight.clone() for name, weight in trainable_weights(shared).items()}
    best_beside.put_back(shared)
    best.put_back(alone)
    mine, theirs = trainable_weights(alone), trainable_weights(shared)
    # A step moves a weight by up to the rate, and the order of sums by a small part of that.
    near = 0.01 * RATES[kind]
    assert max(float((theirs[name] - mine[name]).abs().max()) for name in theirs) < near
    assert max(float((theirs[name] - last[name]).abs().max()) for name in theirs) > 10 * near


def looked(*losses: float) -> tuple[BestWeights, torch.nn.Linear]:
    """Weights that are the number of the check, from 1, each with its loss."""
    model, best = torch.nn.Linear(1, 1, bias=False), BestWeights()
    for step, loss in enumerate(losses, 1):
        model.weight.data.fill_(step)
        best.look(model, step, loss, last=step == len(losses))
    return best, model


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ((3.0, 2.0, 1.0), 3),
        ((3.0, 1.0, 2.0), 2),
        # Of equal losses the earliest.
        ((2.0, 1.0, 1.0), 2),
        ((1.0, 1.0), 1),
        # What is no number is no best one.
        ((math.nan, 2.0, math.nan), 2),
        ((2.0, math.nan, 1.0), 3),
    ],
)
def test_the_lowest_loss_is_kept_the_earliest_of_equals(
    losses: tuple[float, ...], kept: int
) -> None:
    best, model = looked(*losses)
    assert best.step == kept
    # Of weights that the model still has there is no copy.
    assert bool(best.weights) is (kept < len(losses))
    best.put_back(model)
    assert model.weight.item() == kept


@pytest.mark.parametrize(
    ("checks", "higher_is_better", "kept"),
    [
        (((3.0, 0.2), (2.0, 0.6), (1.0, 0.4)), True, 2),
        (((3.0, 0.2), (2.0, 0.6), (1.0, 0.4)), False, 1),
        # Of equal scores the lowest loss, of equals the earliest.
        (((2.0, 0.5), (1.0, 0.5), (1.0, 0.5)), True, 2),
        (((2.0, 0.5), (1.0, 0.5), (3.0, 0.5)), False, 2),
        (((1.0, math.nan), (2.0, 0.1), (0.5, math.nan)), True, 2),
    ],
)
def test_the_best_score_is_kept_where_checks_score(
    checks: tuple[tuple[float, float], ...], higher_is_better: bool, kept: int
) -> None:
    model, best = torch.nn.Linear(1, 1, bias=False), BestWeights(higher_is_better)
    for step, (loss, score) in enumerate(checks, 1):
        model.weight.data.fill_(step)
        best.look(model, step, loss, score, last=step == len(checks))
    assert (best.step, best.loss, best.score) == (kept, *checks[kept - 1])
    best.put_back(model)
    assert model.weight.item() == kept


def test_without_any_number_the_last_weights_stay() -> None:
    best, model = looked(math.nan, math.inf)
    best.put_back(model)
    assert best.step is None
    assert model.weight.item() == 2


def test_the_copy_is_counted_in_the_memory_that_training_needs(tiny_models: TinyModels) -> None:
    one = job(tiny_models, "full")
    model = trainable(one)
    plain = replace(one, settings=replace(one.settings, keep="last"))
    needed, without = (fit(model, each, 1e6).needed_mib for each in (one, plain))
    weights = sum(weight.numel() for weight in trainable_weights(model).values())
    assert needed - without == pytest.approx(4 * weights / 2**20)
