"""Compute the beginning that all prompts of a batch share only once.

Instruction, template and fixed worked examples open every prompt of a study. Their keys and
values do not depend on what follows, so one row computes them and the batch reuses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.models.token_tree import common_beginning
from harness.models.tree_pass import logits_at

if TYPE_CHECKING:
    import torch

# Below this, handling a cache costs more than it saves.
MIN_SHARED = 8


def shared_prefix_length(rows: Sequence[tuple[int, ...]]) -> int:
    """Length of the longest common beginning that leaves every row at least one token.

    0 where it would not pay: a single row, or fewer than 8 common tokens.
    """
    if len(rows) < 2:
        return 0
    least, greatest = min(rows), max(rows)
    length = min(common_beginning(least, greatest), min(map(len, rows)) - 1)
    return length if length >= MIN_SHARED else 0


def prefix_cache(model: Any, prefix: torch.Tensor, batch: int) -> Any:
    """Key-value cache of ``prefix`` (shape (1, p)), repeated for ``batch`` rows."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache()
    last = torch.tensor([prefix.shape[1] - 1], device=prefix.device)
    logits_at(model, last, input_ids=prefix, past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(batch)
    return cache
