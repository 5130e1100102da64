"""Training rows as an instruction is tried on them: what was asked, replied and wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Example


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """One training row, answered under an instruction."""

    shown: str
    """The item as its template renders it."""
    right: str
    """The right answer."""
    reply: str
    """What was replied."""
    value: float
    """The primary metric, so that higher is better: negative where it is one of which less is."""
    faults: tuple[str, ...]
    """What is wrong with the reply, a sentence each."""
    tokens: int
    """Of its prompt and its reply."""


class UnusableError(Exception):
    """A proposal cannot be used; says why."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        self.final = final
        """Whether every further one would meet the same."""
        super().__init__(why)


Answer = Callable[[str, Sequence[Example]], list[AnsweredRow]]
"""Instruction and rows -> the rows answered; raises UnusableError where nobody can be asked so."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Training rows, divided for the writing."""

    compared: tuple[Example, ...]
    """Rows on which wordings are compared."""
    shown: tuple[Example, ...]
    """Rows that proposals are written from, none of them in ``compared`` or in a group with it."""


def divided(train: Sequence[Example], rows: int, rng: np.random.Generator) -> Pools:
    """Divide training rows for the writing, groups whole.

    Args:
        rows: number of rows to compare on; at most about half of all are taken.
        rng: the only source of randomness.
    """
    groups: dict[str, list[Example]] = {}
    for item in train:
        groups.setdefault(item.group, []).append(item)
    names = list(groups)
    wanted = min(rows, len(train) // 2)
    compared: list[Example] = []
    shown: list[Example] = []
    for place in rng.permutation(len(names)).tolist():
        members = groups[names[place]]
        (compared if len(compared) < wanted else shown).extend(members)
    # A large group may hold more than are wanted.
    return Pools(tuple(compared[: max(wanted, 0)]), tuple(shown))


__all__ = ["Answer", "AnsweredRow", "Pools", "UnusableError", "divided"]
