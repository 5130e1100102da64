"""Weights laid out for the processor's matrix product, while a model is read and not trained.

On a CPU oneDNN multiplies by blocks. Given a weight in rows it first copies it into blocks, at
every call, which costs more than the product itself where few tokens go through at once: replies
that grow token by token. Laid out once, the same products take half the time. A weight in four
bits is taken out of them once too, not at every call.

A low-rank adapter takes longer to call than to compute. In float32, where nothing is lost by it, it
is added to the packed copy of its layer; else its halves are multiplied without the modules around
them.

The values are the same; a sum over them is rounded in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.models.memory import available_mib

if TYPE_CHECKING:
    import torch

    Forward = Callable[[torch.Tensor], torch.Tensor]

# Smaller than this on a side, a weight gains nothing.
SMALLEST_SIDE = 64
# Part of the free memory that the copies may take.
MOST_OF_MEMORY = 0.25
_MIB = 2**20


@contextmanager
def packed_weights(model: Any, share: float = 1.0) -> Iterator[int]:
    """Within this context the linear layers multiply by packed copies; yields how many.

    Weights must not change meanwhile. Passes with gradients use the weights themselves. None is
    packed on a GPU, where the memory would not do for all, or where torch cannot.

    Args:
        model: a model of transformers in evaluation mode, with or without adapters, plain or in
            four bits.
        share: of the free memory of the machine that this process may count on.
    """
    import torch

    layers = [layer for layer in model.modules() if _packable(layer)]
    room = available_mib("cpu") * share * MOST_OF_MEMORY
    fits = sum(_bytes(layer, model.dtype) for layer in layers) / _MIB <= room
    adapted = {id(layer.base_layer): layer for layer in model.modules() if _takes_up(layer)}
    changed = []
    packed = 0
    try:
        if fits and not model.training and torch.backends.mkldnn.is_available():
            for layer in layers:
                outer = adapted.get(id(layer))
                try:
                    forwards = _forwards(layer, outer, model.dtype)
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
    from peft.tuners.lora import LoraLayer

    if not isinstance(layer, LoraLayer) or "forward" in vars(layer):
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


def _bytes(layer: Any, dtype: torch.dtype) -> int:
    kind = dtype if _state(layer) is not None else layer.weight.dtype
    return int(layer.in_features * layer.out_features * kind.itemsize)


def _forwards(layer: Any, adapted: Any, dtype: torch.dtype) -> list[tuple[Any, Forward]]:
    """What to call in place of the layer, and of the adapted layer that it is in, if any.

    Raises:
        RuntimeError: the weight cannot be packed.
    """
    import torch

    weight = _plain_weight(layer, dtype)
    if adapted is None:
        return [(layer, _product(layer, weight))]
    (name,) = adapted.active_adapters
    if weight.dtype == torch.float32:
        whole = weight + adapted.get_delta_weight(name).to(weight.dtype)
        return [(adapted, _product(layer, whole, adapted.forward))]
    inner = _product(layer, weight)
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


def _plain_weight(layer: Any, dtype: torch.dtype) -> torch.Tensor:
    state = _state(layer)
    weight: torch.Tensor = layer.weight.data
    if state is None:
        return weight
    from bitsandbytes.functional import dequantize_4bit

    weight = dequantize_4bit(weight, state).to(dtype)
    return weight


def _product(layer: Any, weight: torch.Tensor, plain: Forward | None = None) -> Forward:
    """The layer's function with ``weight`` packed; ``plain`` is called where gradients are wanted.

    Raises:
        RuntimeError: it cannot be packed.
    """
    import torch

    otherwise: Forward = plain or layer.forward
    kind, bias = weight.dtype, layer.bias
    blocks = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    product = torch.ops.mkldnn._linear_pointwise

    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad or x.dtype is not kind:
            return otherwise(x)
        found: torch.Tensor = product(x, blocks, bias, "none", [], "")
        return found

    return forward


__all__ = ["packed_weights"]
