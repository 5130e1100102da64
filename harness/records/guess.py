"""A guess and why it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Guess(Generic[V]):
    """A value and the reason for it."""

    value: V
    """The value."""
    why: str
    """The reason, as the end of a sentence."""
