"""Parts of an analysis that need nothing of one another, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What a function gives for each of the items, in their order.

    Threads suffice: what takes long is drawing random numbers, and NumPy lets others run
    meanwhile. A generator must not be shared, or its numbers would depend on who comes first.

    Raises:
        Exception: what the function raised for the first item for which it did.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


__all__ = ["each"]
