"""Sequences that begin alike, laid out as one tree in one row.

Instruction, template and fixed worked examples open every prompt of a study, and the answers that
are scored after a prompt share it and often their own first tokens. Laid out as a tree, a token
that several sequences share stands once, and nothing is padded. A mask lets each token see its own
ancestors only and its position is its depth, so that each sequence is computed exactly as if it
stood alone, with gradients too: those of the sequences add up where they are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# What a layer spends on a token, its matrix products, in units of what it spends on one pair of
# tokens of a row, whether or not they see each other; and what a pass of the model costs at least,
# in tokens. Measured on a CPU with a model of 135 million weights; larger models spend relatively
# less on pairs.
PAIRS_A_TOKEN = 768
TOKENS_A_PASS = 128
# Tokens of a tree at most, for the memory of masks and logits; a longer sequence goes alone.
WIDTH = 1024


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A forest of token sequences."""

    tokens: Ints
    """Token id of each node, shape (nodes,)."""
    depths: Ints
    """Position of each token in its sequences, from 0, shape (nodes,)."""
    visible: NDArray[np.bool_]
    """Whether the token of a row sees that of a column, shape (nodes, nodes)."""
    paths: tuple[Ints, ...]
    """The node of each token, of each sequence in the order given."""


def token_tree(sequences: Sequence[Sequence[int]]) -> TokenTree:
    """Lay out non-empty ``sequences``; equal ones share all of their nodes."""
    size = tree_size(sequences)
    tokens, depths = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    visible = np.zeros((size, size), dtype=np.bool_)
    paths: list[Ints] = [np.empty(0, dtype=np.int64)] * len(sequences)
    before: Sequence[int] = ()
    path, used = np.empty(0, dtype=np.int64), 0
    for index in sorted(range(len(sequences)), key=lambda i: tuple(sequences[i])):
        sequence = sequences[index]
        shared = common_beginning(before, sequence)
        fresh = len(sequence) - shared
        new = np.arange(used, used + fresh)
        tokens[new] = sequence[shared:]
        depths[new] = np.arange(shared, len(sequence))
        path = np.concatenate([path[:shared], new])
        visible[new[:, None], path[:shared]] = True
        visible[used : used + fresh, used : used + fresh] = np.tri(fresh, dtype=np.bool_)
        paths[index] = path
        before, used = sequence, used + fresh
    return TokenTree(tokens, depths, visible, tuple(paths))


def tree_size(sequences: Sequence[Sequence[int]]) -> int:
    """Tokens of the tree of ``sequences``, what they share counted once."""
    before: Sequence[int] = ()
    size = 0
    for sequence in sorted(map(tuple, sequences)):
        size += len(sequence) - common_beginning(before, sequence)
        before = sequence
    return size


def in_trees(
    sequences: Sequence[Sequence[int]], width: int = WIDTH, *, branches: bool = False
) -> list[list[int]]:
    """Indices of the sequences of each tree, alike ones together, so that passes are cheap.

    A sequence joins the tree of the one before it, in dictionary order, where that costs less
    than a tree of its own: it then brings fewer tokens, but all pairs of tokens are paid for.
    A tree has ``width`` tokens at most; a sequence longer than that has one of its own.

    Args:
        branches: only pairs of tokens of one sequence are paid for
            (:mod:`harness.models.tree_attention`).
    """
    groups: list[list[int]] = []
    before: Sequence[int] = ()
    size = 0
    for index in sorted(range(len(sequences)), key=lambda i: tuple(sequences[i])):
        sequence = sequences[index]
        more, whole = len(sequence) - common_beginning(before, sequence), len(sequence)
        pairs = more * whole if branches else (size + more) ** 2 - size**2
        joined = more * PAIRS_A_TOKEN + pairs
        apart = (whole + TOKENS_A_PASS) * PAIRS_A_TOKEN + whole**2
        if not groups or size + more > width or joined > apart:
            groups.append([])
            size, more = 0, whole
        groups[-1].append(index)
        size += more
        before = sequence
    return [sorted(group) for group in groups]


def common_beginning(one: Sequence[object], other: Sequence[object]) -> int:
    """Number of tokens, or characters, that both begin with."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
