"""Log-likelihoods of many continuations of one context in a single row of a batch.

The continuations of a context form a trie. Its nodes are laid out after the context in one row;
an attention mask lets each node see the context and its own ancestors only, and its position is
its depth, so that every continuation is scored exactly as if it stood alone, while context and
shared beginnings are computed once. A prefix common to all rows of a batch (instruction, worked
examples) is computed once a batch and its key-value cache shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.prompting.shared_prefix import prefix_cache, shared_prefix_length

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Row:
    """One context with the trie of its continuations.

    tokens: trie tokens that must be fed (those with children). parents: index of each token's
    parent in ``tokens``, -1 for the context's end. depths: distance from the context's end, from
    1. paths: for each continuation, (index of the position that predicts it or -1, token).
    """

    context: tuple[int, ...]
    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[list[tuple[int, int]]] = field(default_factory=list)


def build_row(context: Sequence[int], continuations: Sequence[Sequence[int]]) -> Row:
    """Lay out the trie of ``continuations`` (non-empty token lists) after ``context``."""
    row = Row(tuple(context))
    children: dict[tuple[int, int], int] = {}
    for continuation in continuations:
        at, path = -1, []
        for depth, token in enumerate(continuation, start=1):
            path.append((at, token))
            if depth == len(continuation):
                break
            if (at, token) not in children:
                children[at, token] = len(row.tokens)
                row.tokens.append(token)
                row.parents.append(at)
                row.depths.append(depth)
            at = children[at, token]
        row.paths.append(path)
    return row


def score_rows(model: Any, rows: Sequence[Row], pad: int) -> list[list[tuple[float, bool]]]:
    """Score one batch of rows.

    Returns, per row and continuation, the sum of log-probabilities (nats, natural logarithm) of
    its tokens given the context, and whether each token is the most likely one.
    """
    import torch

    device, dtype = model.device, model.dtype
    shared = shared_prefix_length([row.context for row in rows])
    suffixes = [row.context[shared:] for row in rows]
    width = max(len(s) + len(r.tokens) for s, r in zip(suffixes, rows, strict=True))
    kept = max(len(row.tokens) for row in rows) + 1
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    # Padding stands on the left, so the scored positions are the last of every row.
    visible = torch.zeros((len(rows), width, shared + width), dtype=torch.bool)
    visible[:, :, :shared] = True
    diagonal = torch.arange(width)
    visible[:, diagonal, shared + diagonal] = True
    for index, (row, suffix) in enumerate(zip(rows, suffixes, strict=True)):
        n, m = len(suffix), len(row.tokens)
        start, trie = width - n - m, width - m
        ids[index, start:] = torch.tensor([*suffix, *row.tokens])
        positions[index, start:trie] = torch.arange(shared, shared + n)
        causal = torch.ones((n, n), dtype=torch.bool).tril()
        visible[index, start:trie, shared + start : shared + trie] = causal
        if m:
            last = shared + n - 1
            positions[index, trie:] = last + torch.tensor(row.depths)
            visible[index, trie:, shared + start : shared + trie] = True
            ancestors = torch.eye(m, dtype=torch.bool)
            for node, parent in enumerate(row.parents):
                if parent >= 0:
                    ancestors[node] |= ancestors[parent]
            visible[index, trie:, shared + trie :] = ancestors
    mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)
    inputs: dict[str, Any] = {
        "input_ids": ids.to(device),
        "attention_mask": mask[:, None].to(device),
        "position_ids": positions.to(device),
        "logits_to_keep": kept,
        "use_cache": bool(shared),
    }
    with torch.inference_mode():
        if shared:
            prefix = torch.tensor([rows[0].context[:shared]], device=device)
            inputs["past_key_values"] = prefix_cache(model, prefix, len(rows))
        logits = model(**inputs).logits
        return [_read(logits[index], row, kept) for index, row in enumerate(rows)]


def _read(logits: torch.Tensor, row: Row, kept: int) -> list[tuple[float, bool]]:
    # logits: (kept, vocabulary); the context's end is at kept - 1 - number of trie tokens.
    import torch

    end = kept - 1 - len(row.tokens)
    nodes = logits[end:].float()
    normaliser = torch.logsumexp(nodes, dim=-1)
    best = nodes.argmax(dim=-1).tolist()
    answers = []
    for path in row.paths:
        where = torch.tensor([at + 1 for at, _ in path], device=logits.device)
        tokens = torch.tensor([token for _, token in path], device=logits.device)
        total = float((nodes[where, tokens] - normaliser[where]).sum())
        answers.append((total, all(best[at + 1] == token for at, token in path)))
    return answers
