"""A sequence with several answers learns what each of them learns by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.models.adapters import make_trainable
from harness.prompting import TokenisedExample, as_conversations
from harness.records import Example
from harness.training.batches import Batch, Layout, as_tree, padded
from harness.training.losses import mean_loss, summed_loss
from harness.training.peers import SingleProcess
from tests.settings import trained
from tests.tiny_model import TinyModels, load_tiny

SETTINGS = trained("full", learning_rate=1e-3, epochs=1, batch_size=4, micro_batch_size=4)
FIRST = TokenisedExample("c#1", (11, 12, 13), (21, 22, 2))
SECOND = TokenisedExample("c#2", (11, 12, 13, 21, 22, 2, 14, 15), (23, 2))
THIRD = TokenisedExample("c#3", (*SECOND.prompt, *SECOND.answer, 16), (24, 25, 26, 2))
# What was said before stands otherwise than it was asked.
STRIPPED = TokenisedExample("d#2", (31, 32, 33, 2, 34), (35, 2))
BEFORE = TokenisedExample("d#1", (31, 32, 9), (33, 2))
TURNS = (SECOND, BEFORE, THIRD, STRIPPED, FIRST)


def item(example: TokenisedExample) -> Example:
    name, _, number = example.id.partition("#")
    messages = ({"role": "user", "content": "x"},) * (2 * int(number) - 1)
    return Example(example.id, {}, "", name, 0, messages, name)


def sequences() -> list[TokenisedExample]:
    return as_conversations(TURNS, [item(example) for example in TURNS])


def test_turns_are_one_sequence_where_their_tokens_go_on() -> None:
    whole, *apart = sequences()
    assert (whole.prompt, whole.answer) == (THIRD.prompt, THIRD.answer)
    assert whole.earlier == ((3, 6), (8, 10))
    assert whole.learnt == [3, 4, 5, 8, 9, 11, 12, 13, 14]
    assert (whole.answers, whole.learnt_tokens, whole.length) == (3, 9, 15)
    assert apart == [BEFORE, STRIPPED]
    others = [Example(e.id, {}, "", e.id) for e in TURNS]
    assert as_conversations(TURNS, others) == list(TURNS)


@pytest.mark.parametrize("trees", [True, False])
def test_loss_and_gradient_are_those_of_every_answer_by_itself(
    tiny_models: TinyModels, trees: bool
) -> None:
    model = make_trainable(load_tiny(tiny_models.chat, "float32"), SETTINGS, seed=0).model

    def batch(examples: Any) -> Batch:
        return as_tree(model, examples) if trees else padded(examples, 0)

    def gradient() -> torch.Tensor:
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        model.zero_grad()
        return torch.cat(grads)

    alone = torch.stack([summed_loss(model, batch([turn])) for turn in TURNS]).sum()
    alone.backward()
    wanted = gradient()
    together = summed_loss(model, batch(sequences()))
    together.backward()
    assert float(together.detach()) == pytest.approx(float(alone.detach()), rel=1e-5)
    assert torch.allclose(gradient(), wanted, rtol=1e-3, atol=1e-5)
    assert batch(sequences()).label_tokens == sum(len(turn.answer) for turn in TURNS)


@pytest.mark.parametrize("trees", [True, False])
def test_the_mean_is_over_all_answers(tiny_models: TinyModels, trees: bool) -> None:
    model = load_tiny(tiny_models.chat, "float32").model
    layout = Layout(model, 0, SingleProcess(), trees)
    apart = mean_loss(model, TURNS, 2, layout)
    assert mean_loss(model, sequences(), 2, layout) == pytest.approx(apart, rel=1e-5)
