"""The training loop: a generator of step reports, so that whoever watches decides when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import TrialError
from harness.prompting import TokenisedExample
from harness.records import StepReport
from harness.training.batches import Batch, Layout, epoch_batches
from harness.training.general_text import TextStream, replayed_per_epoch, spread
from harness.training.losses import (
    Predictions,
    mean_loss,
    predictions_of_base,
    summed_divergence,
    summed_loss,
)
from harness.training.master_weights import MasterWeightAdamW
from harness.training.peers import Alone, Peers
from harness.training.schedule import learning_rate_at

# Texts a step on which the model is held to its base: few, so that a step costs at most about
# twice, and fresh ones each step, so that all of them count in time.
KL_TEXTS = 4


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
    replay: float = 0.0
    kl_weight: float = 0.0

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> TrainingSettings:
        """Take the loop's part of an arm's resolved hyperparameters."""
        return cls(**{name: params[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class _StepExamples:
    """What one step learns from: the task, general texts to repeat, texts to hold to the base."""

    task: Sequence[TokenisedExample]
    replayed: Sequence[TokenisedExample]
    held: Sequence[TokenisedExample]

    @property
    def tokens(self) -> int:
        return sum(e.length for part in (self.task, self.replayed, self.held) for e in part)


def train(
    model: Any,
    examples: Sequence[TokenisedExample],
    settings: TrainingSettings,
    pad: int,
    rng: np.random.Generator,
    validation: Sequence[TokenisedExample] = (),
    *,
    texts: Sequence[TokenisedExample] = (),
    checks_per_epoch: int = 1,
    peers: Peers | None = None,
    base: Predictions | None = None,
    trees: bool | None = None,
) -> Generator[StepReport]:
    """Train ``model`` in place, yielding one report per optimiser step.

    With answers A and, where ``replay`` asks for them, texts R in the batch, and texts K to hold
    to the base where ``kl_weight`` is above 0, a step minimises

        mean over the tokens of A and R of the cross-entropy
        + kl_weight * mean over the tokens of K of KL(base || model),

    in nats, however the batch is cut into micro-batches and over processes. Texts come on top of
    ``batch_size``, so that a step learns the same of the task with them as without; over an
    epoch, they are the share ``replay`` of all sequences, evenly spread over its steps. The
    reported loss is that of A alone: trials with and without texts can be compared.

    Parameters:
        texts: general texts, drawn without replacement until all have been seen.
        checks_per_epoch: how often ``validation`` loss is measured, at equal distances, the last
            time at the epoch's end; after every step where an epoch has fewer.
        peers: the processes that train together; alone if not given. Each is to be given the
            same arguments otherwise.
        base: what the base predicts; by default what ``model`` does before the first step.
        trees: whether ``model`` takes trees (:mod:`harness.prompting.tree_pass`); asked if None.

    Raises:
        TrialError: ``nan_loss`` when loss or gradient is no longer finite.
    """
    if not examples:
        raise TrialError("error", "there is no training example")
    if (settings.replay or settings.kl_weight) and not texts:
        raise TrialError("error", "replay and kl_weight need general texts, and there is none")
    peers = peers or Alone()
    lengths = [example.length for example in examples]
    per_epoch = math.ceil(len(examples) / settings.batch_size)
    steps = per_epoch * settings.epochs
    checks = {round(per_epoch * (k + 1) / checks_per_epoch) for k in range(checks_per_epoch)}
    if settings.kl_weight and base is None:
        base = predictions_of_base(model)
    # Streams of their own leave the order of the task's batches as it is without texts.
    replay_stream, kl_stream = (TextStream(texts, own) for own in rng.spawn(2))
    replayed = spread(replayed_per_epoch(len(examples), settings.replay), per_epoch)
    layout = Layout(model, pad, peers, trees)
    optimiser = MasterWeightAdamW(model.parameters(), settings.weight_decay)
    began, tokens, step = time.perf_counter(), 0, 0
    model.train()
    for epoch in range(settings.epochs):
        for position, indices in enumerate(epoch_batches(lengths, settings.batch_size, rng)):
            rate = learning_rate_at(
                step, steps, settings.learning_rate, settings.warmup, settings.schedule
            )
            batch = _StepExamples(
                [examples[i] for i in indices],
                replay_stream.take(replayed[position]),
                kl_stream.take(KL_TEXTS if settings.kl_weight else 0),
            )
            loss = _accumulate(model, batch, settings, layout, base, peers)
            peers.add_gradients(model.parameters())
            norm = optimiser.step(rate, settings.max_grad_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrialError(
                    "nan_loss",
                    f"loss {loss:g}, gradient norm {norm:g} at step {step + 1} of {steps} with "
                    f"learning rate {rate:.2g}; a lower rate usually cures it",
                )
            tokens += batch.tokens
            step += 1
            measured = None
            if validation and position + 1 in checks:
                measured = mean_loss(model, validation, settings.micro_batch_size, layout)
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


def _accumulate(
    model: Any,
    step: _StepExamples,
    settings: TrainingSettings,
    layout: Layout,
    base: Predictions | None,
    peers: Peers,
) -> float:
    """Add the step's gradient to the weights; returns the mean loss of the task's answers."""

    def parts(whole: Sequence[TokenisedExample]) -> Iterator[Batch]:
        return layout.batches(whole, settings.micro_batch_size)

    answers = _answer_tokens(step.task)
    learnt = answers + _answer_tokens(step.replayed)
    loss = 0.0
    for part in parts(step.task):
        share = summed_loss(model, part) / learnt
        peers.backward(share)
        loss += float(share.detach())
    for part in parts(step.replayed):
        peers.backward(summed_loss(model, part) / learnt)
    if base is not None and step.held:
        scale = settings.kl_weight / _answer_tokens(step.held)
        for part in parts(step.held):
            peers.backward(scale * summed_divergence(model, base, part))
    (whole,) = peers.totals([loss])
    return whole * (learnt / answers)


def _answer_tokens(examples: Sequence[TokenisedExample]) -> int:
    return sum(len(example.answer) for example in examples)
