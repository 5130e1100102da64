"""Two sides on the same work, alternating: whatever else a machine does meets both alike."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(slots=True)
class Pairs(Generic[R]):
    """Seconds of each side, pair by pair, and what each returned."""

    peer_seconds: list[float] = field(default_factory=list)
    """Seconds of the peer, one a pair."""
    own_seconds: list[float] = field(default_factory=list)
    """Seconds of the product, one a pair."""
    peer_results: list[R] = field(default_factory=list)
    """What the peer returned, one a pair."""
    own_results: list[R] = field(default_factory=list)
    """What the product returned, one a pair."""

    @property
    def ratios(self) -> list[float]:
        """How many times as long the peer took, pair by pair."""
        return [a / b for a, b in zip(self.peer_seconds, self.own_seconds, strict=True)]

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)


def alternate(
    peer: Callable[[], R],
    own: Callable[[], R],
    pairs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Pairs[R]:
    """Run both sides ``pairs`` times; which of them is first changes from pair to pair.

    Args:
        clock: seconds; ``time.thread_time`` tells those of the processor, in one thread, where
            other work runs beside.
    """
    found: Pairs[R] = Pairs()
    for number in range(pairs):
        sides = [
            (peer, found.peer_seconds, found.peer_results),
            (own, found.own_seconds, found.own_results),
        ]
        for call, seconds, results in sides if number % 2 == 0 else reversed(sides):
            gc.collect()
            began = clock()
            result = call()
            seconds.append(clock() - began)
            results.append(result)
    return found


HEADER = "| work | pairs | peer, s | harness, s | times as fast (least to greatest) | results |\n"
HEADER += "| --- | --- | --- | --- | --- | --- |"


def row(work: str, found: Pairs[R], agreement: str) -> str:
    """A line of the table under :data:`HEADER`: medians, and the pairs' ratios."""
    cells: Sequence[str] = (
        work,
        str(len(found.ratios)),
        f"{statistics.median(found.peer_seconds):.2f}",
        f"{statistics.median(found.own_seconds):.2f}",
        f"{found.ratio:.2f} ({min(found.ratios):.2f} to {max(found.ratios):.2f})",
        agreement,
    )
    return "| " + " | ".join(cells) + " |"


def machine() -> str:
    """What the figures were measured on, in a line."""
    import psutil
    import torch

    memory = psutil.virtual_memory().total / 2**30
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return (
        f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads, "
        f"{memory:.0f} GiB, {device}, torch {torch.__version__}"
    )
