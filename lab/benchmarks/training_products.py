"""What the linear layers of a training take by themselves: the machine's own limit."""

from __future__ import annotations

import time

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
    a token is predicted. One layer after the other, as in a pass, so that weights come from memory.
    Products of adapters are left out. The best of several rounds.
    """
    loaded = load_base(work.model, work.runtime)
    layout = Layout(loaded.model, work.tokenizer.pad_token_id, SingleProcess())
    ordered, size = work.ordered, work.batch_size
    for start in range(0, len(ordered), size):
        for _ in layout.batches(ordered[start : start + size], size):
            pass
    done, head = layout.work, loaded.model.get_output_embeddings()
    passing = [
        _Layer(
            layer.weight.data,
            round((done.predicted if layer is head else done.read) / done.passes),
        )
        for layer in loaded.model.modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for layer in passing:
            layer.forward()
        for layer in reversed(passing):
            layer.backward(trained=work.kind == "full")
        if loaded.model.device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best * done.passes


class _Layer:
    """The products of one layer.

    Args:
        weight: shape (outputs, inputs).
        rows: tokens of a pass.
    """

    def __init__(self, weight: torch.Tensor, rows: int) -> None:
        self._weight = weight
        self._given, self._gradient = (
            torch.randn(rows, size, device=weight.device).to(weight.dtype)
            for size in reversed(weight.shape)
        )

    def forward(self) -> torch.Tensor:
        """The output."""
        return self._given @ self._weight.T

    def backward(self, *, trained: bool) -> None:
        """The gradient of the input and, if wanted, that of the weight."""
        self._gradient @ self._weight
        if trained:
            self._gradient.T @ self._given
