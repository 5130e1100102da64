"""Keys and values of many rows of tokens that begin alike.

What all rows begin with stands once and is read once a pass, whatever the number of rows. Each
row's own tokens stand in a slot of their own: a pass costs what the rows are long, not the square
of what they are together, rows of any length take part without padding in the products, and a slot
that a row has left is free for the next one.

A pass brings new tokens to some of the rows, laid out one row after the other as one sequence for
the model. They come in blocks: a block's rows are padded to one length, in attention alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Cache

from harness.models.prompt_prefix import PromptPrefix

Ints = NDArray[np.int64]
Block = tuple[Ints, Ints]
"""Slots of the rows of a block, and how many new tokens each of them gets, at least 1."""


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Where the tokens of a block stand, for attention."""

    first: int
    """Place of its first token in the pass."""
    last: int
    """Place after its last token in the pass."""
    rows: int
    """Number of its rows."""
    padded: torch.Tensor | None
    """Place within the block of each token of the rows padded to one length, shape
    (rows * width,); None where all rows are of one length."""
    real: torch.Tensor | None
    """Which of the padded tokens are tokens of the block, in its order; None where all are."""
    slots: slice | torch.Tensor
    """Slots of its rows."""
    seen: int
    """Tokens of the slots that any of its rows sees."""
    mask: torch.Tensor | None
    """What is added to the attention scores of each padded token, shape (rows, 1, width, seen),
    float32; None where the rows were empty, so that each token sees those before it."""


class RowCache(Cache):  # type: ignore[misc]
    """A cache of keys and values for transformers' models, attended to by ``row_attention``.

    Args:
        beginning: tokens that all rows begin with.
        slots: rows at once.
        capacity: tokens of a row beside the beginning.

    Attributes:
        lengths: own tokens in each slot, shape (slots,).
        blocks: the blocks of the pass that is under way.
    """

    def __init__(self, beginning: PromptPrefix, slots: int, capacity: int) -> None:
        super().__init__(layers=[])
        self._beginning = beginning
        self._capacity = capacity
        self._own: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._slots = self._places = torch.empty(0, dtype=torch.long)
        self.lengths: Ints = np.zeros(slots, dtype=np.int64)
        self.blocks: list[BlockLayout] = []

    def begin_pass(self, blocks: Sequence[Block]) -> torch.Tensor:
        """Make room for the new tokens of each block, one row after the other.

        Returns:
            The position of each token in its row, the beginning counted, shape (1, tokens).
        """
        slots = np.concatenate([np.repeat(slots, counts) for slots, counts in blocks])
        places: list[Ints] = []
        self.blocks = []
        for rows, counts in blocks:
            before = self.lengths[rows]
            step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            self.blocks.append(_layout(sum(map(len, places)), rows, before, counts))
            places.append(np.repeat(before, counts) + step)
            self.lengths[rows] += counts
        own = np.concatenate(places)
        self._slots, self._places = torch.from_numpy(slots), torch.from_numpy(own)
        return torch.from_numpy(own + len(self._beginning.tokens))[None]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the keys and values of a pass's tokens, each of shape (1, heads, tokens, size).

        Returns:
            The same: attention takes what it needs by :meth:`shared` and :meth:`own`.
        """
        if layer_idx == len(self._own):
            slots, heads = len(self.lengths), keys.shape[1]
            # Zeros, since what was never written is multiplied too, by a weight of nothing.
            self._own.append(
                (
                    keys.new_zeros((slots, heads, keys.shape[3], self._capacity)),
                    values.new_zeros((slots, heads, self._capacity, values.shape[3])),
                )
            )
        own_keys, own_values = self._own[layer_idx]
        own_keys[self._slots, :, :, self._places] = keys[0].transpose(0, 1)
        own_values[self._slots, :, self._places] = values[0].transpose(0, 1)
        return keys, values

    def shared(self, layer: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Keys and values of the beginning, (1, heads, tokens, size) each; None if it is empty."""
        return self._beginning.layers[layer] if self._beginning.layers else None

    def own(self, layer: int, block: BlockLayout) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys of a block's rows, shape (rows, heads, size, seen), and values (.., seen, size).

        Keys lie so that products of a few queries with them need no other order.
        """
        keys, values = self._own[layer]
        return keys[block.slots, :, :, : block.seen], values[block.slots, :, : block.seen]

    def move(self, source: int, target: int) -> None:
        """Move the row of one slot to another."""
        length = int(self.lengths[source])
        for keys, values in self._own:
            keys[target, :, :, :length] = keys[source, :, :, :length]
            values[target, :, :length] = values[source, :, :length]
        self.lengths[target], self.lengths[source] = length, 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the longest row."""
        return len(self._beginning.tokens) + int(self.lengths.max())


def _layout(first: int, slots: Ints, before: Ints, counts: Ints) -> BlockLayout:
    rows, width, new = len(slots), int(counts.max()), int(counts.sum())
    seen = int((before + counts).max())
    padded = real = mask = None
    if rows * width > new:
        within = np.minimum(np.arange(width), counts[:, None] - 1)
        starts = np.cumsum(counts) - counts
        padded = torch.from_numpy((starts[:, None] + within).ravel())
        real = torch.from_numpy(np.flatnonzero((np.arange(width) < counts[:, None]).ravel()))
    if before.any():
        depths = before[:, None] + np.arange(width)
        hidden = torch.from_numpy(np.arange(seen) > depths[:, :, None])[:, None]
        mask = torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
    in_a_row = slice(int(slots[0]), int(slots[0]) + rows)
    follow = bool((slots == np.arange(in_a_row.start, in_a_row.stop)).all())
    return BlockLayout(
        first=first,
        last=first + new,
        rows=rows,
        padded=padded,
        real=real,
        slots=in_a_row if follow else torch.from_numpy(slots),
        seen=seen,
        mask=mask,
    )
