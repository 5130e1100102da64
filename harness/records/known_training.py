"""What the training of an earlier trial left of itself, for one that takes over its weights."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records.trial_record import Canaries, Checkpoint, StepReport, TrialCost


@dataclass(frozen=True, slots=True)
class KnownTraining:
    """A training that came to its end, without its weights."""

    trial_id: str
    """The trial that trained."""
    steps: tuple[StepReport, ...]
    """Its optimiser steps."""
    canaries: Canaries | None
    """Its correctness checks."""
    checkpoint: Checkpoint | None
    """Which of its weights were kept; None where no validation loss was measured."""
    cost: TrialCost
    """What it took."""
    notes: dict[str, str]
    """What was noted of it, by name, as in a record's environment."""


__all__ = ["KnownTraining"]
