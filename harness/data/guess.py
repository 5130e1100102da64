"""A guess and why it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Guess(Generic[V]):
    """A value and the reason for it, a sentence's end."""

    value: V
    why: str
