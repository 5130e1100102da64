"""LoRA layers in training on a processor, in fewer passes over memory than peft's.

peft casts a layer's input to the adapter's float32, multiplies the whole of what the adapter adds
by its scale, adds it in that type, and casts the sum back; each is one more tensor of the layer's
width, and is there backwards too. Here both products are of the base's type, as under autocast,
with weights that stay float32, and the second goes into the base's output where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch


@contextmanager
def lean_adapters(model: Any) -> Iterator[None]:
    """Within this context, forward and backward, LoRA layers of a model on a processor are lean.

    Layers that do more than LoRA (:func:`_plain_adapter`) go on as peft has them.
    """
    lean = _lora_layers(model) if model.device.type == "cpu" else []
    for layer in lean:
        layer.forward = partial(_forward, layer, layer.forward)
    try:
        yield
    finally:
        for layer in lean:
            del layer.forward


def _lora_layers(model: Any) -> list[Any]:
    """Layers of peft's over products of matrices, in full or in four bits."""
    if not hasattr(model, "disable_adapter"):
        return []
    from harness.models.peft_library import peft

    kinds = (peft.tuners.lora.Linear, getattr(peft.tuners.lora, "Linear4bit", None))
    return [module for module in model.modules() if type(module) in kinds]


def _plain_adapter(layer: Any) -> str | None:
    """The one adapter of a layer that adds it without dropout, a bias, or a variant such as DoRA.

    None of a layer that does anything else.
    """
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(active) != 1 or layer.disable_adapters or layer.merged:
        return None
    (name,) = active
    plain = (
        name not in layer.lora_variant
        and isinstance(layer.lora_dropout[name], torch.nn.Identity)
        and layer.lora_A[name].bias is None
        and layer.lora_B[name].bias is None
    )
    return name if plain else None


def _forward(layer: Any, usual: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The layer's output, of the shape and type of its base's."""
    name = _plain_adapter(layer)
    if name is None:
        return usual(x)
    base = layer.base_layer(x)
    found: torch.Tensor = _Added.apply(  # type: ignore[no-untyped-call]
        # What is a part of another tensor cannot be written into.
        base.clone() if base._is_view() else base,
        x,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
    return found


class _Added(torch.autograd.Function):
    """base + scale * (x A^T) B^T, into ``base``: shapes (..., outputs), (..., inputs),
    (rank, inputs) and (outputs, rank)."""

    @staticmethod
    def forward(
        ctx: Any,
        base: torch.Tensor,
        x: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """The sum, of the type of ``base``."""
        short_a, short_b = a.to(x.dtype), b.to(x.dtype)
        narrow = _rows(x) @ short_a.T
        ctx.save_for_backward(x, short_a, short_b, narrow)
        ctx.scale, ctx.types = scale, (a.dtype, b.dtype)
        ctx.mark_dirty(base)
        base.view(-1, base.shape[-1]).addmm_(narrow, short_b.T, alpha=scale)
        return base

    @staticmethod
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor, None]:
        """Gradients of base, x, A and B."""
        x, a, b, narrow = ctx.saved_tensors
        type_a, type_b = ctx.types
        of_output = _rows(gradient)
        of_narrow = (of_output @ b).mul_(ctx.scale)
        of_input = (of_narrow @ a).view(x.shape) if ctx.needs_input_grad[1] else None
        of_b = (of_output.T @ narrow).to(type_b).mul_(ctx.scale)
        return gradient, of_input, (of_narrow.T @ _rows(x)).to(type_a), of_b, None


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


__all__ = ["lean_adapters"]
