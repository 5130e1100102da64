"""What more of the same would take, from what a study took on its own machine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.analysis.statistics.scores import BASE, DOMAIN, Scores, aggregates
from harness.records import Phase, SuiteKind, TrialSummary


class StepTimes:
    """Seconds of the trials of a study, and of their scoring; None where they were not noted."""

    def __init__(self, scores: Scores) -> None:
        self._scores = scores
        self._arms = tuple(scores.experiment.arms)

    def trial(self, arm: str, phase: Phase = "search") -> float | None:
        """Mean seconds of a complete trial of an arm; of its finalists where it has no other."""
        trials = self._scores.complete(arm, phase) or self._scores.finalists(arm)
        return _mean(map(_seconds, trials))

    def another_seed(self) -> float | None:
        """Seconds of one more final run of every arm."""
        return _sum(self.trial(arm, "finalist") for arm in self._tested())

    def training(self, arm: str) -> float | None:
        """Mean seconds that a final run of an arm trains."""
        return _mean(t.cost.train_seconds if t.cost else None for t in self._scores.finalists(arm))

    def test_again(self) -> float | None:
        """Seconds to score all final runs on as many test items as there are now."""
        return self._scoring("domain")

    def general_again(self) -> float | None:
        """Seconds to score the base and all final runs on as many general items as now."""
        return self._scoring("general")

    def _scoring(self, suite: SuiteKind) -> float | None:
        runs = [t for arm in self._tested() for t in self._scores.finalists(arm)]
        if suite == "general":
            runs = [t for t in runs if any(a.suite == suite for a in t.aggregates)]
            runs += self._scores.complete(BASE, "baseline")
        return _sum(_scored(trial, suite) for trial in runs)

    def _tested(self) -> list[str]:
        return [arm for arm in self._arms if self._scores.finalists(arm)]


def _scored(trial: TrialSummary, suite: SuiteKind) -> float | None:
    """Seconds that a trial's scores of a suite took, whoever computed them."""
    found = aggregates([trial], suite, "test") if suite == DOMAIN else trial.aggregates
    tasks = {(a.task, a.split): a.seconds for a in found if a.suite == suite}
    return float(sum(tasks.values())) if tasks and np.isfinite([*tasks.values()]).all() else None


def _seconds(trial: TrialSummary) -> float | None:
    cost = trial.cost
    return None if cost is None else cost.load_seconds + cost.train_seconds + cost.score_seconds


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None where one is not known, or there is none."""
    every = list(values)
    known = [value for value in every if value is not None]
    return float(sum(known)) if known and len(known) == len(every) else None


__all__ = ["StepTimes"]
