"""Gradient checkpointing: blocks are computed again in the backward pass, not kept.

(Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".) Each pass keeps what goes into
its blocks, and each block's own activations only while its gradients are computed, at the price of
a second forward pass. Dropout draws the same numbers again, so gradients are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def can_checkpoint(model: Any) -> bool:
    """Whether the model's architecture supports it."""
    return bool(getattr(model, "supports_gradient_checkpointing", False))


@contextmanager
def checkpointed(model: Any, on: bool = True) -> Iterator[None]:
    """Train ``model`` with gradient checkpointing inside, if ``on``; evaluation is as ever.

    Raises:
        ValueError: the model does not support it.
    """
    if not on:
        yield
        return
    # transformers before 5.20 knows the older name only.
    enable = getattr(model, "activation_checkpointing_enable", None)
    (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
    # Only the reentrant kind needs gradients of embeddings, which adapters do not compute.
    model.disable_input_require_grads()
    try:
        yield
    finally:
        disable = getattr(model, "activation_checkpointing_disable", None)
        (disable or model.gradient_checkpointing_disable)()
