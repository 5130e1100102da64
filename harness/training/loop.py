"""The training loop: a generator of step reports, so that whoever watches decides when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from harness.errors import TrialError
from harness.prompting import TokenisedExample
from harness.prompting.shared_prefix import prefix_cache
from harness.records import StepReport
from harness.training.batches import Batch, collate, epoch_batches
from harness.training.master_weights import MasterWeightAdamW
from harness.training.schedule import learning_rate_at


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Hyperparameters of the loop; meanings and defaults are in :mod:`harness.spec.arms`."""

    learning_rate: float
    epochs: int
    batch_size: int
    micro_batch_size: int
    schedule: str
    warmup: float
    weight_decay: float
    max_grad_norm: float

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> TrainingSettings:
        """Take the loop's part of an arm's resolved hyperparameters."""
        return cls(**{name: params[name] for name in cls.__dataclass_fields__})


def train(
    model: Any,
    examples: Sequence[TokenisedExample],
    settings: TrainingSettings,
    pad: int,
    rng: np.random.Generator,
    validation: Sequence[TokenisedExample] = (),
) -> Iterator[StepReport]:
    """Train ``model`` in place, yielding one report per optimiser step.

    The loss is the mean cross-entropy over all answer tokens of the whole batch, however it is
    cut into micro-batches. ``validation`` loss is measured at the end of each epoch.

    Raises:
        TrialError: ``nan_loss`` when loss or gradient is no longer finite.
    """
    if not examples:
        raise TrialError("error", "there is no training example")
    lengths = [example.length for example in examples]
    per_epoch = math.ceil(len(examples) / settings.batch_size)
    steps = per_epoch * settings.epochs
    optimiser = MasterWeightAdamW(model.parameters(), settings.weight_decay)
    began, tokens, step = time.perf_counter(), 0, 0
    model.train()
    for epoch in range(settings.epochs):
        for position, indices in enumerate(epoch_batches(lengths, settings.batch_size, rng)):
            rate = learning_rate_at(
                step, steps, settings.learning_rate, settings.warmup, settings.schedule
            )
            micro = settings.micro_batch_size
            parts = [
                collate([examples[i] for i in indices[start : start + micro]], pad)
                for start in range(0, len(indices), micro)
            ]
            loss = _accumulate(model, parts)
            norm = optimiser.step(rate, settings.max_grad_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrialError(
                    "nan_loss",
                    f"loss {loss:g}, gradient norm {norm:g} at step {step + 1} of {steps} with "
                    f"learning rate {rate:.2g}; a lower rate usually cures it",
                )
            tokens += sum(part.tokens for part in parts)
            step += 1
            measured = None
            if validation and position == per_epoch - 1:
                measured = mean_loss(model, validation, pad, micro)
                model.train()
            yield StepReport(
                step=step,
                steps=steps,
                epoch=epoch + (position + 1) / per_epoch,
                loss=loss,
                learning_rate=rate,
                grad_norm=norm,
                tokens=tokens,
                seconds=time.perf_counter() - began,
                validation_loss=measured,
            )
    model.eval()


def mean_loss(model: Any, examples: Sequence[TokenisedExample], pad: int, batch_size: int) -> float:
    """Mean cross-entropy per answer token (nats) over ``examples``, without gradients."""
    model.eval()
    ordered = sorted(examples, key=lambda example: example.length)
    total, count = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(ordered), batch_size):
            batch = collate(ordered[start : start + batch_size], pad)
            total += float(summed_loss(model, batch))
            count += batch.label_tokens
    return total / count


def summed_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Cross-entropy summed over the batch's answer tokens (nats), a scalar with gradient."""
    batch = batch.to(model.device)
    kept = batch.labels.shape[1]
    shared = batch.prefix.shape[1] > 0
    cache = prefix_cache(model, batch.prefix, len(batch.input_ids)) if shared else None
    logits = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        past_key_values=cache,
        logits_to_keep=kept + 1,
        use_cache=shared,
    ).logits
    wanted = batch.labels != -100
    # Only predicted positions are cast to fp32: the vocabulary makes the rest expensive.
    return torch.nn.functional.cross_entropy(
        logits[:, :-1][wanted].float(), batch.labels[wanted], reduction="sum"
    )


def _accumulate(model: Any, parts: Sequence[Batch]) -> float:
    total = sum(part.label_tokens for part in parts)
    loss = 0.0
    for part in parts:
        share = summed_loss(model, part) / total
        share.backward()
        loss += float(share.detach())
    return loss
