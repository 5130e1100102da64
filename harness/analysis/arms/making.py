"""What was searched to make an arm: for its settings, and for the instruction of its training."""

from __future__ import annotations

from harness.analysis.statistics.scores import Scores
from harness.records import TrialSummary
from harness.spec.instruction_sources import instruction_source


def trials_to_make(scores: Scores, arm: str) -> list[TrialSummary]:
    """The trials of searches and writings that an arm could not be had without."""
    source = instruction_source(scores.experiment.arms[arm])
    return [*scores.upfront(arm), *(scores.upfront(source) if source else [])]


__all__ = ["trials_to_make"]
