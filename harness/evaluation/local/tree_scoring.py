"""Log-likelihoods of continuations, many contexts and continuations in one pass.

Contexts and continuations form a tree (:mod:`harness.models.token_tree`): a context that has
several continuations, and whatever these share, is computed once, and nothing is padded. What all
contexts of a task begin with (instruction, worked examples) comes out of a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from harness.models.prompt_prefix import PromptPrefix
from harness.models.token_tree import in_trees, token_tree
from harness.models.tree_attention import attending_to_branches, note_branches, takes_branches
from harness.models.tree_pass import logits_at, nodes_and_places, to_device, tree_inputs
from harness.records import ModelWork

# Rows of logits that are summed at once.
ROWS = 16
Pair = tuple[Sequence[int], Sequence[int]]
Answer = tuple[float, bool]


def score_pairs(
    model: Any,
    pairs: Sequence[Pair],
    beginning: PromptPrefix,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_work: Callable[[ModelWork], None] = lambda work: None,
) -> list[Answer]:
    """Score each (context, continuation), both of token ids, non-empty.

    Args:
        beginning: tokens that open all contexts.
        on_work: told of every pass.

    Returns:
        For each pair, the sum of log-probabilities (nats) of the continuation's tokens given the
        context, and whether each of them is the most likely one.
    """
    opened = len(beginning.tokens)
    # A continuation's last token predicts nothing.
    fed = [(*context[opened:], *continuation[:-1]) for context, continuation in pairs]
    answers: list[Answer] = [(0.0, False)] * len(pairs)
    done, branches = 0, takes_branches(model)
    for group in in_trees(fed, branches=branches):
        members, rows = [pairs[index] for index in group], [fed[index] for index in group]
        scored, work = _score_tree(model, members, rows, beginning, branches)
        for index, answer in zip(group, scored, strict=True):
            answers[index] = answer
        done += len(group)
        on_work(work)
        on_progress(done, len(pairs))
    return answers


def _score_tree(
    model: Any,
    pairs: Sequence[Pair],
    fed: Sequence[tuple[int, ...]],
    beginning: PromptPrefix,
    branches: bool,
) -> tuple[list[Answer], ModelWork]:
    opened = len(beginning.tokens)
    tree = token_tree(fed)
    kept, places = nodes_and_places(
        [path[len(pair[0]) - opened - 1 :] for path, pair in zip(tree.paths, pairs, strict=True)]
    )
    inputs = tree_inputs(model, tree, opened)
    if branches:
        note_branches(model, inputs, tree, opened)
    with torch.inference_mode(), attending_to_branches(model) if branches else nullcontext():
        logits = logits_at(
            model,
            torch.from_numpy(kept).to(model.device),
            **to_device(inputs, model.device),
            past_key_values=beginning.cache() if opened else None,
            use_cache=bool(opened),
        )[0]
        normaliser, best = _normaliser_and_best(logits)
        where = torch.from_numpy(places)
        tokens = torch.tensor([token for _, continuation in pairs for token in continuation])
        chosen = logits[where.to(logits.device), tokens.to(logits.device)].float().cpu()
        each = chosen - normaliser[where]
        likeliest = best[where] == tokens
    sizes = [len(continuation) for _, continuation in pairs]
    answers = [
        (float(values.sum()), bool(greedy.all()))
        for values, greedy in zip(each.split(sizes), likeliest.split(sizes), strict=True)
    ]
    return answers, ModelWork(passes=1, read=len(tree.tokens), predicted=len(kept))


def _normaliser_and_best(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The logarithm of the sum of exponentials of each row, and the place of its largest, on the
    CPU."""
    # On a processor in parts that stay in its cache, which takes two fifths of the time.
    rows = ROWS if logits.device.type == "cpu" else len(logits)
    found = []
    for part in logits.split(max(1, rows)):
        exact = part.float()
        found.append((torch.logsumexp(exact, dim=-1), exact.argmax(dim=-1)))
    normaliser, best = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
    return normaliser, best
