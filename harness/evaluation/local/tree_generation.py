"""Greedy replies to many prompts in one row.

The prompts are a tree (:mod:`harness.models.token_tree`) and each reply grows from its prompt's
end. Keys and values of what prompts share are held and read once, not once a prompt, nothing is
padded, and a reply that has ended takes no part in what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from harness.models.prompt_prefix import PromptPrefix
from harness.models.token_tree import token_tree
from harness.models.tree_pass import (
    attention_masks,
    logits_at,
    nodes_and_places,
    to_device,
    tree_inputs,
)
from harness.records import ModelWork

# Tokens of a tree that replies grow from, beside what all prompts begin with: each reply attends
# to the row of all of them. Where so many are room for a few prompts only, rows of their own pay.
TREE = 1024
FEW = 8


def tree_groups(lengths: Sequence[int]) -> list[range] | None:
    """Which prompts of a batch, one after the other, share a tree; None where trees do not pay.

    Args:
        lengths: number of tokens of each prompt beside what all begin with.
    """
    groups: list[range] = []
    size = 0
    for index, length in enumerate(lengths):
        if not groups or size + length > TREE:
            groups.append(range(index, index))
            size = 0
        groups[-1] = range(groups[-1].start, index + 1)
        size += length
    return groups if len(lengths) >= FEW * (len(groups) - 1) else None


def greedy_tree_replies(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    beginning: PromptPrefix,
    room: int,
    ends: Collection[int],
    ended: Callable[[list[list[int]]], list[bool]],
    on_work: Callable[[ModelWork], None] = lambda work: None,
) -> list[list[int]]:
    """The most likely next token, again and again, until each reply ends.

    Args:
        beginning: tokens that open all prompts.
        room: number of tokens that a reply may have.
        ends: tokens that end a reply, and are kept.
        ended: whether each of several replies has come to its end otherwise.
        on_work: told of every pass.
    """
    import torch

    opened = len(beginning.tokens)
    tree = token_tree([prompt[opened:] for prompt in prompts])
    cache = beginning.cache()
    kept, places = nodes_and_places([path[-1:] for path in tree.paths])
    width = opened + len(tree.tokens)
    visible = np.zeros((len(prompts), width + len(prompts) * room), dtype=np.bool_)
    visible[:, :opened] = True
    for row, path in enumerate(tree.paths):
        visible[row, opened + path] = True
    depths = np.zeros(visible.shape[1], dtype=np.int64)
    depths[:width] = [*range(opened), *(opened + tree.depths)]
    replies: list[list[int]] = [[] for _ in prompts]
    growing = np.arange(len(prompts))
    inputs = tree_inputs(model, tree, opened)
    work = ModelWork(passes=1, read=len(tree.tokens), predicted=len(kept))
    with torch.inference_mode():
        keep = torch.from_numpy(kept).to(model.device)
        while True:
            logits = logits_at(
                model,
                keep,
                **to_device(inputs, model.device),
                past_key_values=cache,
                use_cache=True,
            )[0]
            on_work(work)
            newest = logits.float().argmax(dim=-1).cpu().numpy()[places]
            for row, token in zip(growing.tolist(), newest.tolist(), strict=True):
                replies[row].append(token)
            stopped = ended([replies[row] for row in growing.tolist()])
            goes_on = [
                not stop and replies[row][-1] not in ends and len(replies[row]) < room
                for row, stop in zip(growing.tolist(), stopped, strict=True)
            ]
            growing, newest = growing[goes_on], newest[goes_on]
            if not len(growing):
                return replies
            columns = np.arange(width, width + len(growing))
            visible[growing, columns] = True
            lengths = [len(prompts[row]) + len(replies[row]) - 1 for row in growing.tolist()]
            depths[columns] = lengths
            width += len(growing)
            inputs = {
                "input_ids": torch.from_numpy(newest)[None],
                "position_ids": torch.from_numpy(depths[columns])[None],
                "attention_mask": attention_masks(
                    model, visible[growing, :width], depths[columns], depths[:width]
                ),
            }
            work = ModelWork(passes=1, written=len(growing), predicted=len(growing))
            keep = torch.arange(len(growing), device=model.device)
            places = np.arange(len(growing))
