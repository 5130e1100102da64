"""Greedy replies to many prompts, each in a row of its own.

A pass computes the newest token of every growing reply, and whole prompts that join them: a reply
that has ended leaves its row to the next prompt at once. What all prompts begin with stands once
(:mod:`harness.models.row_cache`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from harness.models.prompt_prefix import PromptPrefix
from harness.models.row_attention import row_logits
from harness.models.row_cache import Block, RowCache
from harness.records import ModelWork

# Tokens of prompts that are read in a pass; a longer one is read alone.
TOKENS = 1024


def greedy_replies(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    beginning: PromptPrefix,
    rows: int,
    room: int,
    ends: Collection[int],
    ended: Callable[[list[list[int]]], list[bool]],
    on_work: Callable[[ModelWork], None] = lambda work: None,
    on_end: Callable[[int], None] = lambda count: None,
) -> list[list[int]]:
    """The most likely next token, again and again, until each reply ends.

    Args:
        beginning: tokens that open all prompts.
        rows: replies that grow at once, at most.
        room: number of tokens that a reply may have.
        ends: tokens that end a reply, and are kept.
        ended: whether each of several replies has come to its end otherwise.
        on_work: told of every pass.
        on_end: told how many replies have ended in a pass.
    """
    import torch

    opened = len(beginning.tokens)
    rests = [list(prompt[opened:]) for prompt in prompts]
    rows = min(rows, len(prompts))
    cache = RowCache(beginning, rows)
    replies: list[list[int]] = [[] for _ in prompts]
    waiting = list(reversed(range(len(prompts))))
    # The prompt in each slot.
    growing: list[int] = []
    with torch.inference_mode():
        while growing or waiting:
            joining = _joining(waiting, rests, rows - len(growing))
            blocks: list[Block] = []
            if growing:
                blocks.append((np.arange(len(growing)), np.ones(len(growing), dtype=np.int64)))
            if joining:
                slots = np.arange(len(growing), len(growing) + len(joining))
                blocks.append((slots, np.array([len(rests[index]) for index in joining])))
            tokens = [replies[index][-1] for index in growing]
            tokens += [token for index in joining for token in rests[index]]
            kept = np.cumsum(np.concatenate([counts for _, counts in blocks])) - 1
            logits = row_logits(model, cache, blocks, tokens, kept.tolist())
            on_work(ModelWork(1, len(tokens) - len(growing), len(growing), predicted=len(kept)))
            growing += joining
            for index, token in zip(growing, logits.float().argmax(-1).tolist(), strict=True):
                replies[index].append(token)
            stopped = ended([replies[index] for index in growing])
            done = [
                slot
                for slot, (index, stop) in enumerate(zip(growing, stopped, strict=True))
                if stop or replies[index][-1] in ends or len(replies[index]) >= room
            ]
            for slot in reversed(done):
                _leave(slot, growing, cache)
            if done:
                on_end(len(done))
    return replies


def _joining(waiting: list[int], rests: Sequence[Sequence[int]], free: int) -> list[int]:
    """Take the next prompts for free slots off the end of those that wait."""
    joining: list[int] = []
    size = 0
    while waiting and len(joining) < free:
        size += len(rests[waiting[-1]])
        if joining and size > TOKENS:
            break
        joining.append(waiting.pop())
    return joining


def _leave(slot: int, growing: list[int], cache: RowCache) -> None:
    """Free a slot; the last row moves there, so that those in use follow one another."""
    last = len(growing) - 1
    if slot < last:
        cache.move(last, slot)
        growing[slot] = growing[last]
    cache.lengths[last] = 0
    growing.pop()
