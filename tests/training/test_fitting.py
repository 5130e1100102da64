"""Training is laid out so that it fits, what it keeps is measured right, and it learns the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.errors import TrialError
from harness.models.adapters import make_trainable
from harness.prompting import PromptRenderer
from harness.training.activations import kept_by
from harness.training.batches import Layout
from harness.training.checkpointing import checkpointed
from harness.training.fitting import MIB, Fit, fit
from harness.training.job import TrainingJob, run_job
from harness.training.losses import summed_loss
from harness.training.peers import SingleProcess
from tests.settings import trained
from tests.tiny_model import TASK, TinyModels, load_tiny, messages, resolved, runtime

PLENTY = 1e6


def job(models: TinyModels, kind: str = "lora", **more: Any) -> TrainingJob:
    given = {"learning_rate": 3e-3, "batch_size": 8, "micro_batch_size": 8}
    given |= {"dropout": 0.1} if kind == "lora" else {}
    render = PromptRenderer(load_tiny(models.chat).tokenizer, TASK)
    return TrainingJob(
        model=resolved(models.chat),
        runtime=runtime(),
        settings=trained(kind, **given | more),
        seed=5,
        examples=tuple(map(render.encode, messages(24))),
        validation=(),
        texts=(),
        checks_per_epoch=1,
        pad=0,
    )


def trainable(models: TinyModels, kind: str = "lora") -> Any:
    return make_trainable(load_tiny(models.chat), job(models, kind).settings, seed=5).model


class _Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(16, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.inner(x))


class _Stack(torch.nn.Module):
    device = torch.device("cpu")

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(_Block() for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_what_a_pass_keeps_is_counted_once_and_by_block() -> None:
    # A linear layer keeps its input, a sigmoid its output, which is the next layer's input.
    model, one = _Stack(5), 32 * 16 * 4
    inputs = torch.randn(32, 16)
    kept = kept_by(model, lambda: model(inputs).exp().sum())
    # Six tensors lie between blocks, of which the last is kept in none but already counted, and
    # the exponential keeps its own result.
    assert kept.total == 7 * one
    assert kept.inputs == 5 * one
    assert kept.largest_block == 2 * one
    assert kept.outside == one
    assert kept.peak == 9 * one
    assert kept.peak_recomputing == (5 + 1 + 2 * 2) * one


def test_measuring_changes_nothing(tiny_models: TinyModels) -> None:
    model = trainable(tiny_models).eval()
    layout = Layout(model, 0, SingleProcess())
    batch = layout.batch(job(tiny_models).examples)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    kept_by(model, lambda: summed_loss(model, batch))
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_checkpointing_learns_exactly_the_same(tiny_models: TinyModels, kind: str) -> None:
    whole = job(tiny_models, kind, epochs=1)
    reports = []
    for checkpointing in (False, True):
        model = trainable(tiny_models, kind)
        torch.manual_seed(1)  # of dropout
        settings = replace(whole.settings, gradient_checkpointing=checkpointing)
        reports.append([*run_job(replace(whole, settings=settings), model)])
        assert not any(getattr(m, "gradient_checkpointing", False) for m in model.modules())
    for kept, again in zip(*reports, strict=True):
        assert (again.loss, again.grad_norm) == (kept.loss, kept.grad_norm)


def test_checkpointed_keeps_less(tiny_models: TinyModels) -> None:
    model = trainable(tiny_models, "full")
    batch = Layout(model, 0, SingleProcess()).batch(job(tiny_models).examples)
    kept = kept_by(model, lambda: summed_loss(model, batch))
    with checkpointed(model):
        again = kept_by(model, lambda: summed_loss(model, batch))
    assert again.total < kept.total / 2
    # What goes into blocks is held by the closures that compute them again.
    assert again.outside <= kept.outside
    assert kept.inputs + kept.outside < kept.total


def test_with_room_everything_is_as_asked(tiny_models: TinyModels) -> None:
    found = fit(trainable(tiny_models), job(tiny_models), PLENTY)
    assert (found.micro_batch_size, found.gradient_checkpointing, found.fits) == (8, False, True)
    assert "micro-batches of 8 examples, activations kept" in found.in_words()


def test_as_memory_shrinks_batches_are_cut_then_activations_computed_again(
    tiny_models: TinyModels,
) -> None:
    model, work = trainable(tiny_models), job(tiny_models)
    seen: list[Fit] = []
    available = fit(model, work, PLENTY).needed_mib
    while not seen or seen[-1].fits:
        seen.append(fit(model, work, available))
        available = seen[-1].needed_mib * 0.999
    chosen = [(one.micro_batch_size, one.gradient_checkpointing) for one in seen]
    assert chosen[0] == (8, False)
    assert (2, False) in chosen
    assert chosen.index((2, False)) < min(n for n, (_, again) in enumerate(chosen) if again)
    assert chosen[-1] == chosen[-2] == (1, True)
    assert [one.needed_mib for one in seen] == sorted((o.needed_mib for o in seen), reverse=True)
    assert "though only" in seen[-1].in_words()
    assert "micro-batches of 1 example, not 8, activations computed again" in seen[-1].in_words()


@pytest.mark.parametrize(("asked", "again"), [(True, True), (False, False)])
def test_what_is_asked_for_is_done(tiny_models: TinyModels, asked: bool, again: bool) -> None:
    work = job(tiny_models, gradient_checkpointing=asked)
    model = trainable(tiny_models)
    assert fit(model, work, PLENTY).gradient_checkpointing is again
    tight = fit(model, work, 0.0)
    assert (tight.micro_batch_size, tight.gradient_checkpointing) == (1, again)


def test_weights_that_train_cost_their_optimiser_state(tiny_models: TinyModels) -> None:
    adapter, full = trainable(tiny_models), trainable(tiny_models, "full")
    weights = sum(p.numel() for p in full.parameters())
    least = fit(full, job(tiny_models, "full"), 0.0).needed_mib
    assert least > weights * 12 / MIB
    held = job(tiny_models, "full", kl_weight=0.5)
    assert fit(full, held, 0.0).needed_mib == pytest.approx(least + weights * 4 / MIB)
    assert fit(adapter, job(tiny_models), 0.0).needed_mib < least


def test_a_model_that_cannot_is_told_apart(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trainable(tiny_models, "full")
    monkeypatch.setattr(type(model), "supports_gradient_checkpointing", False)
    assert not fit(model, job(tiny_models, "full"), 0.0).gradient_checkpointing
    with pytest.raises(TrialError, match="does not support gradient checkpointing"):
        fit(model, job(tiny_models, "full", gradient_checkpointing=True), PLENTY)
