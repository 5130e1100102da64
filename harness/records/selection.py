"""Which of its trials a search selects: one rule for the run and for the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar


class Worth(NamedTuple):
    """What settings and arms are ranked by; the greater is the better.

    Where no bound says what a reply without a score is worth at least, nothing that stands in for
    it is sure to be the worst: who lacks a score ranks behind all that have every one.
    """

    whole: bool
    """Whether every reply has a score, or the metric a bound that stands for those without."""
    value: float
    """Score on validation, signed so that higher is better; -inf where there is none."""


NO_WORTH = Worth(False, float("-inf"))


class Scored(Protocol):
    """A trial with a score, as far as the rule looks at it."""

    @property
    def number(self) -> int:
        """Place in its search, from 0."""

    @property
    def worth(self) -> Worth:
        """Score on validation, as it is ranked."""

    @property
    def general_change(self) -> float | None:
        """Mean change of the general tasks against the base, -1 to 1, negative is a loss; None
        where it was not measured."""


T = TypeVar("T", bound=Scored)


def loss_beyond_margin(change: float | None, margin: float | None) -> float | None:
    """Loss of general abilities above what is accepted; at most 0 is kept.

    Args:
        change: as :attr:`Scored.general_change`.
        margin: accepted loss, 0 to 1; None where the search does not look at it.

    Returns:
        None where no loss counts: there is no margin, or nothing was measured.
    """
    if margin is None or change is None:
        return None
    # Rounded, so that a loss of just the margin, which is a mean of shares, is no excess.
    return round(-change - margin, 12)


def keeps_abilities(change: float | None, margin: float | None) -> bool:
    """Whether no more than the margin is known to be lost."""
    excess = loss_beyond_margin(change, margin)
    return excess is None or not excess > 0


def selected(trials: Iterable[T], margin: float | None) -> T | None:
    """The trial to go on with; None among none.

    The highest score among those that keep general abilities within the margin, the earliest of
    equals; where none keeps them, the one that loses least.
    """
    by_number = sorted(trials, key=lambda trial: trial.number)
    kept = [trial for trial in by_number if keeps_abilities(trial.general_change, margin)]
    if kept:
        return max(kept, key=lambda trial: trial.worth)
    return max(by_number, key=lambda trial: trial.general_change or 0.0, default=None)


__all__ = ["NO_WORTH", "Scored", "Worth", "keeps_abilities", "loss_beyond_margin", "selected"]
