"""Attention over a tree of sequences (:mod:`harness.models.token_tree`) on a processor, in any
model that asks transformers for its attention function.

Under a mask all pairs of the row's tokens are computed, also those that do not see each other, and
most do not. Here the tokens that each sequence adds attend to that sequence alone. That is done in
float32, which torch's kernel takes half the time for that it takes for bfloat16, backwards a third.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from harness.models.attention_function import attending_by, special
from harness.models.token_tree import TokenTree, token_tree
from harness.models.tree_pass import (
    FOREIGN_ERRORS,
    PROBE,
    ROUNDING,
    asked_once,
    attention_windows,
    probe_sequences,
    tree_inputs,
)

NAME = "harness_tree"
USUAL = "sdpa"
# What one more call of the kernel costs, in pairs of tokens that see each other.
PAIRS_A_CALL = 1000
# Attribute of a mask: the branches that it describes. A mask that a model changes, or that moves to
# another device, is a new tensor without it, and is attended under as it is.
_BRANCHES = "branches"
_ANSWERS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Branch:
    """What one sequence adds to those before it."""

    seen: tuple[int, ...]
    """Places of the pieces that make up the sequence, in its order."""
    mask: torch.Tensor | None
    """What is added to scores, float32, shape (own tokens, tokens of the sequence); None for one
    that shares nothing with those before."""


@dataclass(frozen=True, slots=True)
class Branches:
    """A row of tokens, cut so that each sequence is a chain of whole pieces."""

    own: tuple[int, ...]
    """Number of tokens that each branch adds; one after the other they are the row."""
    pieces: tuple[int, ...]
    """Number of tokens of each piece, in the order of the row; of what a cache holds of all first,
    if there is any."""
    branches: tuple[Branch, ...]
    """The sequences that add tokens."""

    @property
    def pairs(self) -> int:
        """Pairs of tokens that are computed."""
        seen = (sum(self.pieces[place] for place in branch.seen) for branch in self.branches)
        return sum(own * length for own, length in zip(self.own, seen, strict=True))


def branches_of(tree: TokenTree, before: int = 0) -> Branches:
    """The sequences of a tree as chains of pieces of its row.

    Args:
        before: tokens that stand in a cache and that every sequence of the tree begins with.
    """
    chains, own, used = [], [], 0
    for path in sorted(tree.paths, key=lambda path: int(path[-1])):
        more = int(path[-1]) + 1 - used
        if more > 0:
            runs = np.split(path, np.flatnonzero(np.diff(path) != 1) + 1)
            chains.append([(int(run[0]), int(run[-1]) + 1) for run in runs])
            own.append(more)
            used += more
    cuts = sorted({edge for chain in chains for run in chain for edge in run})
    opened = (before,) if before else ()
    branches = []
    for chain, more in zip(chains, own, strict=True):
        places = [range(bisect_left(cuts, a), bisect_left(cuts, b)) for a, b in chain]
        length = before + sum(b - a for a, b in chain)
        mask = None
        if length > more:
            mask = torch.full((more, length), -torch.inf).triu(length - more + 1)
        seen = (place + len(opened) for part in places for place in part)
        branches.append(Branch((*range(len(opened)), *seen), mask))
    pieces = (b - a for a, b in pairwise(cuts))
    return Branches(tuple(own), (*opened, *pieces), tuple(branches))


def note_branches(model: Any, inputs: dict[str, Any], tree: TokenTree, before: int = 0) -> None:
    """Note on the masks of :func:`~harness.models.tree_pass.tree_inputs` which branches they show.

    Where calling the kernel for each costs more than the pairs that it saves, and where a window
    hides beginnings, nothing is noted.
    """
    branches, size = branches_of(tree, before), len(tree.tokens)
    if branches.pairs + PAIRS_A_CALL * len(branches.own) < size * (size + before):
        _note(model, inputs, before + int(tree.depths.max()) + 1, branches)


def _note(model: Any, inputs: dict[str, Any], longest: int, branches: Branches) -> None:
    masks = inputs["attention_mask"]
    for kind, window in attention_windows(model).items():
        if window is None or longest <= window:
            setattr(masks[kind] if isinstance(masks, dict) else masks, _BRANCHES, branches)


def takes_branches(model: Any) -> bool:
    """Whether a model on a processor attends to branches as under their mask, but for rounding.

    It is asked once, as :func:`~harness.models.tree_pass.takes_trees` asks it.
    """
    usual = model.config.get_text_config()._attn_implementation in (USUAL, NAME)
    return usual and model.device.type == "cpu" and asked_once(model, _computes_alike, _ANSWERS)


def attending_to_branches(model: Any) -> AbstractContextManager[None]:
    """Within this context, forward and backward, a model that takes branches attends to them.

    Under a mask on which none are noted it attends as usual.
    """
    return attending_by(model, NAME)


def _computes_alike(model: Any) -> bool:
    """Whether branches move logits by little of what leaving the mask out does."""
    tree = token_tree(probe_sequences(model))
    try:
        inputs = tree_inputs(model, tree)
        with torch.no_grad():
            masked = model(**inputs, use_cache=False).logits.float()
            unmasked = model(input_ids=inputs["input_ids"], use_cache=False).logits.float()
            _note(model, inputs, 2 * PROBE, branches_of(tree))
            with attending_to_branches(model):
                found = model(**inputs, use_cache=False).logits.float()
    except FOREIGN_ERRORS:
        return False
    moved, without = (
        float((logits - masked).square().mean().sqrt()) for logits in (found, unmasked)
    )
    return moved <= without * ROUNDING


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Transformers' attention function: query of shape (1, heads, tokens, size).

    Returns:
        Output of shape (1, tokens, heads, size).
    """
    branches: Branches | None = getattr(attention_mask, _BRANCHES, None)
    if branches is None or dropout or special(more) or sum(branches.pieces) != key.shape[2]:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
        return found
    queries = query.float().split(branches.own, dim=2)
    keys, values = (part.float().split(branches.pieces, dim=2) for part in (key, value))
    output = [
        scaled_dot_product_attention(
            mine,
            torch.cat([keys[place] for place in branch.seen], dim=2),
            torch.cat([values[place] for place in branch.seen], dim=2),
            branch.mask,
            is_causal=branch.mask is None,
            scale=scaling,
            enable_gqa=True,
        )
        for mine, branch in zip(queries, branches.branches, strict=True)
    ]
    return torch.cat(output, dim=2).transpose(1, 2).to(query.dtype), None


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)

__all__ = [
    "Branch",
    "Branches",
    "attending_to_branches",
    "branches_of",
    "note_branches",
    "takes_branches",
]
