"""Attention over rows that begin alike (:mod:`harness.models.row_cache`), in any model that asks
transformers for its attention function.

A token sees what all rows begin with and the tokens of its own row. Attention is taken over both
parts apart and put together by their normalisers: with o the outputs and l the logarithms of the
sums of exponentials of the scores,

    o = (exp(l1) o1 + exp(l2) o2) / (exp(l1) + exp(l2)).

Heads that share keys and values are taken as further tokens of one head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers import AttentionInterface

from harness.models.prompt_prefix import compute_prompt_prefix
from harness.models.row_cache import Block, RowCache
from harness.models.tree_pass import (
    PROBE,
    ROUNDING,
    asked_once,
    logits_at,
    probe_sequences,
    takes_trees,
)

NAME = "harness_rows"
# What models hand on to attention beside scores' scale, and what changes nothing in it. A window
# does not where no row is longer: whoever makes the cache sees to that.
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
_CACHE: ContextVar[RowCache] = ContextVar("row_cache")
_ANSWERS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def row_logits(
    model: Any, cache: RowCache, blocks: list[Block], tokens: list[int], kept: list[int]
) -> torch.Tensor:
    """Send new tokens of rows through the model.

    Args:
        tokens: those of the first block's first row, of its second row, and so on.
        kept: places in ``tokens`` after which logits are wanted.

    Returns:
        Logits, shape (kept, vocabulary).
    """
    positions = cache.begin_pass(blocks)
    with _attending(model, cache):
        return logits_at(
            model,
            torch.tensor(kept),
            input_ids=torch.tensor([tokens]),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )[0]


def takes_rows(model: Any) -> bool:
    """Whether the model computes rows in a :class:`RowCache` as it computes them alone.

    Those do that ask transformers for their attention function and want of it what is done here.
    The model is asked, on three short rows, as by :func:`harness.models.tree_pass.takes_trees`.

    A model is asked once: neither training nor an adapter changes the answer.
    """
    return asked_once(model, _computes_alike, _ANSWERS)


def _computes_alike(model: Any) -> bool:
    if model.device.type != "cpu" or not takes_trees(model):
        return False
    sequences = probe_sequences(model)
    rests = [row[PROBE:] for row in sequences]
    try:
        with torch.inference_mode():
            alone = model(input_ids=torch.tensor(sequences), use_cache=False).logits[:, PROBE:]
            positions = torch.arange(PROBE, 2 * PROBE)[None]
            bare = model(input_ids=torch.tensor(rests), position_ids=positions, use_cache=False)
            found = _probed(model, sequences[0][:PROBE], rests)
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError):
        # Whatever a foreign architecture says to such a call, it does not take it.
        return False
    moved, unopened = (
        float((logits.float() - alone.float()).square().mean().sqrt())
        for logits in (found, bare.logits)
    )
    return moved <= unopened * ROUNDING


def _probed(model: Any, beginning: list[int], rests: list[list[int]]) -> torch.Tensor:
    """Logits after each token of the rests, in passes as replies need them."""
    prefix = compute_prompt_prefix(model, tuple(beginning))
    cache = RowCache(prefix, len(rests))
    found: list[list[torch.Tensor]] = [[] for _ in rests]
    # Whole prompts of different lengths; then one of them alone beside others that go on; then all.
    for passing in (
        [([0, 1], [3, 5])],
        [([2], [1]), ([0, 1], [1, 1])],
        [([0, 1, 2], [4, 2, 7])],
    ):
        blocks = [(np.array(slots), np.array(counts)) for slots, counts in passing]
        rows = [pair for block in blocks for pair in np.stack(block, axis=1).tolist()]
        tokens = []
        for row, count in rows:
            tokens += rests[row][cache.lengths[row] :][:count]
        logits = row_logits(model, cache, blocks, tokens, list(range(len(tokens))))
        parts = logits.split([count for _, count in rows])
        for (row, _), part in zip(rows, parts, strict=True):
            found[row].append(part)
    return torch.stack([torch.cat(part) for part in found])


@contextmanager
def _attending(model: Any, cache: RowCache) -> Iterator[None]:
    """Within this context the model attends to the rows of ``cache``, which it is called with."""
    config = model.config.get_text_config()
    usual = config._attn_implementation
    token = _CACHE.set(cache)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
        _CACHE.reset(token)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Transformers' attention function: query of shape (1, heads, tokens, size).

    Returns:
        Output of shape (1, tokens, heads, size).

    Raises:
        ValueError: the model wants something of attention that is not done here.
    """
    cache = _CACHE.get()
    wanted = {name for name, what in more.items() if what is not None} - HARMLESS
    if attention_mask is not None or wanted:
        raise ValueError(f"attention over rows has no {', '.join(sorted(wanted)) or 'mask'}")
    scale = scaling if scaling is not None else 1 / math.sqrt(query.shape[-1])
    layer: int = module.layer_idx
    tokens = query[0].transpose(0, 1)
    new = tokens, key[0].transpose(0, 1), value[0].transpose(0, 1)
    parts = []
    for block in cache.blocks:
        mine = [tensor[block.first : block.last] for tensor in new]
        if block.padded is not None:
            mine = [tensor[block.padded] for tensor in mine]
        rows = [tensor.unflatten(0, (block.rows, -1)) for tensor in mine]
        if block.mask is None:
            part = _fresh(rows[0], rows[1], rows[2], scale)
        else:
            group = query.shape[1] // key.shape[1]
            part = _grown(rows[0], *cache.own(layer, block), block.mask_of(group), scale)
        output, weight = part[0].flatten(0, 1), part[1].flatten(0, 1)
        parts.append(
            (output, weight) if block.real is None else (output[block.real], weight[block.real])
        )
    output, weight = _joined(parts)
    shared = cache.shared(layer)
    if shared is not None:
        first, first_weight = _of_beginning(tokens, *shared, scale)
        share = torch.sigmoid(weight - first_weight)[..., None]
        output = torch.lerp(first.to(share.dtype), output.to(share.dtype), share)
    return output.to(query.dtype)[None], None


Part = tuple[torch.Tensor, torch.Tensor]
"""Output, shape (.., tokens, heads, size), and logarithm of its normaliser, (.., tokens, heads)."""


def _joined(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return torch.cat([output for output, _ in parts]), torch.cat([weight for _, weight in parts])


def _fresh(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> Part:
    """Of whole rows, each of shape (rows, tokens, heads, size): a token sees those before it."""
    output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), 0.0, True, scale=scale
    )
    return output.transpose(1, 2), weight.transpose(1, 2)


def _grown(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    scale: float,
) -> Part:
    """Of new tokens, shape (rows, tokens, heads, size), over rows as the cache holds them.

    With few queries a row this takes a fraction of what the fused kernel takes.
    """
    rows, width, heads, size = query.shape
    key_heads = keys.shape[1]
    group = heads // key_heads
    stacked = query.view(rows, width, key_heads, group, size).transpose(1, 2).flatten(2, 3)
    scores = torch.add(mask, torch.matmul(stacked, keys), alpha=scale)
    shares = scores.softmax(-1)
    output = torch.matmul(shares.to(values.dtype), values)
    # The greatest share is the exponential of its score over the sum of all.
    weight = scores.amax(-1) - shares.amax(-1).log()
    return (
        output.unflatten(2, (width, group)).transpose(1, 2).flatten(2, 3),
        weight.unflatten(2, (width, group)).transpose(1, 2).flatten(2, 3),
    )


def _of_beginning(
    tokens: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
) -> Part:
    """Of tokens, shape (tokens, heads, size), over keys and values that all of them see."""
    count, heads, size = tokens.shape
    key_heads = keys.shape[1]
    group = heads // key_heads
    stacked = tokens.view(count, key_heads, group, size).transpose(0, 1).flatten(1, 2)
    output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        stacked[None], keys, values, scale=scale
    )
    return (
        output[0].unflatten(1, (count, group)).transpose(0, 1).flatten(1, 2),
        weight[0].unflatten(1, (count, group)).transpose(0, 1).flatten(1, 2),
    )


AttentionInterface.register(NAME, _attend)
