"""The processes that train one model together, each on its share of every batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import torch

T = TypeVar("T")


class Peers(Protocol):
    """One of ``count`` processes that hold the same weights and draw the same batches.

    A batch's loss is a sum over its tokens divided by their number, so the gradients of the
    shares add up to that of the whole batch, however the tokens fall.

    in_step: every process must make the same passes through the model in the same order, since
        they exchange weights within them.
    """

    in_step: bool

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


class Alone:
    """A single process: everything is its own."""

    first = True
    in_step = False

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """All of it."""
        return whole

    def rounds(self, length: int, size: int) -> int:
        """As many as it takes."""
        return -(-length // size)

    def backward(self, loss: torch.Tensor) -> None:
        """The loss is whole already."""
        loss.backward()

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """They are whole already."""

    def totals(self, values: Sequence[float]) -> list[float]:
        """The values as they are."""
        return list(values)
