"""Why a search ended, as the run notes it in an event ``search_ended``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndReason = Literal["budget_spent", "settings_exhausted"]
# Of a written instruction, the chance at which it is kept. As where it is seen whether wording
# matters at all: to drop a better prompt is a mistake too.
KEPT_LEVEL = 0.1


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
class Confirmation:
    """Whether a written instruction does better than the task's own on rows that are fresh to it.

    Both are tried at the arm's default setting, on validation rows, none of which it was written
    from.
    """

    instruction: str
    """What was written."""
    items: int
    """Validation rows on which both have a score; where one was stopped early, those up to there.
    """
    written: float | None
    """Mean of the primary metric over these rows under what was written; None without any."""
    own: float | None
    """The same under the task's own."""
    p_value: float | None
    """Chance, 0 to 1, that what does no better looks as good or better (one-sided, rows paired);
    None where it was not seen through."""
    kept: bool
    """It may be selected: its score is the better one, and that is no chance."""


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
    confirmation: Confirmation | None = None
    """Whether what was written is kept; None where nothing was, or the task's own has no score."""


__all__ = ["KEPT_LEVEL", "Confirmation", "EndReason", "SearchBudget", "SearchEnded"]
