"""What follows the search, in order: finalists, default settings, learning curves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from harness.item_sets import curve_sizes
from harness.planning import Plan
from harness.records import Splits, TrialSpec
from harness.spec import Experiment


@dataclass(frozen=True, slots=True)
class Stage:
    """Trials that belong together, under the heading that the user reads."""

    title: str
    trials: tuple[TrialSpec, ...]


@dataclass(frozen=True, slots=True)
class FinalCounts:
    """Trials after the search, but for the untouched base. defaults: an upper bound."""

    finalists: int
    defaults: int
    curves: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.finalists + self.defaults + self.curves


def final_counts(experiment: Experiment, splits: Splits) -> FinalCounts:
    """How many trials follow the search if every arm has a finalist that is not its default."""
    seeds = {arm: len(experiment.seeds_of(arm)) for arm in experiment.arms}
    return FinalCounts(
        finalists=sum(seeds.values()),
        defaults=sum(seeds[arm] for arm in seeds if _tests_default(experiment, arm)),
        curves=sum(seeds[arm] * len(curve_sizes(experiment, arm, splits)) for arm in seeds),
    )


def after_search(
    plan: Plan, selected: Mapping[str, dict[str, Any]], untested: Collection[str] = ()
) -> list[Stage]:
    """All trials but those of the base and the search.

    selected: arm -> the setting that validation selected. untested: arms whose default setting
    is not worth a test.
    """
    experiment = plan.experiment
    seeds = {arm: experiment.seeds_of(arm) for arm in selected}
    stages: list[Stage] = []
    for arm, params in selected.items():
        finals = [plan.finalist(arm, n, seed, params) for n, seed in enumerate(seeds[arm])]
        stages.append(Stage(f"Testing finalist {arm}", tuple(finals)))
    for arm, params in selected.items():
        tuned = params != plan.default_setting(arm)
        if tuned and _tests_default(experiment, arm) and arm not in untested:
            trials = [plan.default_trial(arm, n, seed) for n, seed in enumerate(seeds[arm])]
            stages.append(Stage(f"Testing the default setting of {arm}", tuple(trials)))
    for arm, params in selected.items():
        sizes = curve_sizes(experiment, arm, plan.prepared.splits)
        points = [(size, seed) for size in sizes for seed in seeds[arm]]
        if points:
            curve = [plan.curve_trial(arm, n, *point, params) for n, point in enumerate(points)]
            stages.append(Stage(f"Learning curve of {arm}", tuple(curve)))
    return stages


def _tests_default(experiment: Experiment, arm: str) -> bool:
    return experiment.budget.test_default and bool(experiment.arms[arm].search_space())
