"""What is claimed of many studies of one design."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.findings import Findings
from lab.simulation.study_design import Design

# Draws of every bootstrap in simulated studies.
RESAMPLES = 1000

Measure = Callable[[Findings, Design], float | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A share of studies, or a mean over them, and the range in which it is promised to lie."""

    text: str
    """The claim in words."""
    measure: Measure
    """True where the event happened, False where not, None where the study cannot tell; of a mean
    the value itself."""
    low: float
    """Lower end of the range."""
    high: float
    """Upper end of the range."""
    mean: bool = False
    """The claim is on a mean, not on a share."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A design with the claims tried on it."""

    name: str
    """Name of the scenario."""
    design: Design
    """What its studies are like."""
    claims: tuple[Claim, ...]
    """Claims that are tried on them."""
    at_detectable: bool = False
    """The design's gain is set to the smallest difference that such studies say they can find."""


__all__ = ["RESAMPLES", "Claim", "Measure", "Scenario"]
