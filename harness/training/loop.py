"""The training loop: a generator of step reports, so that whoever watches decides when to stop."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from harness.errors import TrialError
from harness.prompting import TokenisedExample
from harness.records import ModelWork, StepReport
from harness.spec.settings import TrainedSettings
from harness.training.batches import Batch, Layout, epoch_batches
from harness.training.best_weights import BestWeights
from harness.training.general_text import TextStream, replayed_per_epoch, spread
from harness.training.losses import (
    Predictions,
    mean_loss,
    predictions_of_base,
    summed_divergence,
    summed_loss,
)
from harness.training.master_weights import MasterWeightAdamW
from harness.training.peers import Peers, SingleProcess
from harness.training.resumption import Resumption
from harness.training.schedule import learning_rate_at

Judge = Callable[[], float]
"""The primary metric of the model's replies to the rows of the validation loss, as it is then."""

# Texts a step on which the model is held to its base: few, so that a step costs at most about
# twice, and fresh ones each step, so that all of them count in time.
KL_TEXTS = 4


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step learns from."""

    task: Sequence[TokenisedExample]
    """Examples of the task."""
    replayed: Sequence[TokenisedExample]
    """General texts to repeat."""
    held: Sequence[TokenisedExample]
    """General texts on which the model is held to its base."""
    epoch: float
    """Passes over the training split after it."""
    checked: bool
    """Validation loss is measured after it."""
    seed: int
    """Seed of its dropout."""

    @property
    def tokens(self) -> int:
        return sum(e.length for part in (self.task, self.replayed, self.held) for e in part)


def train(
    model: Any,
    examples: Sequence[TokenisedExample],
    settings: TrainedSettings,
    pad: int,
    rng: np.random.Generator,
    validation: Sequence[TokenisedExample] = (),
    *,
    texts: Sequence[TokenisedExample] = (),
    checks_per_epoch: int = 1,
    peers: Peers | None = None,
    base: Predictions | None = None,
    trees: bool | None = None,
    best: BestWeights | None = None,
    resumption: Resumption | None = None,
    judge: Judge | None = None,
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

    Args:
        texts: general texts, drawn without replacement until all have been seen.
        checks_per_epoch: how often ``validation`` loss is measured, at equal distances, the last
            time at the epoch's end; after every step where an epoch has fewer.
        peers: the processes that train together; alone if not given. Each is to be given the
            same arguments otherwise.
        base: what the base predicts; by default what ``model`` does before the first step.
        trees: whether ``model`` takes trees (:mod:`harness.models.tree_pass`); asked if None.
        best: takes in the weights of the best check; at the end ``model`` has those of the last
            step all the same.
        resumption: writes the training down as it goes. Where an earlier run left it written down,
            the steps that were done are reported again, and not made again.
        judge: scores the model at each check; None measures its loss alone.

    Raises:
        TrialError: ``nan_loss`` when loss or gradient is no longer finite.
    """
    if not examples:
        raise TrialError("error", "there is no training example")
    if settings.uses_general_text and not texts:
        raise TrialError("error", "replay and kl_weight need general texts, and there is none")
    peers = peers or SingleProcess()
    if settings.kl_weight and base is None:
        base = predictions_of_base(model)
    layout = Layout(model, pad, peers, trees)
    optimiser = MasterWeightAdamW(model.parameters(), settings.weight_decay)
    steps = math.ceil(len(examples) / settings.batch_size) * settings.epochs
    done = list(resumption.take_up(model, optimiser, best)) if resumption else []
    yield from done
    tokens = done[-1].tokens if done else 0
    began = time.perf_counter() - (done[-1].seconds if done else 0.0)
    model.train()
    drawn = _steps(examples, settings, texts, checks_per_epoch, rng)
    for number, step in enumerate(itertools.islice(drawn, len(done), None), len(done) + 1):
        rate = learning_rate_at(
            number - 1, steps, settings.learning_rate, settings.warmup, settings.schedule
        )
        layout.work = ModelWork()
        # A step draws its own dropout, whatever was drawn before, and each process another one.
        torch.manual_seed(step.seed + peers.rank)
        # Backward too: a pass that is computed again there must be the same pass.
        with layout.passing():
            loss = _accumulate(model, step, settings, layout, base, peers)
        peers.add_gradients(model.parameters())
        norm = optimiser.step(rate, settings.max_grad_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrialError(
                "nan_loss",
                f"loss {loss:g}, gradient norm {norm:g} at step {number} of {steps} with "
                f"learning rate {rate:.2g}; a lower rate usually cures it",
            )
        tokens += step.tokens
        work, measured, scored, before_check = layout.work, None, None, time.perf_counter()
        if validation and step.checked:
            measured = mean_loss(model, validation, settings.micro_batch_size, layout)
            scored = judge() if judge is not None else None
            model.train()
            peers.divide_again(model)
            if best is not None:
                best.look(model, number, measured, scored, last=number == steps)
        now = time.perf_counter()
        report = StepReport(
            step=number,
            steps=steps,
            epoch=step.epoch,
            loss=loss,
            learning_rate=rate,
            grad_norm=norm,
            tokens=tokens,
            seconds=now - began,
            validation_loss=measured,
            validation_score=scored,
            work=work,
            check_seconds=now - before_check if measured is not None else 0.0,
        )
        if resumption:
            done.append(report)
            resumption.after_step(model, optimiser, best, done)
        yield report
    model.eval()


def _steps(
    examples: Sequence[TokenisedExample],
    settings: TrainedSettings,
    texts: Sequence[TokenisedExample],
    checks_per_epoch: int,
    rng: np.random.Generator,
) -> Iterator[_Step]:
    """Every step of a training, in order: all that is drawn by chance is drawn here."""
    lengths = [example.length for example in examples]
    per_epoch = math.ceil(len(examples) / settings.batch_size)
    checks = {round(per_epoch * (k + 1) / checks_per_epoch) for k in range(checks_per_epoch)}
    # Streams of their own leave the order of the task's batches as it is without texts.
    replay_rng, kl_rng, dropout_rng = rng.spawn(3)
    replay_stream, kl_stream = TextStream(texts, replay_rng), TextStream(texts, kl_rng)
    replayed = spread(replayed_per_epoch(len(examples), settings.replay), per_epoch)
    for epoch in range(settings.epochs):
        for position, indices in enumerate(epoch_batches(lengths, settings.batch_size, rng)):
            yield _Step(
                [examples[i] for i in indices],
                replay_stream.take(replayed[position]),
                kl_stream.take(KL_TEXTS if settings.kl_weight else 0),
                epoch=epoch + (position + 1) / per_epoch,
                checked=position + 1 in checks,
                seed=int(dropout_rng.integers(2**62)),
            )


def _accumulate(
    model: Any,
    step: _Step,
    settings: TrainedSettings,
    layout: Layout,
    base: Predictions | None,
    peers: Peers,
) -> float:
    """Add the step's gradient to the weights.

    Returns:
        The mean loss of the task's answers, nats.
    """

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
    return sum(example.learnt_tokens for example in examples)
