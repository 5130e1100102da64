"""A linear layer by the processor's own layout of its weight.

oneDNN could also apply what follows a layer before it rounds what the layer gives. A layer with an
adapter cannot, and in 16 bits an adapter that changes nothing would then not reply as its base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import linear

Copies = dict[tuple[int, ...], torch.Tensor]
"""Where a weight lies, and its shape -> its packed copy."""


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """A linear layer, with a low-rank adapter if it has one that is not part of its weight."""

    blocks: torch.Tensor
    """The weight in the processor's blocks."""
    outputs: int
    """Numbers that it gives for a token."""
    kind: torch.dtype
    """Type of the numbers that it takes and gives."""
    bias: torch.Tensor | None
    """What is added, shape (out,); None for nothing."""
    weight: Callable[[], torch.Tensor]
    """The weight in rows, shape (out, in), made when it is called for."""
    place: tuple[int, ...] | None
    """Where the base's weight lies, and its shape; None where an adapter is added to it."""
    first: torch.Tensor | None = None
    """The half of the adapter that takes the input, shape (rank, in); None without adapter."""
    second: torch.Tensor | None = None
    """The half that gives the output, scaled, shape (out, rank)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer gives, shape (.., out)."""
        output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.blocks, self.bias, "none", [], ""
        )
        if self.first is None or self.second is None:
            return output
        low = linear(x.to(self.first.dtype), self.first)
        return (output + linear(low, self.second)).to(output.dtype)


def pack(weight: torch.Tensor) -> torch.Tensor:
    """The weight in the processor's blocks.

    Raises:
        RuntimeError: this processor, or this type of numbers, has no such layout.
    """
    blocks: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    return blocks


def joined(layers: Sequence[PackedLayer], copies: Copies) -> PackedLayer:
    """Layers that take the same input as one that gives what they give, one after the other.

    Args:
        copies: packed copies of earlier uses, and for later ones.
    """
    places = [layer.place for layer in layers]
    place = None if None in places else tuple(n for one in places if one for n in one)
    blocks = copies.get(place) if place else None
    if blocks is None:
        blocks = pack(torch.cat([layer.weight() for layer in layers]))
        if place:
            copies[place] = blocks
    bias = None
    if any(layer.bias is not None for layer in layers):
        bias = torch.cat([_bias(layer) for layer in layers])
    first, second = _joined_adapters(layers)
    return PackedLayer(
        blocks=blocks,
        outputs=sum(layer.outputs for layer in layers),
        kind=layers[0].kind,
        bias=bias,
        weight=lambda: torch.cat([layer.weight() for layer in layers]),
        place=place,
        first=first,
        second=second,
    )


def _bias(layer: PackedLayer) -> torch.Tensor:
    return torch.zeros(layer.outputs, dtype=layer.kind) if layer.bias is None else layer.bias


def _joined_adapters(
    layers: Sequence[PackedLayer],
) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
    """The first halves one below the other, the second ones each for its own outputs alone."""
    halves = [(layer.first, layer.second) for layer in layers]
    firsts = [first for first, _ in halves if first is not None]
    if not firsts:
        return None, None
    first = torch.cat(firsts)
    second = first.new_zeros(sum(layer.outputs for layer in layers), len(first))
    row = column = 0
    for layer, (_, own) in zip(layers, halves, strict=True):
        if own is not None:
            second[row : row + layer.outputs, column : column + own.shape[1]] = own
            column += own.shape[1]
        row += layer.outputs
    return first, second
