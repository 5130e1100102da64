"""Attention over rows that begin alike (:mod:`harness.models.row_cache`), in any model that asks
transformers for its attention function.

A token sees what all rows begin with and the tokens of its own row. Rows that are read whole are
asked some queries at a time, by products that take less time than torch's own kernel but on
processors with tiles. Of rows that go on, a few tokens each, scores with what all begin with are
one product for all rows, and one softmax is taken over both parts. Heads that share keys and values
are taken as further tokens of one head. Scores are float32, but those of torch's kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from harness.models.attention_function import attending_by, special
from harness.models.prompt_prefix import compute_prompt_prefix
from harness.models.row_cache import Block, RowCache, score_type
from harness.models.tree_pass import (
    FOREIGN_ERRORS,
    PROBE,
    ROUNDING,
    asked_once,
    logits_at,
    probe_sequences,
    takes_trees,
)

NAME = "harness_rows"
# Queries of a row that are asked at once: what comes after each of them is computed, and hidden.
CHUNK, KERNEL_CHUNK = 64, 256
# Whether the processor multiplies bfloat16 in tiles.
TILES = bool(torch.cpu.get_capabilities().get("amx_bf16"))
# Rows that are no longer are padded to one length, longer ones read one by one.
SHORT = 64
_CACHE: ContextVar[RowCache] = ContextVar("row_cache")
_ANSWERS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def in_tiles(kind: torch.dtype) -> bool:
    """Whether numbers of this type are multiplied in tiles, as torch's attention kernel makes use
    of and products of few rows."""
    return TILES and kind == torch.bfloat16


def plain_row_logits(
    model: Any, cache: RowCache, blocks: list[Block], tokens: list[int], kept: list[int]
) -> torch.Tensor:
    """Send new tokens of rows through the model's own modules.

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
    except FOREIGN_ERRORS:
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
        logits = plain_row_logits(model, cache, blocks, tokens, list(range(len(tokens))))
        parts = logits.split([count for _, count in rows])
        for (row, _), part in zip(rows, parts, strict=True):
            found[row].append(part)
    return torch.stack([torch.cat(part) for part in found])


@contextmanager
def _attending(model: Any, cache: RowCache) -> Iterator[None]:
    """Within this context the model attends to the rows of ``cache``, which it is called with."""
    token = _CACHE.set(cache)
    try:
        with attending_by(model, NAME):
            yield
    finally:
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
    # A window hides nothing where no row is longer: whoever makes the cache sees to that.
    wanted = special(more)
    if attention_mask is not None or wanted:
        raise ValueError(f"attention over rows has no {', '.join(sorted(wanted)) or 'mask'}")
    scale, layer = scaling or 1 / math.sqrt(query.shape[-1]), module.layer_idx
    heads, keys, values = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    output = attention_over_rows(_CACHE.get(), layer, heads, keys, values, scale)
    return output.to(query.dtype)[None], None


def attention_over_rows(
    cache: RowCache,
    layer: int,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Attention of a pass's tokens, whose keys and values ``cache`` has been given.

    Args:
        query: shape (tokens, heads, size).
        key, value: shape (tokens, key heads, size).

    Returns:
        Output of shape (tokens, heads, size of a value), in the type of values.
    """
    shared = cache.shared(layer)
    parts = []
    for block in cache.blocks:
        mine = [tensor[block.first : block.last] for tensor in (query, key, value)]
        if block.mask is None and block.width > SHORT:
            # Each tensor by its rows, then each row by its tensors.
            by_row = zip(*(tensor.split(block.counts) for tensor in mine), strict=True)
            parts += [_reading([one[None] for one in row], shared, scale)[0] for row in by_row]
            continue
        if block.padded is not None:
            mine = [tensor[block.padded] for tensor in mine]
        rows = [tensor.unflatten(0, (block.rows, -1)) for tensor in mine]
        if block.mask is None:
            output = _reading(rows, shared, scale)
        else:
            mask = block.mask_of(query.shape[1] // key.shape[1])
            exact = rows[0].to(score_type(key.dtype)) * scale
            output = _going_on(exact, *cache.own(layer, block), mask, shared)
        output = output.flatten(0, 1)
        parts.append(output if block.real is None else output[block.real])
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _reading(
    rows: list[torch.Tensor], shared: tuple[torch.Tensor, torch.Tensor] | None, scale: float
) -> torch.Tensor:
    """Attention of rows that were empty, each to itself and to what all begin with.

    Args:
        rows: queries, keys and values, each of shape (rows, tokens, heads, size).

    Returns:
        Shape (rows, tokens, heads, size).
    """
    query, keys, values = (tensor.transpose(1, 2) for tensor in rows)
    tiled = in_tiles(values.dtype)
    ask, chunk = (_by_kernel, KERNEL_CHUNK) if tiled else (_by_products, CHUNK)
    kind = values.dtype if tiled else score_type(values.dtype)
    query, keys = query.to(kind), keys.to(kind)
    opened, width = 0, query.shape[2]
    if shared is not None:
        opened = shared[0].shape[2]
        keys, values = (
            torch.cat((first.to(own.dtype).expand(len(own), -1, -1, -1), own), 2)
            for first, own in zip(shared, (keys, values), strict=True)
        )
    parts = []
    for start in range(0, width, chunk):
        part = query[:, :, start : start + chunk]
        seen = opened + start + part.shape[2]
        parts.append(ask(part, keys[:, :, :seen], values[:, :, :seen], scale))
    return torch.cat(parts, 2).transpose(1, 2)


def _by_products(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attention of the last tokens of rows to all of them, in the type of the keys.

    Args:
        query: shape (rows, heads, tokens, size).
        keys, values: shape (rows, key heads, tokens seen, size).

    Returns:
        Shape (rows, heads, tokens, size of a value).
    """
    stacked = (query * scale).unflatten(1, (keys.shape[1], -1))
    group, count = stacked.shape[2:4]
    scores = torch.matmul(stacked.flatten(2, 3), keys.transpose(2, 3))
    scores = scores.unflatten(2, (group, count))
    scores[..., -count:] += _hidden(count, count, scores.dtype)
    shares = scores.softmax(-1).to(values.dtype).flatten(2, 3)
    found: torch.Tensor = torch.matmul(shares, values).unflatten(2, (group, count))
    return found.flatten(1, 2)


def _by_kernel(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
) -> torch.Tensor:
    """The same by torch's own kernel."""
    mask = _hidden(query.shape[2], keys.shape[2], query.dtype)
    found: torch.Tensor = scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, scale=scale, enable_gqa=True
    )
    return found


@lru_cache(maxsize=16)
def _hidden(count: int, seen: int, kind: torch.dtype) -> torch.Tensor:
    """What is added to scores of the last ``count`` of ``seen`` tokens, shape (count, seen)."""
    return torch.full((count, seen), -torch.inf, dtype=kind).triu_(seen - count + 1)


def _going_on(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    shared: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """Attention of the few new tokens of rows to what all begin with and to the rows.

    One softmax is taken over both, which costs fewer operations than two that are put together.

    Args:
        query: shape (rows, tokens, heads, size), scaled.
        keys, values: shape (rows, key heads, tokens seen, size).
        mask: what is added to the scores, shape (rows, 1, tokens * group or 1, tokens seen).

    Returns:
        Shape (rows, tokens, heads, size).
    """
    rows, width, heads, size = query.shape
    key_heads = keys.shape[1]
    group = heads // key_heads
    stacked = query.view(rows, width, key_heads, group, size).transpose(1, 2).flatten(2, 3)
    scores = torch.matmul(stacked, keys.transpose(2, 3))
    if mask is not None:
        scores += mask
    opened = 0
    if shared is not None:
        # All rows are as further queries of one.
        flat = stacked.transpose(0, 1).reshape(key_heads, -1, size)
        first = torch.matmul(flat, shared[0][0].transpose(1, 2))
        opened = first.shape[2]
        first = first.view(key_heads, rows, -1, opened).transpose(0, 1)
        scores = torch.cat((first, scores), -1)
    shares = scores.softmax(-1).to(values.dtype)
    output = torch.matmul(shares[..., opened:], values)
    if shared is not None:
        flat = shares[..., :opened].transpose(0, 1).reshape(key_heads, -1, opened)
        first = torch.matmul(flat, shared[1][0])
        output = output + first.view(key_heads, rows, -1, first.shape[2]).transpose(0, 1)
    return output.view(rows, key_heads, width, group, -1).transpose(1, 2).flatten(2, 3)


AttentionInterface.register(NAME, _attend)
