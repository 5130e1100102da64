"""How sure arms are that choose among all allowed answers, and how right."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings.contrast import Interval


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Replies of which an arm is about equally sure."""

    items: int
    """Number of replies, over all seeds."""
    confidence: float
    """Mean confidence of them, 0 to 1."""
    accuracy: float
    """Share of them that are exactly right, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """What would be if the least sure replies went to a person instead."""

    abstained: float
    """Share of items without a reply, 0 to 1."""
    accuracy: float
    """Share of the other replies that are exactly right, mean over seeds."""
    accuracy_of_abstained: float
    """The same of the replies that are held back."""


@dataclass(frozen=True, slots=True)
class ArmConfidence:
    """The confidence of one arm, against how often it is right."""

    arm: str
    """Name of the arm."""
    items: int
    """Number of replies, over all seeds."""
    calibration_error: float
    """Expected calibration error, 0 to 1: mean gap of confidence and accuracy over ``bins``, what
    chance makes of it included; lower is better."""
    gap: float
    """Root mean square of the gap, 0 to 1, without what chance makes of it; lower is better."""
    interval: Interval | None
    """Confidence interval of ``gap``; None with fewer than two clusters."""
    bins: tuple[ConfidenceBin, ...]
    """Equally many replies each, the least sure first."""
    abstentions: tuple[Abstention, ...]
    """For 10, 20 and 30 % of the items."""


__all__ = ["Abstention", "ArmConfidence", "ConfidenceBin"]
