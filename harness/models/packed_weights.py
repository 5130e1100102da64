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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from harness.models.memory import available_mib
from harness.models.tree_pass import base_of

if TYPE_CHECKING:
    import torch

    from harness.models.packed_layer import Copies, PackedLayer

    Forward = Callable[[torch.Tensor], torch.Tensor]

# Smaller than this on a side, a weight gains nothing.
SMALLEST_SIDE = 64
# Part of the free memory that the copies may take.
MOST_OF_MEMORY = 0.25
_MIB = 2**20
# Names of layers of which models/fused_decoder.py keeps one copy more, as one layer.
JOINED = {"q_proj", "k_proj", "v_proj"}


@dataclass(slots=True)
class PackedModel:
    """What is packed of a model at the moment."""

    layers: dict[int, PackedLayer] = field(default_factory=dict)
    """Packed layers by the ``id`` of the module that they stand for, an adapter's where it has
    one."""
    copies: Copies = field(default_factory=dict)
    """Packed copies, those of earlier uses among them."""
    decoder: Any = None
    """What :mod:`harness.models.fused_decoder` made of the layers; None before it was asked."""


_IN_USE: WeakKeyDictionary[Any, PackedModel] = WeakKeyDictionary()


def packed_model(model: Any) -> PackedModel | None:
    """What is packed of a model at the moment; None where nothing is."""
    return _IN_USE.get(base_of(model))


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
    found = PackedModel(copies=copies)
    before = packed_model(model)
    adapted = {id(outer.base_layer): outer for outer in model.modules() if _takes_up(outer)}
    changed = []
    packed = 0
    try:
        for layer in _to_pack(model, share, copies):
            try:
                forwards = _forwards(layer, adapted.get(id(layer)), found)
            except RuntimeError:
                # This processor, or this type of numbers, has no such layout.
                break
            for module, forward in forwards:
                module.forward = forward
                changed.append(module)
            packed += 1
        if packed:
            _IN_USE[base_of(model)] = found
        yield packed
    finally:
        if before is None:
            _IN_USE.pop(base_of(model), None)
        else:
            _IN_USE[base_of(model)] = before
        for module in changed:
            # The class's own method comes to light again.
            del module.forward


def _to_pack(model: Any, share: float, copies: Copies) -> list[Any]:
    """The layers whose weights are worth a copy; none where copies of all do not fit."""
    import torch

    if model.training or not torch.backends.mkldnn.is_available():
        return []
    layers = {name: layer for name, layer in model.named_modules() if _packable(layer)}
    room = available_mib("cpu") * share * MOST_OF_MEMORY
    new = {name: layer for name, layer in layers.items() if _place(layer) not in copies}
    # Those that may be joined into one are then there twice.
    twice = [layer for name, layer in new.items() if JOINED & set(name.split("."))]
    needed = sum(map(_bytes, [*new.values(), *twice]))
    return list(layers.values()) if needed / _MIB <= room else []


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


def _forwards(layer: Any, adapted: Any, found: PackedModel) -> list[tuple[Any, Forward]]:
    """What to call in place of the layer, and of the adapted layer that it is in, if any.

    Raises:
        RuntimeError: the weight cannot be packed.
    """
    import torch

    from harness.models import packed_layer

    kind = (_state(layer) or layer.weight).dtype

    def packed(outer: Any, weight: Callable[[], torch.Tensor], **more: Any) -> PackedLayer:
        place = more["place"]
        blocks = found.copies.get(place) if place else None
        if blocks is None:
            blocks = packed_layer.pack(weight())
            if place:
                found.copies[place] = blocks
        made = packed_layer.PackedLayer(
            blocks, layer.out_features, kind, layer.bias, weight, **more
        )
        found.layers[id(outer)] = made
        return made

    if adapted is not None and kind == torch.float32:
        (name,) = adapted.active_adapters
        whole = packed(
            adapted,
            lambda: _plain_weight(layer) + adapted.get_delta_weight(name).to(kind),
            place=None,
        )
        return [(adapted, _forward(whole, adapted.forward))]
    inner = packed(layer, lambda: _plain_weight(layer), place=_place(layer))
    forwards = [(layer, _forward(inner, layer.forward))]
    if adapted is not None:
        (name,) = adapted.active_adapters
        outer = packed(
            adapted,
            inner.weight,
            place=inner.place,
            first=adapted.lora_A[name].weight.data,
            second=adapted.lora_B[name].weight.data * adapted.scaling[name],
        )
        forwards.append((adapted, _forward(outer, adapted.forward)))
    return forwards


def _forward(packed: PackedLayer, plain: Forward) -> Forward:
    """The packed layer where no gradients are wanted, and ``plain`` where they are."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        return plain(x) if x.requires_grad or x.dtype is not packed.kind else packed(x)

    return forward


def _plain_weight(layer: Any) -> torch.Tensor:
    state = _state(layer)
    weight: torch.Tensor = layer.weight.data
    if state is not None:
        from bitsandbytes.functional import dequantize_4bit

        weight = dequantize_4bit(weight, state)
    return weight


__all__ = ["PackedModel", "packed_model", "packed_weights"]
