"""Tokens that an arm was trained on, where all of its trainings say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.records import TrialCost, TrialSummary


def mean_tokens(costs: Sequence[TrialCost]) -> int | None:
    """Tokens trained on in one run; None where a command of the user's did not say."""
    known = [cost.train_tokens for cost in costs if cost.train_tokens is not None]
    if len(known) < len(costs):
        return None
    return round(float(np.mean(known))) if known else 0


def search_tokens(search: Sequence[TrialSummary]) -> int | None:
    """Tokens trained on over the search, of every trial that reported a cost, failed ones too.

    None where one is of a command of the user's that did not say.
    """
    every = {trial.trial_id: trial for trial in search}.values()
    tokens = [trial.cost.train_tokens for trial in every if trial.cost]
    known = [number for number in tokens if number is not None]
    return sum(known) if len(known) == len(tokens) else None


__all__ = ["mean_tokens", "search_tokens"]
