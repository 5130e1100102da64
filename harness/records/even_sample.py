"""A few of many items, spread evenly through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def even_sample(items: Sequence[T], most: int | None) -> Sequence[T]:
    """At most so many of the items, at equal distances from the first on; all where it is None."""
    if most is None or len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]


__all__ = ["even_sample"]
