"""A tree's sequences attend to themselves alone, as under the mask of the tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.models import tree_attention
from harness.models.token_tree import TokenTree, token_tree
from harness.models.tree_attention import (
    attending_to_branches,
    branches_of,
    note_branches,
    takes_branches,
)
from harness.models.tree_pass import tree_inputs
from tests.tiny_model import TinyModels, load_tiny

# Two share five tokens and then three; one is a beginning of another, one equals another, one
# begins otherwise.
DEEP = [
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 5, 6, 7, 8, 30, 31],
    [1, 2, 3, 4, 5, 20, 21],
    [1, 2, 3, 4, 5, 20],
    [1, 2, 3, 4, 5, 20, 21],
    [40, 41],
]


@pytest.fixture(autouse=True)
def _calls_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small trees are cut too."""
    monkeypatch.setattr(tree_attention, "PAIRS_A_CALL", 0)


@pytest.mark.parametrize("before", [0, 3])
def test_each_sequence_is_a_chain_of_pieces_of_the_row(before: int) -> None:
    tree = token_tree(DEEP)
    found = branches_of(tree, before)
    pieces = np.split(np.arange(sum(found.pieces)), np.cumsum(found.pieces)[:-1])
    assert sum(found.own) == len(tree.tokens) == sum(found.pieces) - before
    added, used = [], 0
    for own, branch in zip(found.own, found.branches, strict=True):
        chain = np.concatenate([pieces[place] for place in branch.seen])
        # What a cache holds comes first in all, and what it adds comes last, and next in the row.
        assert chain[:before].tolist() == list(range(before))
        nodes = chain[before:] - before
        assert nodes[-own:].tolist() == list(range(used, used + own))
        added.append(tree.tokens[nodes].tolist())
        used += own
        if branch.mask is None:
            assert own == len(chain)
            continue
        seen = (branch.mask == 0).numpy()
        assert seen[:, :before].all()
        assert np.array_equal(seen[:, before:], tree.visible[nodes[-own:]][:, nodes])
        assert tree.visible[nodes[-own:]].sum() == seen[:, before:].sum()
    # A sequence that another one begins with, or equals, adds nothing.
    assert sorted(added) == sorted([DEEP[0], DEEP[1], DEEP[2], DEEP[3], DEEP[5]])
    lengths = [before + len(path) for path in added]
    assert found.pairs == sum(n * own for n, own in zip(lengths, found.own, strict=True))


def passed(
    model: Any, tree: TokenTree, *, branches: bool, monkeypatch: pytest.MonkeyPatch
) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Logits of a pass, gradients of the sum of their squares, and calls of torch's kernel."""
    calls = 0
    plain = torch.nn.functional.scaled_dot_product_attention

    def counted(*arguments: Any, **more: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return plain(*arguments, **more)

    monkeypatch.setattr(tree_attention, "scaled_dot_product_attention", counted)
    model.zero_grad()
    inputs = tree_inputs(model, tree)
    if branches:
        note_branches(model, inputs, tree)
    with attending_to_branches(model):
        logits = model(**inputs, use_cache=False).logits
        logits.float().square().sum().backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return logits.detach(), gradients, calls


@pytest.mark.parametrize("again", [False, True])
def test_logits_and_gradients_are_those_under_the_mask(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    model = load_tiny(tiny_models.chat).model.requires_grad_()
    assert takes_branches(model)
    if again:
        # A pass that is computed again backwards is the same one.
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    tree = token_tree(DEEP)
    logits, gradients, calls = passed(model, tree, branches=True, monkeypatch=monkeypatch)
    assert calls == model.config.num_hidden_layers * 5 * (2 if again else 1)
    expected, under_mask, none = passed(model, tree, branches=False, monkeypatch=monkeypatch)
    assert none == 0
    assert torch.allclose(logits, expected, atol=1e-5)
    assert gradients.keys() == under_mask.keys()
    for name, gradient in gradients.items():
        off = float((gradient - under_mask[name]).abs().max())
        assert off <= 1e-5 * float(under_mask[name].abs().max()), name


def test_a_mask_that_was_changed_is_attended_under_as_it_is(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny(tiny_models.chat).model
    tree = token_tree(DEEP)
    inputs = tree_inputs(model, tree)
    note_branches(model, inputs, tree)
    noted = inputs["attention_mask"]
    assert noted.branches is not None
    blind = noted.clone()
    blind[:, :, -1, :-1] = torch.finfo(blind.dtype).min
    with torch.no_grad():
        usual = model(**{**inputs, "attention_mask": blind}).logits
        with attending_to_branches(model):
            changed = model(**{**inputs, "attention_mask": blind}).logits
    assert torch.equal(changed, usual)
    assert model.config._attn_implementation == "sdpa"


def test_a_window_that_hides_beginnings_is_left_to_the_mask(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny(tiny_models.chat).model
    tree = token_tree(DEEP)
    longest = max(map(len, DEEP))
    for window, noted in ((longest - 1, False), (longest, True)):
        monkeypatch.setattr(model.config, "sliding_window", window, raising=False)
        inputs = tree_inputs(model, tree)
        note_branches(model, inputs, tree)
        assert hasattr(inputs["attention_mask"], "branches") is noted


def test_a_tree_with_little_to_leave_out_keeps_its_mask(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_attention, "PAIRS_A_CALL", 1000)
    model = load_tiny(tiny_models.chat).model
    tree = token_tree(DEEP)
    inputs = tree_inputs(model, tree)
    note_branches(model, inputs, tree)
    assert not hasattr(inputs["attention_mask"], "branches")


def test_a_model_with_an_attention_of_its_own_is_not_asked(tiny_models: TinyModels) -> None:
    model = load_tiny(tiny_models.chat).model
    model.set_attn_implementation("eager")
    assert not takes_branches(model)
