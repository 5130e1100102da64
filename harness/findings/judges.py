"""What is known of the judges whose marks a study has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgeUse:
    """A judge, and what was seen of it."""

    metric: str
    """Name of the metric that is its mark."""
    judge: str
    """Name of the judge in the experiment."""
    by: str
    """Its model."""
    rubric: str
    """What it judges by."""
    worst: float
    """The worst mark."""
    best: float
    """The best mark."""
    moved: float | None
    """How far an instruction within replies moved its marks: the mean over final runs of the mean
    mark with one less that without, in marks; None where that was not tried."""
    obeys: bool
    """Whether that is more than a tenth of the scale, or most of the room that good replies leave,
    so that replies can ask for marks."""
    human_items: int
    """Number of items of which people have marked replies."""


@dataclass(frozen=True, slots=True)
class JudgeCost:
    """What all judges of a study took, which no arm's cost holds."""

    seconds: float
    """Wall time."""
    tokens: float
    """Tokens that they read and wrote; marks that were known are not counted."""
    money: float | None
    """Price of the machine for local judges and what servers charged, in the study's currency."""


__all__ = ["JudgeCost", "JudgeUse"]
