"""The processes that train one model together, each on its share of every batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch

T = TypeVar("T")


class Peers(Protocol):
    """One of ``count`` processes that hold the same weights and draw the same batches.

    A batch's loss is a sum over its tokens divided by their number, so the gradients of the shares
    add up to that of the whole batch, however the tokens fall.
    """

    in_step: bool
    """Every process must make the same passes through the model in the same order, since they
    exchange weights within them."""

    rank: int
    """Number of this process among them, from 0."""

    @property
    def first(self) -> bool:
        """Whether this is the process that reports."""
        ...

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """This process's part of what all of them do together; may be empty."""
        ...

    def rounds(self, length: int, size: int) -> int:
        """Passes in which shares of ``length`` things, ``size`` at once, are through everywhere."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Add this process's part of the loss to the gradients."""
        ...

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each trainable weight's gradient by its sum over all processes."""
        ...

    def totals(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all processes."""
        ...

    def divide_again(self, model: Any) -> None:
        """Leave this process its part alone of weights that a pass put together."""
        ...


class SingleProcess:
    """A single process: everything is its own."""

    first = True
    rank = 0
    in_step = False

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """All of what is to be done."""
        return whole

    def rounds(self, length: int, size: int) -> int:
        """As many passes as the whole takes."""
        return -(-length // size)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the loss, which is whole already, to the gradients."""
        loss.backward()

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Do nothing: gradients are whole already."""

    def totals(self, values: Sequence[float]) -> list[float]:
        """The values as they are."""
        return list(values)

    def divide_again(self, model: Any) -> None:
        """Do nothing: nothing is divided."""
