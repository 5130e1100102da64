"""How far a judge's marks can be trusted, and what people's marks make of them."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings.contrast import Interval


@dataclass(frozen=True, slots=True)
class ArmBias:
    """How the judge marks the replies of one arm, against people."""

    arm: str
    """Name of the arm."""
    replies: int
    """Number of its replies that people marked."""
    bias: float
    """Mean of the judge's mark minus that of people, in marks; above 0 it is too kind."""
    interval: Interval | None
    """Confidence interval of ``bias``; None with fewer than two clusters."""


@dataclass(frozen=True, slots=True)
class CorrectedContrast:
    """The difference of two arms as the judge has it, and as people's marks correct it."""

    a: str
    """Name of the first arm."""
    b: str
    """Name of the second arm."""
    marked: int
    """Number of items of which people marked the replies of both."""
    judged: float
    """Mean of a - b as the judge has it, in marks."""
    judged_interval: Interval
    """Its interval, which takes the judge at its word."""
    corrected: float
    """Mean of a - b as people would have it."""
    interval: Interval
    """Its interval, which decides."""
    weight: float
    """How much of the judge is used, 0 to 1; 0 where its marks tell nothing about people's."""
    marks_needed: int
    """Items that people would have to mark for 80 % power, if the corrected difference, or else the
    margin, is true; never more than there are."""


@dataclass(frozen=True, slots=True)
class JudgeTrust:
    """One judge, held against people."""

    metric: str
    """Name of the metric, ``judge:NAME``."""
    primary: bool
    """Whether the verdict rests on it."""
    marked: int
    """Number of marks of people that belong to replies of the finalists."""
    unmatched: int
    """Number of marks that belong to no reply of the finalists to the test, and are left out."""
    kappa: float | None
    """Cohen's kappa with quadratic weights; None without marks, or where none differ."""
    kappa_interval: Interval | None
    """Confidence interval of ``kappa``; None where there is none."""
    correlation: float | None
    """Spearman's rank correlation; None without marks, or where none differ."""
    correlation_interval: Interval | None
    """Confidence interval of ``correlation``; None where there is none."""
    biases: tuple[ArmBias, ...] = ()
    """The arms of which replies were marked."""
    contrasts: tuple[CorrectedContrast, ...] = ()
    """The contrasts that are corrected; empty where too few items are marked."""


__all__ = ["ArmBias", "CorrectedContrast", "JudgeTrust"]
