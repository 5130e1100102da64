"""What the linear layers of a training take by themselves: the machine's own limit."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from harness.models.load import load_base
from harness.training.batches import Layout
from harness.training.peers import SingleProcess
from lab.benchmarks.training_work import Work

ROUNDS = 3


def seconds_of_products(work: Work) -> float:
    """Seconds of every product that the base's linear layers need in training.

    On the tokens that the product sends through them, what a batch shares once: forward, for the
    gradient of the input and, where all weights are trained, for that of the weight; the head where
    a token is predicted. Products of adapters are left out. Each by one ``torch.matmul``, the best
    of several rounds.
    """
    loaded = load_base(work.model, work.runtime)
    layout = Layout(loaded.model, work.tokenizer.pad_token_id, SingleProcess())
    ordered, size = work.ordered, work.batch_size
    for start in range(0, len(ordered), size):
        for _ in layout.batches(ordered[start : start + size], size):
            pass
    done, head = layout.work, loaded.model.get_output_embeddings()
    seconds = 0.0
    for layer in loaded.model.modules():
        if isinstance(layer, torch.nn.Linear):
            rows = round((done.predicted if layer is head else done.read) / done.passes)
            trained = work.kind == "full"
            seconds += done.passes * _of_layer(layer.weight.data, rows, trained=trained)
    return seconds


def _of_layer(weight: torch.Tensor, rows: int, *, trained: bool) -> float:
    """Seconds of one pass of ``rows`` tokens, forward and backward."""
    given = torch.randn(rows, weight.shape[1], device=weight.device).to(weight.dtype)
    gradient = torch.randn(rows, weight.shape[0], device=weight.device).to(weight.dtype)
    sides: list[Callable[[], torch.Tensor]] = [lambda: given @ weight.T, lambda: gradient @ weight]
    if trained:
        sides.append(lambda: gradient.T @ given)
    return sum(min(_timed(side) for _ in range(ROUNDS)) for side in sides)


def _timed(product: Callable[[], torch.Tensor]) -> float:
    began = time.perf_counter()
    found = product()
    if found.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began
