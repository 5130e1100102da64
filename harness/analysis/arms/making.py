"""What was searched to make an arm: for its settings, and for the instruction of its training."""

from __future__ import annotations

from harness.analysis.statistics.scores import Scores
from harness.records import TrialSummary
from harness.spec.instructions import instruction_source


def trials_to_make(scores: Scores, arm: str) -> list[TrialSummary]:
    """The search trials that an arm could not be had without."""
    source = instruction_source(scores.experiment.arms[arm])
    of_instruction = scores.trials(source, "search") if source else []
    return [*scores.trials(arm, "search"), *of_instruction]


__all__ = ["trials_to_make"]
