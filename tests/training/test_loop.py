"""The loop minimises the loss that it says, the same way each time, and stops when it cannot."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import TrialError
from harness.models.adapters import make_trainable
from harness.prompting import PromptRenderer, TokenisedExample
from harness.records import StepReport
from harness.spec.settings import TrainedSettings
from harness.training.batches import Batch, Layout, as_tree, padded
from harness.training.loop import train
from harness.training.losses import mean_loss, summed_loss
from harness.training.peers import SingleProcess
from tests.settings import trained
from tests.tiny_model import TASK, TinyModels, load_tiny, messages

SETTINGS = trained(
    "full",
    learning_rate=3e-3,
    epochs=2,
    batch_size=4,
    micro_batch_size=4,
    schedule="cosine",
    warmup=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
)
RAGGED = (
    TokenisedExample("a", (11, 12, 13, 14), (21, 22, 2)),
    TokenisedExample("b", (1,), (2,)),
    TokenisedExample("c", tuple(range(30, 50)), (23, 2)),
    TokenisedExample("d", (15, 16), (24, 25, 26, 27, 28, 2)),
)


def trainable(models: TinyModels, dtype: str = "float32") -> Any:
    return make_trainable(load_tiny(models.chat, dtype), SETTINGS, seed=0).model


def encoded(models: TinyModels, count: int = 12, start: int = 0) -> list[TokenisedExample]:
    render = PromptRenderer(load_tiny(models.chat).tokenizer, TASK)
    return [render.encode(item) for item in messages(count, start)]


def layout(model: Any) -> Layout:
    return Layout(model, 0, SingleProcess())


def naive_loss(model: Any, example: TokenisedExample) -> torch.Tensor:
    """Cross-entropy of the answer by its definition: one example, all logits, no padding."""
    ids = torch.tensor([[*example.prompt, *example.answer]])
    log_probabilities = model(input_ids=ids).logits[0].double().log_softmax(dim=-1)
    n = len(example.prompt)
    return -sum(
        (log_probabilities[n - 1 + k, token] for k, token in enumerate(example.answer)),
        start=torch.zeros((), dtype=torch.float64),
    )


def run(
    models: TinyModels, settings: TrainedSettings = SETTINGS, seed: int = 0, **more: Any
) -> tuple[list[StepReport], Any]:
    model = trainable(models)
    rng = np.random.default_rng(seed)
    return list(train(model, encoded(models), settings, 0, rng, **more)), model


def test_the_loss_is_the_cross_entropy_of_the_answers(tiny_models: TinyModels) -> None:
    model = trainable(tiny_models)
    expected = sum(naive_loss(model, example).item() for example in RAGGED)
    for batch in (as_tree(model, RAGGED), padded(RAGGED, 0)):
        assert summed_loss(model, batch).item() == pytest.approx(expected, rel=1e-5)
    tokens = sum(len(example.answer) for example in RAGGED)
    for size, trees in ((1, True), (3, True), (4, True), (4, False)):
        mean = mean_loss(model, RAGGED, size, Layout(model, 0, SingleProcess(), trees))
        assert mean == pytest.approx(expected / tokens, rel=1e-5)


def test_padding_content_does_not_matter(tiny_models: TinyModels) -> None:
    model = trainable(tiny_models)
    losses = [summed_loss(model, padded(RAGGED, pad)).item() for pad in (0, 99)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("micro", [1, 2, 3])
def test_micro_batches_make_the_gradient_of_the_whole_batch(
    tiny_models: TinyModels, micro: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradients(size: int) -> tuple[dict[str, torch.Tensor], float]:
        kept: dict[str, torch.Tensor] = {}

        def keep(self: Any, rate: float, limit: float) -> float:
            kept.update({n: p.grad.clone() for n, p in model.named_parameters()})
            return 1.0

        monkeypatch.setattr("harness.training.loop.MasterWeightAdamW.step", keep)
        model = trainable(tiny_models)
        settings = replace(SETTINGS, epochs=1, micro_batch_size=size)
        (report,) = train(model, RAGGED, settings, 0, np.random.default_rng(0))
        assert report.loss is not None
        return kept, report.loss

    (whole, loss), (parts, loss_of_parts) = gradients(4), gradients(micro)
    assert loss == pytest.approx(loss_of_parts, rel=1e-5)
    model = trainable(tiny_models)
    tokens = sum(len(example.answer) for example in RAGGED)
    (sum(naive_loss(model, example) for example in RAGGED) / tokens).backward()  # type: ignore[union-attr]
    for name, parameter in model.named_parameters():
        assert torch.allclose(whole[name], parts[name], atol=1e-5)
        assert torch.allclose(whole[name], parameter.grad, atol=1e-5)
    assert max(float(gradient.abs().max()) for gradient in whole.values()) > 0.01


def test_training_learns_and_repeats_itself(tiny_models: TinyModels) -> None:
    settings = replace(SETTINGS, epochs=4)
    first, model = run(tiny_models, settings)
    second, twin = run(tiny_models, settings)
    other, _ = run(tiny_models, settings, seed=1)
    losses = [report.loss for report in first]
    assert losses == [report.loss for report in second]
    assert losses != [report.loss for report in other]
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True)
    )
    told = [loss for loss in losses if loss is not None]
    assert len(told) == len(losses)
    assert np.mean(told[-3:]) < 0.7 * np.mean(told[:3])
    assert not model.training


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_constant_rate_passes_through_the_trainings_of_fewer_epochs(
    tiny_models: TinyModels, kind: str
) -> None:
    rate = {"schedule": "constant", "warmup": 0.0, "batch_size": 4, "learning_rate": 3e-3}
    more = {"dropout": 0.3} if kind == "lora" else {}
    texts = encoded(tiny_models, 5, 60)

    def weights_after(epochs: int, steps: int) -> list[torch.Tensor]:
        settings = trained(kind, epochs=epochs, replay=0.3, kl_weight=0.2, **rate, **more)
        model = make_trainable(load_tiny(tiny_models.chat), settings, seed=0).model
        rng = np.random.default_rng(4)
        examples = encoded(tiny_models)
        for _ in itertools.islice(train(model, examples, settings, 0, rng, texts=texts), steps):
            pass
        return [p.detach().clone() for p in model.parameters()]

    for epochs, steps in ((1, 3), (2, 6)):
        alone, passing = weights_after(epochs, steps), weights_after(3, steps)
        assert all(torch.equal(a, b) for a, b in zip(alone, passing, strict=True))


def test_reports_say_where_the_loop_is(tiny_models: TinyModels) -> None:
    examples = encoded(tiny_models)
    reports, _ = run(tiny_models, replace(SETTINGS, batch_size=5))
    assert [r.step for r in reports] == [1, 2, 3, 4, 5, 6]
    assert {r.steps for r in reports} == {6}
    assert [r.epoch for r in reports] == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert reports[-1].tokens == 2 * sum(example.length for example in examples)
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(reports))
    # A tenth of six steps is one of warm-up: half the peak.
    assert [r.learning_rate for r in reports[:2]] == pytest.approx([1.5e-3, 3e-3])
    assert all(0 < (r.grad_norm or 0) < math.inf for r in reports)


@pytest.mark.parametrize("trees", [True, False])
def test_reports_say_what_each_step_computed(tiny_models: TinyModels, trees: bool) -> None:
    model = trainable(tiny_models)
    sizes: list[int] = []

    def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sizes.append(kwargs["input_ids"].numel())

    # What a model takes it is asked once, before it trains.
    Layout(model, 0, SingleProcess(), trees)
    model.register_forward_pre_hook(note, with_kwargs=True)
    settings = replace(SETTINGS, epochs=1, micro_batch_size=3)
    steps = train(
        model, encoded(tiny_models), settings, 0, np.random.default_rng(0),
        encoded(tiny_models, 6, start=50), trees=trees,
    )  # fmt: skip
    done = 0
    for report in steps:
        passes = int(report.work.passes)
        assert report.work.read == sum(sizes[done : done + passes])
        assert report.work.predicted > 0 == report.work.written
        # Passes of the check follow the step, and are timed by themselves.
        assert (len(sizes) > done + passes) == (report.check_seconds > 0)
        assert (report.validation_loss is None) == (report.check_seconds == 0)
        done = len(sizes)
    assert report.check_seconds > 0


def test_validation_loss_is_measured_at_the_end_of_each_epoch(tiny_models: TinyModels) -> None:
    validation = encoded(tiny_models, 6, start=50)
    reports, model = run(tiny_models, validation=validation)
    assert [r.validation_loss is not None for r in reports] == [False, False, True] * 2
    assert reports[-1].validation_loss == pytest.approx(
        mean_loss(model, validation, 4, layout(model))
    )
    unwatched, _ = run(tiny_models)
    assert [r.loss for r in unwatched] == [r.loss for r in reports]
    assert {r.validation_loss for r in unwatched} == {None}


@pytest.mark.parametrize(
    ("checks", "where"),
    [(1, [6]), (2, [3, 6]), (4, [2, 3, 4, 6]), (6, [1, 2, 3, 4, 5, 6]), (50, [1, 2, 3, 4, 5, 6])],
)
def test_validation_loss_is_measured_as_often_as_asked(
    tiny_models: TinyModels, checks: int, where: list[int]
) -> None:
    validation = encoded(tiny_models, 2, start=50)
    settings = replace(SETTINGS, batch_size=2)
    reports, _ = run(tiny_models, settings, validation=validation, checks_per_epoch=checks)
    measured = [r.step for r in reports if r.validation_loss is not None]
    assert measured == [*where, *(step + 6 for step in where)]
    unwatched, _ = run(tiny_models, settings)
    assert [r.loss for r in unwatched] == [r.loss for r in reports]


def test_a_rate_that_is_too_high_is_a_recorded_failure(tiny_models: TinyModels) -> None:
    with pytest.raises(TrialError, match="a lower rate usually cures it") as caught:
        run(tiny_models, replace(SETTINGS, learning_rate=1e25, schedule="constant"))
    assert caught.value.kind == "nan_loss"


def test_a_poisoned_weight_is_a_recorded_failure(tiny_models: TinyModels) -> None:
    model = trainable(tiny_models)
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    with pytest.raises(TrialError, match="at step 1 of 6") as caught:
        list(train(model, encoded(tiny_models), SETTINGS, 0, np.random.default_rng(0)))
    assert caught.value.kind == "nan_loss"


def test_nothing_to_train_on_is_an_error(tiny_models: TinyModels) -> None:
    with pytest.raises(TrialError, match="no training example"):
        list(train(trainable(tiny_models), [], SETTINGS, 0, np.random.default_rng(0)))


def test_bf16_learns_like_fp32(tiny_models: TinyModels) -> None:
    # The rate is small against a bfloat16 step of the weights: only fp32 masters follow it.
    settings = replace(SETTINGS, learning_rate=2e-4, epochs=6, schedule="constant")
    examples = encoded(tiny_models)
    fell = {}
    for dtype in ("float32", "bfloat16"):
        model = trainable(tiny_models, dtype)
        before = mean_loss(model, examples, 4, layout(model))
        list(train(model, examples, settings, 0, np.random.default_rng(0)))
        fell[dtype] = before - mean_loss(model, examples, 4, layout(model))
    assert fell["float32"] > 0.3
    assert fell["bfloat16"] == pytest.approx(fell["float32"], rel=0.1)


def test_a_batch_moves_as_one() -> None:
    moved = padded(RAGGED, 0).to("meta")
    tensors = (*moved.inputs.values(), moved.kept, moved.places, moved.labels)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert isinstance(moved, Batch)
    assert moved.label_tokens == 12


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_shared_beginning_changes_neither_loss_nor_gradient(
    tiny_models: TinyModels, kind: str
) -> None:
    examples = encoded(tiny_models, 5)
    batch = as_tree(load_tiny(tiny_models.chat).model, examples)
    assert batch.inputs["input_ids"].shape[1] < batch.tokens, "the prompts share their instruction"

    def gradients(loss_of: Any) -> tuple[float, dict[str, torch.Tensor]]:
        model = make_trainable(load_tiny(tiny_models.chat, "float32"), trained(kind), seed=0).model
        loss = loss_of(model)
        loss.backward()
        found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
        return loss.item(), found

    loss, found = gradients(lambda model: summed_loss(model, batch))
    expected, wanted = gradients(lambda m: sum(naive_loss(m, example) for example in examples))
    assert loss == pytest.approx(expected, rel=1e-5)
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, atol=1e-4), name
    assert max(float(gradient.abs().max()) for gradient in wanted.values()) > 0.01
