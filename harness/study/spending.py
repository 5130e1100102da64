"""What the trials of a search took of its budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from harness.records import TrialSummary


@dataclass(slots=True)
class Spent:
    """What the ended trials of an arm's search took."""

    tokens: int = 0
    """Tokens trained on and scored."""
    seconds: float = 0.0
    """Wall time of the trials added up."""

    def add(self, trial: TrialSummary, *, reused: bool = False) -> None:
        """Add what a trial trained on and scored.

        Args:
            reused: whether a score that another trial had before costs something, too.
        """
        scored = {
            (aggregate.suite, aggregate.task, aggregate.split): aggregate.items
            * (aggregate.prompt_tokens + aggregate.completion_tokens)
            for aggregate in trial.aggregates
            if (reused or not aggregate.reused) and not math.isnan(aggregate.prompt_tokens)
        }
        # A command of the user's need not say.
        trained = (trial.cost.train_tokens or 0) if trial.cost else 0
        self.tokens += trained + round(sum(scored.values())) + trial.tokens_of_other_ways
        began, ended = map(datetime.fromisoformat, (trial.started_at, trial.ended_at))
        self.seconds += (ended - began).total_seconds()


__all__ = ["Spent"]
