"""What training minimises: cross-entropy of answers, and divergence from the base."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.models.tree_pass import evaluating, logits_at
from harness.prompting import TokenisedExample
from harness.training.batches import Batch, Layout

Predictions = Callable[[Batch], torch.Tensor]
"""From a batch to logits, shape (answer tokens of the batch, vocabulary), float32."""


def answer_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Logits that predict the batch's answer tokens, in their order.

    Args:
        batch: examples on the model's device.

    Returns:
        The logits, shape (answer tokens, vocabulary), float32, with gradient.
    """
    logits = logits_at(model, batch.kept, **batch.inputs, use_cache=False)
    # Only predicted positions are cast to fp32: the vocabulary makes the rest expensive.
    predicted: torch.Tensor = logits.flatten(0, 1)[batch.places].float()
    return predicted


def summed_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Cross-entropy summed over the batch's answer tokens (nats), a scalar with gradient."""
    batch = batch.to(model.device)
    logits = answer_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum")


def mean_loss(
    model: Any,
    examples: Sequence[TokenisedExample],
    batch_size: int,
    layout: Layout,
) -> float:
    """Mean cross-entropy per answer token (nats) over ``examples``, without gradients."""
    model.eval()
    ordered = sorted(examples, key=lambda example: example.length)
    total, count = 0.0, 0
    with torch.inference_mode(), layout.passing():
        for batch in layout.batches(ordered, batch_size):
            total += float(summed_loss(model, batch))
            count += batch.label_tokens
    whole, tokens = layout.peers.totals([total, count])
    return whole / tokens


def summed_divergence(model: Any, base: Predictions, batch: Batch) -> torch.Tensor:
    """KL(base || model) summed over the batch's answer tokens (nats), a scalar with gradient.

    Of the next-token distributions p (base) and q (model): sum over the vocabulary of
    p * (log p - log q). The base has no gradient.
    """
    batch = batch.to(model.device)
    of_base = torch.log_softmax(base(batch), dim=-1)
    of_model = torch.log_softmax(answer_logits(model, batch), dim=-1)
    return torch.nn.functional.kl_div(of_model, of_base, reduction="sum", log_target=True)


def predictions_of_base(model: Any) -> Predictions:
    """What the model predicts as it now is, before training, at any later time.

    Under an adapter the base is still there: the adapter is switched off for its forward pass.
    Full fine-tuning overwrites it, so that a frozen copy is kept: 2 bytes a weight in bfloat16,
    beside the 16 that such training takes. Keeping its predictions instead would take
    tokens x vocabulary numbers (256 texts of 64 tokens over 49,152 words: 1.6 GB in bfloat16,
    six times the weights of the 135 million of the packaged model). The copy lies in the memory
    of the process, and so counts in the peak that is recorded.
    """
    if hasattr(model, "disable_adapter"):
        return lambda batch: _plainly(model, batch, model.disable_adapter())
    return predictions_of(copy.deepcopy(model).requires_grad_(False))


def predictions_of(frozen: Any) -> Predictions:
    """What a model that nothing trains predicts."""
    return lambda batch: _plainly(frozen, batch, contextlib.nullcontext())


def _plainly(
    model: Any, batch: Batch, state: contextlib.AbstractContextManager[Any]
) -> torch.Tensor:
    # In training mode dropout would blur the base.
    with torch.no_grad(), evaluating(model), state:
        return answer_logits(model, batch)
