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
    """

    @property
    def first(self) -> bool:
        """Whether this is the process that reports."""
        ...

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """This process's part of what all of them do together; may be empty."""
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

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """All of it."""
        return whole

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """They are whole already."""

    def totals(self, values: Sequence[float]) -> list[float]:
        """The values as they are."""
        return list(values)
