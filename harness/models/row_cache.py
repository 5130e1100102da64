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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Cache

from harness.models.prompt_prefix import PromptPrefix

Ints = NDArray[np.int64]

# Tokens by which the room of rows grows, or part of it where that is more.
GROWTH, GROWTH_PART = 16, 8
# To copy the keys and values of some rows out of the cache takes more than twice as long as to
# attend to them: rows that lie apart, but not this many times apart, are attended to with those in
# between.
SPREAD = 3
Block = tuple[Ints, Ints]
"""Slots of the rows of a block, and how many new tokens each of them gets, at least 1."""


def score_type(dtype: torch.dtype) -> torch.dtype:
    """The type that attention scores are computed in: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


@dataclass(slots=True)
class BlockLayout:
    """Where the tokens of a block stand, for attention."""

    first: int
    """Place of its first token in the pass."""
    last: int
    """Place after its last token in the pass."""
    counts: list[int]
    """New tokens of each of its rows; 0 of those that lie between them."""
    padded: torch.Tensor | None
    """Place within the block of each token of the rows padded to one length, shape
    (rows * width,); None where all rows are of one length."""
    real: torch.Tensor | None
    """Which of the padded tokens are tokens of the block, in its order; None where all are."""
    slots: slice | torch.Tensor
    """Slots of its rows."""
    mask: torch.Tensor | None
    """What is added to the attention scores of each padded token, shape (rows, 1, width, room),
    float32; None where the rows were empty, so that each token sees those before it."""
    _grouped: torch.Tensor | None = None
    """The mask as it was last asked for."""

    @property
    def rows(self) -> int:
        """Number of its rows."""
        return len(self.counts)

    @property
    def width(self) -> int:
        """New tokens of the row that has most."""
        return max(self.counts)

    def mask_of(self, group: int) -> torch.Tensor:
        """The mask where each token stands ``group`` times, shape (rows, 1, width * group, room);
        one row of it does for all where a row has one token.

        Raises:
            ValueError: the block has no mask.
        """
        if self.mask is None:
            raise ValueError("whole rows are seen without a mask")
        width = self.mask.shape[2]
        if width == 1:
            return self.mask
        if self._grouped is None or self._grouped.shape[2] != width * group:
            self._grouped = self.mask.repeat_interleave(group, dim=2)
        return self._grouped


class RowCache(Cache):
    """A cache of keys and values for transformers' models, attended to by ``row_attention``.

    Args:
        beginning: tokens that all rows begin with.
        slots: rows at once.

    Attributes:
        lengths: own tokens in each slot, shape (slots,).
        blocks: the blocks of the pass that is under way.
    """

    def __init__(self, beginning: PromptPrefix, slots: int) -> None:
        super().__init__(layers=[])
        self._beginning = [
            (keys.to(score_type(keys.dtype)).contiguous(), values.contiguous())
            for keys, values in beginning.layers
        ]
        self._opened = len(beginning.tokens)
        self._capacity = 0
        self._own: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._slots: Ints = np.empty(0, dtype=np.int64)
        self._places: Ints = np.empty(0, dtype=np.int64)
        self._lines: dict[int, torch.Tensor] = {}
        self.lengths: Ints = np.zeros(slots, dtype=np.int64)
        self.blocks: list[BlockLayout] = []

    def begin_pass(self, blocks: Sequence[Block]) -> torch.Tensor:
        """Make room for the new tokens of each block, one row after the other.

        Returns:
            The position of each token in its row, the beginning counted, shape (1, tokens).
        """
        self._make_room(blocks)
        slots = np.concatenate([np.repeat(slots, counts) for slots, counts in blocks])
        places: list[Ints] = []
        self.blocks = []
        for rows, counts in blocks:
            before = self.lengths[rows]
            first = sum(map(len, places))
            self.blocks.append(_layout(first, rows, counts, self.lengths, self._capacity))
            step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            places.append(np.repeat(before, counts) + step)
            self.lengths[rows] += counts
        self._slots, self._places = slots, np.concatenate(places)
        self._lines = {}
        return torch.from_numpy(self._places + self._opened)[None]

    def _make_room(self, blocks: Sequence[Block]) -> None:
        """Let slots hold what the pass brings.

        All of a slot takes part in products, as products with a part of it would copy it first.
        """
        lengths = self.lengths.copy()
        for slots, counts in blocks:
            lengths[slots] += counts
        needed = int(lengths.max())
        if needed <= self._capacity:
            return
        # The first time prompts come, whose replies begin at once.
        needed = max(needed + 1, self._capacity + self._capacity // GROWTH_PART)
        self._capacity = -(-needed // GROWTH) * GROWTH
        for layer, (keys, values) in enumerate(self._own):
            grown = self._empty(keys, values)
            for old, new in zip((keys, values), grown, strict=True):
                new[:, :, : old.shape[2]] = old
            self._own[layer] = grown

    def _empty(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Zeros, since what was never written is multiplied too, by a weight of nothing."""
        shape = (len(self.lengths), keys.shape[1], self._capacity)
        # Products of 16 bits are rounded to 16 bits, and scores that differ little are large.
        return (
            torch.zeros((*shape, keys.shape[-1]), dtype=score_type(keys.dtype)),
            torch.zeros((*shape, values.shape[-1]), dtype=values.dtype),
        )

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_args: Any,
        **_kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the keys and values of a pass's tokens, each of shape (1, heads, tokens, size).

        Returns:
            The same: attention takes what it needs by :meth:`shared` and :meth:`own`.
        """
        self.write(layer_idx, key_states[0].transpose(0, 1), value_states[0].transpose(0, 1))
        return key_states, value_states

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keep the keys and values of a pass's tokens, each of shape (tokens, heads, size)."""
        if layer == len(self._own):
            self._own.append(self._empty(keys, values))
        heads = keys.shape[1]
        if heads not in self._lines:
            lines = (self._slots[:, None] * heads + np.arange(heads)) * self._capacity
            self._lines[heads] = torch.from_numpy((lines + self._places[:, None]).ravel())
        for own, new in zip(self._own[layer], (keys, values), strict=True):
            own.flatten(0, 2).index_copy_(
                0, self._lines[heads], new.reshape(-1, new.shape[2]).to(own.dtype)
            )

    def shared(self, layer: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Keys and values, each of shape (1, heads, tokens, size), of what all rows begin with;
        None where that is nothing."""
        return self._beginning[layer] if self._beginning else None

    def own(self, layer: int, block: BlockLayout) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a block's rows, each of shape (rows, heads, room, size).

        What a row has not filled of its room is hidden by the block's mask.
        """
        keys, values = self._own[layer]
        return keys[block.slots], values[block.slots]

    def move(self, source: int, target: int) -> None:
        """Move the row of one slot to another."""
        length = int(self.lengths[source])
        for both in self._own:
            for own in both:
                own[target, :, :length] = own[source, :, :length]
        self.lengths[target], self.lengths[source] = length, 0

    def free(self, slot: int) -> None:
        """Empty a slot: what stood there is multiplied too, by nothing, and may be no number."""
        for keys, values in self._own:
            keys[slot].zero_()
            values[slot].zero_()
        self.lengths[slot] = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the longest row."""
        return self._opened + int(self.lengths.max())


def _layout(first: int, slots: Ints, counts: Ints, lengths: Ints, capacity: int) -> BlockLayout:
    """Where a block stands.

    Args:
        lengths: tokens in each slot before the pass.
    """
    low, high, new = int(slots.min()), int(slots.max()) + 1, int(counts.sum())
    follow = bool((slots == np.arange(low, low + len(slots))).all())
    goes_on = bool(lengths[slots].any())
    if goes_on and not follow and high - low < len(slots) * SPREAD and (np.diff(slots) > 0).all():
        # Rows in between are asked for nothing that anybody reads.
        spread = np.zeros(high - low, dtype=np.int64)
        spread[slots - low] = counts
        slots, counts, follow = np.arange(low, high), spread, True
    width = int(counts.max())
    padded = real = mask = None
    if len(slots) * width > new:
        within = np.minimum(np.arange(width), np.maximum(counts[:, None] - 1, 0))
        starts = np.minimum(np.cumsum(counts) - counts, new - 1)
        padded = torch.from_numpy((starts[:, None] + within).ravel())
        real = torch.from_numpy(np.flatnonzero((np.arange(width) < counts[:, None]).ravel()))
    if goes_on:
        depths = lengths[slots][:, None] + np.arange(width)
        hidden = np.arange(capacity) > depths[:, :, None]
        mask = torch.from_numpy(np.where(hidden, np.float32(-np.inf), np.float32(0)))[:, None]
    return BlockLayout(
        first=first,
        last=first + new,
        counts=counts.tolist(),
        padded=padded,
        real=real,
        slots=slice(low, high) if follow else torch.from_numpy(slots),
        mask=mask,
    )
