"""Replies to prompts that are padded to one length, as transformers itself generates them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList

from harness.evaluation.local.constrained import ConstrainedBatch, Constraint
from harness.evaluation.local.reply_ends import EndsIn
from harness.models.shared_prefix import prefix_cache, shared_prefix_length
from harness.models.tree_pass import sees_all
from harness.records import ModelWork


def padded_replies(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[tuple[int, ...]],
    room: int,
    ends_in: EndsIn,
    constraint: Constraint | None,
    options: Mapping[str, Any],
    *,
    shares: bool,
    on_work: Callable[[ModelWork], None] = lambda work: None,
) -> list[list[int]]:
    """Replies to the prompts, of ``room`` tokens at most.

    Args:
        constraint: what replies are kept to; None where they are free.
        options: further arguments of ``generate``.
        shares: whether the model goes by positions and mask alone, so that what all prompts begin
            with can be computed once.
        on_work: told of what was computed.
    """
    width = max(map(len, prompts))
    shared = _shared(model, prompts, width + room) if shares else 0
    pad, device = tokenizer.pad_token_id, model.device
    rows = [
        (*prompt[:shared], *[pad] * (width - len(prompt)), *prompt[shared:]) for prompt in prompts
    ]
    seen = [
        [1] * shared + [0] * (width - len(prompt)) + [1] * (len(prompt) - shared)
        for prompt in prompts
    ]
    more = dict(options)
    kept: ConstrainedBatch | None = None
    stopping: Any = ends_in
    if constraint is not None:
        # The constraint alone says where a reply ends: its text may hold any stop.
        kept = ConstrainedBatch(constraint, len(prompts), width)
        more["logits_processor"] = LogitsProcessorList([kept])
        stopping = kept.ends
    with torch.inference_mode():
        ids = torch.tensor(rows, device=device)
        if shared:
            more["past_key_values"] = prefix_cache(model, ids[:1, :shared], len(prompts))
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.tensor(seen, device=device),
            max_length=width + room,
            stopping_criteria=StoppingCriteriaList([stopping]),
            pad_token_id=pad,
            use_cache=True,
            **more,
        )
    # The last token of a reply is not computed further.
    count, steps = len(prompts), written.shape[1] - width - 1
    read = shared + count * (width - shared)
    on_work(ModelWork(1 + steps, read, count * steps, count * (1 + steps)))
    return ends_in.cut(written) if kept is None else kept.replies(written)


def _shared(model: Any, prompts: Sequence[tuple[int, ...]], longest: int) -> int:
    """Tokens that are computed once for all of the prompts, each padded after them.

    Padding in the middle moves what follows it: right only where no layer's window ends within a
    row of ``longest`` tokens.
    """
    return shared_prefix_length(prompts) if sees_all(model, longest) else 0
