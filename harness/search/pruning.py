"""Whether a running trial is worth going on with, by Optuna's own pruners.

The trials to compare with are part of the trial's specification, so the answer is the same in
every process and after every restart.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from statistics import fmean, median

import optuna
from optuna.trial import TrialState

from harness.records import Pruning, TrialCurve

# Below this many finished trials a median says little (Optuna's own default).
MEDIAN_STARTUP = 5
HALVING_FACTOR = 2


class Judge:
    """Follows one running trial. Higher values are better."""

    def __init__(self, pruning: Pruning) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.pruning = pruning
        self._study = optuna.create_study(
            direction="maximize",
            pruner=_pruner(pruning),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        for course in sorted(pruning.past, key=lambda curve: curve.number):
            self._replay(course)
        self._trial = self._study.ask()
        self._values: list[tuple[int, float]] = []

    @property
    def values(self) -> tuple[tuple[int, float], ...]:
        """What was reported so far."""
        return tuple(self._values)

    def should_prune(self, values: Sequence[tuple[int, float]]) -> bool:
        """Report (step, value) pairs and say whether the trial should stop.

        Raises:
            ValueError: a step was reported before.
        """
        known = {step for step, _ in self._values}
        for step, value in values:
            if step in known:
                raise ValueError(f"step {step} was reported before")
            self._trial.report(value, step)
            self._values.append((step, value))
        return self._trial.should_prune()

    def against(self) -> float:
        """What the trial is held against: the best one's mean on the same items, or the median.

        NaN where nothing comparable is known.
        """
        steps = {step for step, _ in self._values}
        last = max(steps, default=0)
        if self.pruning.pruner == "wilcoxon":
            comparable = [
                v for curve in self.pruning.past for step, v in curve.values if step in steps
            ]
            return fmean(comparable) if comparable else float("nan")
        comparable = [v for curve in self.pruning.past for step, v in curve.values if step == last]
        return median(comparable) if comparable else float("nan")

    def _replay(self, course: TrialCurve) -> None:
        trial = self._study.ask()
        for step, value in course.values:
            trial.report(value, step)
            if self.pruning.pruner == "halving":
                # Asking is what makes Optuna note which rung the trial has reached.
                trial.should_prune()
        if course.status == "complete" and course.score is not None:
            self._study.tell(trial, course.score)
        else:
            state = TrialState.PRUNED if course.status == "pruned" else TrialState.FAIL
            self._study.tell(trial, state=state)


def _pruner(pruning: Pruning) -> optuna.pruners.BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match pruning.pruner:
            case "median":
                return optuna.pruners.MedianPruner(n_startup_trials=MEDIAN_STARTUP)
            case "halving":
                return optuna.pruners.SuccessiveHalvingPruner(
                    min_resource=1, reduction_factor=HALVING_FACTOR
                )
            case "wilcoxon":
                return optuna.pruners.WilcoxonPruner(
                    p_threshold=pruning.level, n_startup_steps=pruning.least_items
                )
