"""Weights laid out for the processor's matrix product, while a model is read and not trained.

On a CPU oneDNN multiplies by blocks. Given a weight in rows it first copies it into blocks, at
every call, which costs more than the product itself where few tokens go through at once: replies
that grow token by token. Laid out once, the same products take half the time. A weight in four
bits is taken out of them once too, not at every call.

A low-rank adapter takes longer to call than to compute. In float32, where nothing is lost by it, it
is added to the packed copy of its layer; else its halves are multiplied without the modules around
them.

The values are the same; a sum over them is rounded in another order. Copies of a base's weights may
be kept from one use to the next: to lay them out takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.models.memory import available_mib

if TYPE_CHECKING:
    import torch

    Forward = Callable[[torch.Tensor], torch.Tensor]
    Copies = dict[tuple[int, ...], torch.Tensor]
    """Where a weight lies, and its shape -> its packed copy."""

# Smaller than this on a side, a weight gains nothing.
SMALLEST_SIDE = 64
# Part of the free memory that the copies may take.
MOST_OF_MEMORY = 0.25
_MIB = 2**20


@contextmanager
def packed_weights(model: Any, share: float = 1.0, kept: Copies | None = None) -> Iterator[int]:
    """Within this context the linear layers multiply by packed copies; yields how many.

    Weights must not change meanwhile. Passes with gradients use the weights themselves. None is
    packed on a GPU, where the memory would not do for all, or where torch cannot.

    Args:
        model: a model of transformers in evaluation mode, with or without adapters, plain or in
            four bits.
        share: share of the machine's free memory that this process may count on, 0 to 1.
        kept: copies of earlier uses, and for later ones, where the weights of the layers stay as
            they are; None where no copy outlives this context.
    """
    copies: Copies = {} if kept is None else kept
    adapted = {id(outer.base_layer): outer for outer in model.modules() if _takes_up(outer)}
    changed = []
    packed = 0
    try:
        for layer in _to_pack(model, share, copies):
            try:
                forwards = _forwards(layer, adapted.get(id(layer)), copies)
            except RuntimeError:
                # This processor, or this type of numbers, has no such layout.
                break
            for module, forward in forwards:
                module.forward = forward
                changed.append(module)
            packed += 1
        yield packed
    finally:
        for module in changed:
            # The class's own method comes to light again.
            del module.forward


def _to_pack(model: Any, share: float, copies: Copies) -> list[Any]:
    """The layers whose weights are worth a copy; none where copies of all do not fit."""
    import torch

    if model.training or not torch.backends.mkldnn.is_available():
        return []
    layers = [layer for layer in model.modules() if _packable(layer)]
    room = available_mib("cpu") * share * MOST_OF_MEMORY
    new = [layer for layer in layers if _place(layer) not in copies]
    return layers if sum(map(_bytes, new)) / _MIB <= room else []


def _packable(layer: Any) -> bool:
    import torch

    four_bits = _state(layer) is not None
    if not (type(layer) is torch.nn.Linear or four_bits) or "forward" in vars(layer):
        return False
    kinds = (torch.float32, torch.bfloat16)
    return (
        layer.weight.device.type == "cpu"
        and min(layer.in_features, layer.out_features) >= SMALLEST_SIDE
        and (four_bits or layer.weight.dtype in kinds)
    )


def _takes_up(layer: Any) -> bool:
    """Whether it is a layer under one plain low-rank adapter, added to what the layer gives."""
    # Told by its halves: to import peft takes seconds, and a prompt arm does without it.
    if not hasattr(layer, "lora_A") or "forward" in vars(layer):
        return False
    names = layer.active_adapters
    return (
        len(names) == 1
        and names[0] in layer.lora_A
        and not layer.lora_variant
        and not layer.lora_bias.get(names[0])
        and not layer.merged
        and not layer.disable_adapters
    )


def _state(layer: Any) -> Any:
    """How bitsandbytes keeps a layer's own weight of four bits; None where it is a plain one."""
    return getattr(layer._parameters.get("weight"), "quant_state", None)


def _place(layer: Any) -> tuple[int, ...]:
    """Where a layer's own weight lies, and its shape there."""
    return (layer.weight.data_ptr(), *layer.weight.shape)


def _bytes(layer: Any) -> int:
    # In four bits it is the state that knows the type of what comes out.
    kind = (_state(layer) or layer.weight).dtype
    return int(layer.in_features * layer.out_features * kind.itemsize)


def _forwards(layer: Any, adapted: Any, copies: Copies) -> list[tuple[Any, Forward]]:
    """What to call in place of the layer, and of the adapted layer that it is in, if any.

    Raises:
        RuntimeError: the weight cannot be packed.
    """
    import torch

    kind = (_state(layer) or layer.weight).dtype
    if adapted is not None and kind == torch.float32:
        (name,) = adapted.active_adapters
        weight = _plain_weight(layer)
        whole = _packed(weight + adapted.get_delta_weight(name).to(kind))
        return [(adapted, _product(whole, kind, layer.bias, adapted.forward))]
    place = _place(layer)
    if place not in copies:
        copies[place] = _packed(_plain_weight(layer))
    inner = _product(copies[place], kind, layer.bias, layer.forward)
    if adapted is None:
        return [(layer, inner)]
    (name,) = adapted.active_adapters
    first = adapted.lora_A[name].weight.data
    second = adapted.lora_B[name].weight.data * adapted.scaling[name]
    plain, linear = adapted.forward, torch.nn.functional.linear

    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:
            out: torch.Tensor = plain(x)
            return out
        result = inner(x)
        return (result + linear(linear(x.to(first.dtype), first), second)).to(result.dtype)

    return [(layer, inner), (adapted, forward)]


def _plain_weight(layer: Any) -> torch.Tensor:
    state = _state(layer)
    weight: torch.Tensor = layer.weight.data
    if state is not None:
        from bitsandbytes.functional import dequantize_4bit

        weight = dequantize_4bit(weight, state)
    return weight


def _packed(weight: torch.Tensor) -> torch.Tensor:
    """The weight in the processor's blocks.

    Raises:
        RuntimeError: this processor, or this type of numbers, has no such layout.
    """
    import torch

    blocks: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    return blocks


def _product(
    blocks: torch.Tensor, kind: torch.dtype, bias: torch.Tensor | None, plain: Forward
) -> Forward:
    """A layer's function with its packed weight; ``plain`` is called where gradients are wanted."""
    import torch

    product = torch.ops.mkldnn._linear_pointwise

    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad or x.dtype is not kind:
            return plain(x)
        output: torch.Tensor = product(x, blocks, bias, "none", [], "")
        return output

    return forward


__all__ = ["packed_weights"]
