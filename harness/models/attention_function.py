"""Attention of our own in any model that asks transformers for its attention function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# What models hand on to attention beside scores' scale, and what changes nothing in it where who
# sees whom is known, and without dropout. So does a window that hides nothing.
HARMLESS = {
    "cache_position",
    "dropout",
    "is_causal",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "position_ids",
    "return_dict",
    "sliding_window",
    "use_cache",
}


def special(handed: Mapping[str, Any]) -> set[str]:
    """Names of what a model wants of attention beyond the usual."""
    return {name for name, what in handed.items() if what is not None} - HARMLESS


@contextmanager
def attending_by(model: Any, name: str) -> Iterator[None]:
    """Within this context the model attends by the function that is registered under ``name``."""
    config = model.config.get_text_config()
    usual = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = usual


__all__ = ["attending_by", "special"]
