"""General text beside the task: what of it a step learns, and what that does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import harness.training.loop
from harness.errors import TrialError
from harness.models.adapters import make_trainable
from harness.prompting import PromptRenderer, TokenisedExample
from harness.records import StepReport
from harness.spec.settings import TrainedSettings
from harness.training.batches import Layout, as_tree, epoch_batches, padded
from harness.training.general_text import TextStream
from harness.training.loop import KL_TEXTS, train
from harness.training.losses import predictions_of_base, summed_divergence, summed_loss
from harness.training.master_weights import MasterWeightAdamW
from harness.training.schedule import learning_rate_at
from tests.settings import trained
from tests.tiny_model import TASK, TinyModels, load_tiny, messages

SETTINGS = trained(
    "full",
    learning_rate=3e-3,
    epochs=2,
    batch_size=4,
    micro_batch_size=3,
    schedule="linear",
    warmup=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
)
TEXTS = [
    TokenisedExample("text 0", (7,), (11, 12, 13, 14, 15)),
    TokenisedExample("text 1", (8,), (21,)),
    TokenisedExample("text 2", (9,), tuple(range(30, 42))),
    TokenisedExample("text 3", (10,), (41, 42, 43)),
    TokenisedExample("text 4", (11,), (51, 52, 53, 54)),
]


def trainable(models: TinyModels, kind: str = "full", **more: Any) -> Any:
    return make_trainable(load_tiny(models.chat), trained(kind, **more), seed=0).model


def encoded(models: TinyModels, count: int = 12, start: int = 0) -> list[TokenisedExample]:
    render = PromptRenderer(load_tiny(models.chat).tokenizer, TASK)
    return [render.encode(item) for item in messages(count, start)]


def run(
    models: TinyModels, settings: TrainedSettings, kind: str = "full", seed: int = 0, **more: Any
) -> tuple[list[StepReport], Any]:
    model = trainable(models, kind)
    rng = np.random.default_rng(seed)
    examples = encoded(models, more.pop("examples", 12))
    return list(train(model, examples, settings, 0, rng, texts=TEXTS, **more)), model


def untimed(reports: list[StepReport]) -> list[StepReport]:
    return [replace(report, seconds=0.0, check_seconds=0.0) for report in reports]


def log_probabilities(model: Any, text: TokenisedExample) -> torch.Tensor:
    """Of each token after the first, by definition: one text, no padding, in float64."""
    ids = torch.tensor([[*text.prompt, *text.answer]])
    return model(input_ids=ids).logits[0, :-1].double().log_softmax(dim=-1)  # type: ignore[no-any-return]


def divergence(base: Any, model: Any, texts: list[TokenisedExample]) -> torch.Tensor:
    """Mean KL(base || model) over all tokens to be learnt, by definition."""
    total = torch.zeros((), dtype=torch.float64)
    for text in texts:
        with torch.no_grad():
            p = log_probabilities(base, text)
        q = log_probabilities(model, text)
        for position in range(len(text.answer)):
            total = total + (p[position].exp() * (p[position] - q[position])).sum()
    return total / sum(len(text.answer) for text in texts)


def moved(model: Any) -> Any:
    """The model, with every trainable weight a little elsewhere."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


# --------------------------------------------------------------------------- which texts


def test_an_epoch_holds_exactly_its_share_of_texts(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def note(self: Layout, examples: Any, *arguments: Any) -> Any:
        seen.extend(example.id for example in examples)
        return plain(self, examples, *arguments)

    plain = Layout.batches
    monkeypatch.setattr(Layout, "batches", note)
    reports, _ = run(tiny_models, replace(SETTINGS, replay=0.2, epochs=1), examples=16)
    assert len(reports) == 4
    # Of every five sequences one is a text, in each step alike.
    for step in range(4):
        four_and_one = seen[5 * step : 5 * step + 5]
        assert [name.startswith("text") for name in four_and_one] == [False] * 4 + [True]
    texts = [name for name in seen if name.startswith("text")]
    assert len(set(texts)) == 4
    assert len(set(seen) - set(texts)) == 16


# --------------------------------------------------------------------------- what is minimised


def test_without_texts_the_loop_is_the_plain_one(tiny_models: TinyModels) -> None:
    examples = encoded(tiny_models)
    plain = trainable(tiny_models)
    rng, losses = np.random.default_rng(0), []
    optimiser = MasterWeightAdamW(plain.parameters(), 0.0)
    lengths = [example.length for example in examples]
    plain.train()
    for step, indices in enumerate(b for _ in range(2) for b in epoch_batches(lengths, 4, rng)):
        parts = [as_tree(plain, [examples[i] for i in indices[s : s + 3]]) for s in (0, 3)]
        tokens, loss = sum(part.label_tokens for part in parts), 0.0
        for part in parts:
            share = summed_loss(plain, part) / tokens
            share.backward()
            loss += share.item()
        losses.append(loss)
        optimiser.step(learning_rate_at(step, 6, 3e-3, 0.1, "linear"), 1.0)
    reports, model = run(tiny_models, SETTINGS)
    assert [report.loss for report in reports] == losses
    for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, other)


def first_gradients(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch, model: Any, **settings: Any
) -> tuple[dict[str, torch.Tensor], StepReport]:
    """Gradients of a first and only step on four examples, and its report."""
    kept: dict[str, torch.Tensor] = {}

    def keep(self: Any, rate: float, limit: float) -> float:
        kept.update({n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad})
        return 1.0

    monkeypatch.setattr("harness.training.loop.MasterWeightAdamW.step", keep)
    once = replace(SETTINGS, epochs=1, **settings)
    rng = np.random.default_rng(0)
    (report,) = train(model, encoded(models, 4), once, 0, rng, texts=TEXTS)
    return kept, report


def check_gradients(model: Any, loss: torch.Tensor, found: dict[str, torch.Tensor]) -> None:
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.allclose(found[name], parameter.grad, atol=1e-5), name
    assert max(float(gradient.abs().max()) for gradient in found.values()) > 1e-3


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_replayed_texts_count_token_by_token(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (replay_stream, _) = np.random.default_rng(0).spawn(2)
    texts = TextStream(TEXTS, replay_stream).take(4)
    found, report = first_gradients(
        tiny_models, monkeypatch, moved(trainable(tiny_models, kind)), replay=0.5
    )
    model = moved(trainable(tiny_models, kind))
    of_task = torch.zeros((), dtype=torch.float64)
    of_all = torch.zeros((), dtype=torch.float64)
    answers = all_tokens = 0
    for example in [*encoded(tiny_models, 4), *texts]:
        whole = TokenisedExample("", example.prompt[:1], (*example.prompt[1:], *example.answer))
        rows = log_probabilities(model, whole)[-len(example.answer) :]
        loss = -rows[torch.arange(len(rows)), torch.tensor(example.answer)].sum()
        of_all, all_tokens = of_all + loss, all_tokens + len(rows)
        if not example.id.startswith("text"):
            of_task, answers = of_task + loss, answers + len(rows)
    # What is reported is the task's own loss, and what is counted is every token read.
    assert report.loss == pytest.approx(of_task.item() / answers, rel=1e-5)
    assert report.tokens == sum(e.length for e in [*encoded(tiny_models, 4), *texts])
    check_gradients(model, of_all / all_tokens, found)


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_the_divergence_and_its_gradient_are_those_of_the_definition(
    tiny_models: TinyModels, kind: str
) -> None:
    untouched = load_tiny(tiny_models.chat).model
    model = trainable(tiny_models, kind)
    base = predictions_of_base(model)
    tokens = sum(len(text.answer) for text in TEXTS)
    assert summed_divergence(model, base, as_tree(model, TEXTS)).item() == pytest.approx(
        0, abs=1e-5
    )
    moved(model)
    value = summed_divergence(model, base, as_tree(model, TEXTS)) / tokens
    expected = divergence(untouched, model, TEXTS)
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert float(value.detach()) > 0.01
    value.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    check_gradients(model, expected, found)


def test_the_gradient_on_logits_is_the_difference_of_the_distributions() -> None:
    # d/dz KL(p || softmax(z)) = softmax(z) - p.
    text = TokenisedExample("a", (1,), (2, 3))
    mine = torch.tensor([[[0.0, 1.0, -1.0, 0.5], [0.3, 0.0, 2.0, 0.1], [0.0] * 4]])
    mine.requires_grad_(True)

    def forward(logits_to_keep: Any, **_: Any) -> Any:
        return SimpleNamespace(logits=mine[:, logits_to_keep])

    class Model(SimpleNamespace):
        def __call__(self, **inputs: Any) -> Any:
            return forward(**inputs)

    model = Model(device="cpu", forward=forward)
    theirs = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    value = summed_divergence(model, lambda batch: theirs, padded([text], 0))
    p, q = theirs.softmax(-1), mine[0, :2].softmax(-1)
    assert value.item() == pytest.approx(float((p * (p / q).log()).sum()), rel=1e-5)
    value.backward()
    assert mine.grad is not None
    assert torch.allclose(mine.grad[0, :2], (q - p).detach(), atol=1e-6)
    assert not mine.grad[0, 2].any()


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_the_step_adds_the_weighted_mean_divergence(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The first step starts at the base, where the divergence is flat: what is compared with is
    # therefore elsewhere.
    untouched = load_tiny(tiny_models.chat).model
    elsewhere = moved(trainable(tiny_models)).eval()
    monkeypatch.setattr(
        harness.training.loop, "predictions_of_base", lambda _: predictions_of_base(elsewhere)
    )
    plain, _ = first_gradients(tiny_models, monkeypatch, trainable(tiny_models, kind))
    found, report = first_gradients(
        tiny_models, monkeypatch, trainable(tiny_models, kind), kl_weight=0.5
    )
    (_, kl_stream) = np.random.default_rng(0).spawn(2)
    texts = TextStream(TEXTS, kl_stream).take(KL_TEXTS)
    model = trainable(tiny_models, kind)
    added = {name: gradient - plain[name] for name, gradient in found.items()}
    check_gradients(model, 0.5 * divergence(elsewhere, model, texts), added)
    assert report.tokens == sum(e.length for e in [*encoded(tiny_models, 4), *texts])
    assert divergence(untouched, elsewhere, texts) > 0.01


def test_the_base_is_seen_without_adapter_and_without_dropout(tiny_models: TinyModels) -> None:
    untouched = load_tiny(tiny_models.chat).model
    for model in (trainable(tiny_models, "lora", dropout=0.5), trainable(tiny_models)):
        base = predictions_of_base(model)
        moved(model).train()
        rows = base(as_tree(untouched, TEXTS[:1]))
        assert torch.equal(
            rows, untouched(input_ids=torch.tensor([[7, *TEXTS[0].answer]])).logits[0, :-1]
        )
        assert model.training
        assert not rows.requires_grad
        # The adapter is on again, and can still be trained.
        here = model(input_ids=torch.tensor([[7, *TEXTS[0].answer]])).logits[0, :-1]
        assert here.requires_grad
        assert not torch.allclose(here, rows)


# --------------------------------------------------------------------------- what it does


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_texts_hold_the_model_near_its_base(tiny_models: TinyModels, kind: str) -> None:
    untouched = load_tiny(tiny_models.chat).model
    rate = 3e-3 if kind == "full" else 2e-2
    settings = replace(SETTINGS, epochs=4, learning_rate=rate, schedule="constant")

    def distance(**more: Any) -> tuple[float, float]:
        reports, model = run(tiny_models, replace(settings, **more), kind)
        with torch.no_grad():
            return float(divergence(untouched, model, TEXTS)), reports[-1].loss or math.nan

    free, held = distance(), distance(kl_weight=1.0)
    assert held[0] < 0.5 * free[0]
    assert held[1] < 0.8 * np.log(400)


def test_texts_make_the_same_trial_twice_and_leave_the_tasks_order(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[list[list[int]]] = []

    def noted(*arguments: Any) -> list[list[int]]:
        orders[-1].extend(found := epoch_batches(*arguments))
        return found

    monkeypatch.setattr(harness.training.loop, "epoch_batches", noted)

    def trial(seed: int, **more: Any) -> Iterator[Any]:
        orders.append([])
        reports, model = run(tiny_models, replace(SETTINGS, **more), seed=seed)
        yield untimed(reports)
        yield [p.tolist() for p in model.parameters()]

    both = {"replay": 0.3, "kl_weight": 0.2}
    first, again, other = (list(trial(seed, **both)) for seed in (0, 0, 1))
    plain = list(trial(0))
    assert first == again
    assert first != other
    assert first != plain
    assert orders[0] == orders[1] == orders[3] != orders[2]


def test_texts_that_are_missing_are_an_error(tiny_models: TinyModels) -> None:
    for settings in (replace(SETTINGS, replay=0.1), replace(SETTINGS, kl_weight=0.1)):
        with pytest.raises(TrialError, match="need general texts"):
            rng = np.random.default_rng(0)
            list(train(trainable(tiny_models), encoded(tiny_models), settings, 0, rng))
