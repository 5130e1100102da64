"""What the rules of the next step ask of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.analysis.statistics.scores import Scores
from harness.analysis.steps.times import StepTimes
from harness.findings import ArmSummary, Contrast, Findings, NextStep
from harness.spec import Experiment


@dataclass(frozen=True, slots=True)
class Known:
    """A study and its findings."""

    scores: Scores
    """The study."""
    findings: Findings
    """What was found in it."""

    @property
    def experiment(self) -> Experiment:
        """The experiment as declared."""
        return self.scores.experiment

    @property
    def name(self) -> str:
        """Name of the study, as commands take it."""
        return self.experiment.name

    @property
    def times(self) -> StepTimes:
        """What its trials took."""
        return StepTimes(self.scores)

    @property
    def primary(self) -> Contrast | None:
        """The contrast that decides; None where nothing was compared."""
        return self.findings.primary

    @property
    def arms(self) -> Mapping[str, ArmSummary]:
        """The table of arms, by name."""
        return {row.arm: row for row in self.findings.arms}

    @property
    def pair(self) -> tuple[str, ...]:
        """The arms that met, a fine-tuned one first; empty where none did."""
        return (self.primary.a, self.primary.b) if self.primary else ()

    @property
    def open(self) -> Contrast | None:
        """The primary contrast, where it is not settled."""
        primary = self.primary
        return primary if primary is not None and primary.outcome == "inconclusive" else None

    @property
    def nothing_right(self) -> bool:
        """Neither arm has anything right, so that no number of items or seeds tells them apart."""
        return self.findings.verdict.rule == "nothing_right"

    def with_seeds(self, rule: str, wanted: int, changes: str) -> NextStep | None:
        """The step to so many seeds; None where the study has them."""
        declared = list(self.experiment.seeds)
        repeats = self.experiment.search.repeats
        wanted = math.ceil(wanted / repeats) * repeats
        missing = wanted - len(declared)
        if missing <= 0:
            return None
        fresh = [seed for seed in range(1, wanted + len(declared) + 1) if seed not in declared]
        one = self.times.another_seed()
        return NextStep(
            rule,
            f"Train and test with {wanted} seeds",
            (f"seeds: {declared + fresh[:missing]}",),
            command=False,
            changes=changes,
            seconds=None if one is None else one * missing,
        )


__all__ = ["Known"]
