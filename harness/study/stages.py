"""What follows the search, in order: finalists, default settings, learning curves, latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from harness.records import Phase, Place, Splits, TrialSpec, TrialSummary
from harness.spec import Experiment
from harness.spec.instruction_sources import instruction_source
from harness.spec.settings import Settings
from harness.study.coming import TURNS, coming_trials, curve_sizes
from harness.study.plan import Plan


@dataclass(frozen=True, slots=True)
class Stage:
    """Trials that belong together, under the heading that the user reads."""

    title: str
    """The heading."""
    trials: tuple[TrialSpec, ...]
    """The trials, in the order in which they start."""


@dataclass(frozen=True, slots=True)
class FinalCounts:
    """Numbers of trials after the search, but for the untouched base."""

    finalists: int
    """Final runs."""
    defaults: int
    """Tests of default settings, an upper bound."""
    curves: int
    """Trials of learning curves."""
    latencies: int
    """Trials that time single requests."""

    @property
    def total(self) -> int:
        """Number of trials in all."""
        return self.finalists + self.defaults + self.curves + self.latencies


def final_counts(experiment: Experiment, splits: Splits) -> FinalCounts:
    """How many trials follow the search if every arm has a finalist that is not its default."""
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    numbers = Counter[Phase]()
    for trials in coming_trials(experiment, sizes):
        numbers[trials.phase] += trials.number
    return FinalCounts(
        finalists=numbers["finalist"],
        defaults=numbers["default"],
        curves=numbers["curve"],
        latencies=numbers["latency"],
    )


def after_search(
    plan: Plan,
    selected: Mapping[str, Mapping[int, Settings]],
    defaults: Mapping[str, Settings],
) -> list[Stage]:
    """All trials but those of the base, the search and the latencies.

    Args:
        selected: arm -> repeat of its search -> the setting that validation selected.
        defaults: arm -> the setting of its trial 0, where that is worth a test.
    """
    experiment = plan.experiment
    runs = _final_runs(experiment, selected)
    finals = [plan.finalist(arm, *run) for arm, of_arm in runs.items() for run in of_arm]
    defaults_of = [
        plan.default_trial(arm, place, seed, default)
        for arm, of_arm in runs.items()
        if _tests_default(experiment, arm)
        for place, seed, settings in of_arm
        if (default := _default_of(experiment, arm, defaults, settings)) not in (None, settings)
    ]
    curves = [
        plan.curve_trial(arm, number, size, seed, settings)
        for arm, of_arm in runs.items()
        for number, (size, (_, seed, settings)) in enumerate(
            product(curve_sizes(experiment, arm, len(plan.prepared.splits.train)), of_arm)
        )
    ]
    stages = (
        Stage("Testing the finalists", tuple(finals)),
        Stage("Testing default settings", tuple(defaults_of)),
        Stage("Learning curves", tuple(curves)),
    )
    return [stage for stage in stages if stage.trials]


def latency_stage(
    plan: Plan,
    selected: Mapping[str, Mapping[int, Settings]],
    known: Mapping[Place, TrialSummary],
) -> Stage:
    """Single requests of every arm that has a complete finalist, the first of its seeds.

    Args:
        selected: as :func:`after_search` takes it.
        known: the study's trials that have ended, its finalists among them.
    """
    finals: dict[str, TrialSummary] = {}
    for arm, of_arm in _final_runs(plan.experiment, selected).items():
        for run in of_arm:
            trial = known.get(plan.finalist(arm, *run).place)
            if trial is not None and trial.status == "complete":
                finals.setdefault(arm, trial)
    together = [trial.trial_id for trial in finals.values()]
    trials = [
        plan.latency_trial(arm, turn, final, together)
        for turn in range(TURNS)
        for arm, final in list(finals.items())[:: -1 if turn % 2 else 1]
    ]
    return Stage("Timing the finalists, one at a time", tuple(trials))


def _final_runs(
    experiment: Experiment, selected: Mapping[str, Mapping[int, Settings]]
) -> dict[str, list[tuple[int, int, Settings]]]:
    """Arm -> place among its seeds, seed, and setting of its search, of every final run."""
    return {
        arm: [
            (place, seed, settings[repeat])
            for place, seed in enumerate(experiment.seeds_of(arm))
            if (repeat := experiment.repeat_of(arm, seed)) in settings
        ]
        for arm, settings in selected.items()
    }


def _default_of(
    experiment: Experiment, arm: str, defaults: Mapping[str, Settings], settings: Settings
) -> Settings | None:
    """The default beside which a final run's setting stands; None without one.

    The instruction that an arm takes from another is none of its own tuning.
    """
    default = defaults.get(arm)
    if default is None or instruction_source(experiment.arms[arm]) is None:
        return default
    return replace(default, instruction=settings.instruction)


def _tests_default(experiment: Experiment, arm: str) -> bool:
    return experiment.budget.test_default and bool(experiment.arms[arm].search_space())
