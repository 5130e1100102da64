"""What all prompts of a task begin with, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.models.tree_pass import logits_at

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class PromptPrefix:
    """A beginning that several prompts share, as the model has read it."""

    tokens: tuple[int, ...] = ()
    """Token ids; none is no beginning."""
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...] = field(default=(), repr=False)
    """Keys and values of these tokens in each layer."""

    def cache(self) -> Any:
        """A cache of one row that holds them, and to which more can be added."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.layers):
            cache.update(keys, values, number)
        return cache

    def opens(self, prompts: Sequence[tuple[int, ...]]) -> bool:
        """Whether each of the prompts begins with these tokens and goes on."""
        length = len(self.tokens)
        return all(len(prompt) > length and prompt[:length] == self.tokens for prompt in prompts)


def compute_prompt_prefix(model: Any, tokens: tuple[int, ...]) -> PromptPrefix:
    """Send ``tokens`` through the model; no tokens are no beginning."""
    import torch
    from transformers import DynamicCache

    if not tokens:
        return PromptPrefix()
    cache = DynamicCache()
    with torch.inference_mode():
        ids = torch.tensor([tokens], device=model.device)
        last = torch.tensor([len(tokens) - 1], device=model.device)
        logits_at(model, last, input_ids=ids, past_key_values=cache, use_cache=True)
    layers: list[Any] = cache.layers
    return PromptPrefix(tokens, tuple((layer.keys, layer.values) for layer in layers))
