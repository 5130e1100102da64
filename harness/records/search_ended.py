"""Why a search ended, as the run notes it in an event ``search_ended``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndReason = Literal["budget_spent", "settings_exhausted"]


@dataclass(frozen=True, slots=True)
class SearchBudget:
    """What a search might spend."""

    trials: int
    """Number of trials."""
    tokens: int | None
    """Tokens trained on or scored; None sets no limit."""
    minutes: float | None
    """Wall time in minutes, its trials added up; None sets no limit."""


@dataclass(frozen=True, slots=True)
class SearchEnded:
    """The end of one search of an arm, and what it had taken by then."""

    arm: str
    """Name of the arm."""
    repeat: int
    """Which of the arm's searches, from 0."""
    reason: EndReason
    """Whether a budget was spent, or every setting of a finite space was tried."""
    limit: str
    """``trials``, ``tokens`` or ``minutes``, whichever was reached first; empty unless a budget was
    spent."""
    trials: int
    """Number of trials that were asked for, those that failed or were stopped included."""
    tokens: int
    """Tokens that were trained on or scored."""
    minutes: float
    """Wall time in minutes, its trials added up."""
    budget: SearchBudget
    """The budget in force."""
    written: int = 0
    """Trials of the budget that writing an instruction took before, counted in tokens; its tokens
    and minutes are in the others."""


__all__ = ["EndReason", "SearchBudget", "SearchEnded"]
