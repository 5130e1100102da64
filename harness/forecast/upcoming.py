"""Which trials a study still has before it, as far as that can be said before the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.forecast.estimate import Estimate
from harness.records import Phase, TrialSpec, TrialSummary
from harness.search import PastTrial
from harness.search.pruning import MEDIAN_STARTUP
from harness.spec.arms import Arm, TrainedArm
from harness.spec.instruction_sources import instruction_source
from harness.spec.kinds import kind_info
from harness.spec.settings import Settings, settings_from
from harness.study.asked_models import BASE
from harness.study.bootstrapping import bootstrap_trials, trials_of_bootstrapping
from harness.study.coming import TURNS, curve_sizes
from harness.study.plan import Plan
from harness.study.searching import arm_search
from harness.study.writing import (
    HEADROOM_SHARE,
    arm_as_written,
    left_for_search,
    most_trials_of_writing,
    standing_writings,
    with_writings,
)

# Proposals are worked out so far ahead; most samplers draw so many at random before they learn.
PROPOSALS = 5

Known = Callable[[Sequence[str]], frozenset[str]]
"""Those of some score keys that the store holds."""
Added = Callable[[TrialSpec], TrialSpec]
"""A trial, as one that adds what is missing where the store holds it."""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Trials of an arm that are still to run."""

    arm: str
    """Name of the arm, or of the untouched base."""
    phase: Phase
    """Phase of the study that they belong to."""
    options: tuple[TrialSpec, ...]
    """What such a trial may turn out to be, all equally likely: one for each setting that the
    search may select. Scores that will be known by then are marked as known."""
    times: Estimate
    """Number of them that run."""
    prunable: bool = False
    """Whether an earlier trial of the search may stop one of them early."""


def upcoming_trials(
    plan: Plan, ended: Sequence[TrialSummary], stored: Known, added: Added = lambda spec: spec
) -> list[Upcoming]:
    """Every trial that is still to run, in the order of the study.

    Args:
        ended: the trials that are known: the study's own, and those that were run for others.
        added: gives a trial of which only scores are missing as one that adds them.
    """
    return list(_Outlook(plan, ended, stored, added).trials())


class _Outlook:
    """Works out the trials that are left, and which scores will be known before each."""

    def __init__(
        self, plan: Plan, ended: Sequence[TrialSummary], stored: Known, added: Added
    ) -> None:
        self._plan = with_writings(plan, standing_writings(plan, ended).values())
        self._added = added
        self._ended = ended
        self._stored = stored
        self._known: set[str] = set()

    def trials(self) -> Iterator[Upcoming]:
        arms = self._plan.experiment.arms
        if not any(trial.phase == "baseline" for trial in self._ended):
            yield self._upcoming(BASE, "baseline", [self._plan.baseline()])
        settings: dict[str, list[Settings]] = {}
        for arm in arms:
            settings[arm] = [settings_from(trial.params) for trial in self._of(arm, "search")]
            yield from self._bootstraps(arm)
            for repeat in range(self._plan.experiment.repeats_of(arm)):
                yield from self._writing(arm, repeat)
                proposed = self._proposals(arm, repeat)
                settings[arm] += [settings_from(spec.params) for spec in proposed]
                yield from self._search(arm, repeat, proposed)
        settled = {arm: _settled(proposed) for arm, proposed in settings.items()}
        tested = [trials for arm in arms for trials in self._finalists(arm, settled[arm])]
        yield from tested
        for arm in arms:
            yield from self._defaults(arm)
        for arm in arms:
            yield from self._curves(arm, settled[arm])
        for arm in arms:
            # Where there is another finalist, all arms are timed anew.
            yield from self._latencies(arm, settled[arm], anew=bool(tested))

    def _bootstraps(self, arm: str) -> Iterator[Upcoming]:
        """What asks for the reasoning of worked examples."""
        ended = {trial.trial_id for trial in self._of(arm, "bootstrap")}
        for spec in bootstrap_trials(self._plan):
            if spec.arm == arm and spec.trial_id not in ended:
                yield self._upcoming(arm, "bootstrap", [spec])

    def _writing(self, arm: str, repeat: int) -> Iterator[Upcoming]:
        """The writing of an instruction, as trials of the search that spend as many tokens.

        At the least it is seen that wording does not matter, which takes a part of its share.
        """
        most = most_trials_of_writing(self._plan, arm)
        if not most or repeat in self._plan.writings.get(arm, {}):
            return
        trial = self._plan.search_trial(arm, 0, self._plan.default_setting(arm), None, repeat)
        alike = Upcoming(arm, "writing", (trial,), Estimate.exactly(1))
        yield replace(alike, times=Estimate(float(most), most * HEADROOM_SHARE, float(most)))

    def _trials_of(self, arm: str, repeat: int) -> int:
        """Trials of one search, as far as the budget goes beside what is still to be written."""
        if repeat in self._plan.writings.get(arm, {}):
            return left_for_search(self._plan, arm, repeat)
        experiment = self._plan.experiment
        left = experiment.budget.trials - most_trials_of_writing(self._plan, arm)
        left = max(1, left - trials_of_bootstrapping(self._plan, arm))
        return min(experiment.trials_of(arm), left)

    def _search(self, arm: str, repeat: int, proposed: Sequence[TrialSpec]) -> Iterator[Upcoming]:
        past = len(self._searched(arm, repeat))
        left = self._trials_of(arm, repeat) - past
        unpruned = self._never_pruned(arm)
        for place, spec in enumerate(proposed, past):
            yield self._upcoming(arm, "search", [spec], prunable=place >= unpruned)
        beyond = left - len(proposed)
        if beyond > 0 and proposed:
            last = past + left - 1
            unseen = self._upcoming(arm, "search", proposed, prunable=last >= unpruned)
            # The same settings stand for others, of which no score is known.
            options = tuple(replace(spec, known_scores=()) for spec in unseen.options)
            yield replace(unseen, options=options, times=Estimate.exactly(beyond))

    def _never_pruned(self, arm: str) -> float:
        """How many first trials of the search always go to their end."""
        rules = self._plan.experiment.search
        kind = kind_info(self._plan.experiment.arms[arm].kind)
        if not kind.language_model:
            return float("inf")
        match rules.trained_pruner if kind.trains else rules.prompt_pruner:
            case "none":
                return float("inf")
            case "median":
                return MEDIAN_STARTUP
            case _:
                return 1

    def _proposals(self, arm: str, repeat: int) -> list[TrialSpec]:
        """What the search proposes next if all its trials score alike."""
        past = self._searched(arm, repeat)
        spec = self._under(arm_as_written(self._plan, arm, repeat), past)
        space = spec.search_space()
        alike = [_alike(t.number, {name: t.params[name] for name in space}) for t in past]
        search = arm_search(self._plan, arm, spec, repeat, alike)
        proposed = []
        for _ in range(min(PROPOSALS, self._trials_of(arm, repeat) - len(past))):
            proposal = search.ask()
            if proposal is None:
                break
            search.tell(_alike(proposal.number, proposal.params))
            params = spec.resolve(proposal.params)
            proposed.append(self._plan.search_trial(arm, proposal.number, params, None, repeat))
        return proposed

    def _under(self, spec: Arm, past: Sequence[TrialSummary]) -> Arm:
        """The arm under the instruction that its search has, or may have."""
        source = instruction_source(spec)
        if source is None or not isinstance(spec, TrainedArm):
            return spec
        known = settings_from(past[-1].params) if past else self._plan.default_setting(source)
        return spec.under(known.instruction)

    def _finalists(self, arm: str, settings: Sequence[Settings]) -> Iterator[Upcoming]:
        for place, seed in enumerate(self._plan.experiment.seeds_of(arm)):
            if settings and not self._has_ended(arm, "finalist", seed):
                options = [self._plan.finalist(arm, place, seed, setting) for setting in settings]
                yield self._upcoming(arm, "finalist", options)

    def _defaults(self, arm: str) -> Iterator[Upcoming]:
        experiment = self._plan.experiment
        trials = experiment.trials_of(arm)
        if not experiment.budget.test_default or not experiment.arms[arm].search_space():
            return
        first = [
            settings_from(trial.params) for trial in self._of(arm, "search") if trial.number == 0
        ]
        defaults = _settled(first or [self._plan.default_setting(arm)])
        # Tested only where another setting was selected: if all are as good, all but one of them.
        tested = Estimate(1 - 1 / trials, 0.0, 1.0 if trials > 1 else 0.0)
        selected = [settings_from(trial.params) for trial in self._of(arm, "finalist")]
        if selected:
            other = any(setting not in defaults for setting in selected)
            tested = Estimate.exactly(float(other))
        for place, seed in enumerate(experiment.seeds_of(arm)):
            if tested.high and not self._has_ended(arm, "default", seed):
                options = [
                    self._plan.default_trial(arm, place, seed, params) for params in defaults
                ]
                yield replace(self._upcoming(arm, "default", options), times=tested)

    def _curves(self, arm: str, settings: Sequence[Settings]) -> Iterator[Upcoming]:
        sizes = curve_sizes(self._plan.experiment, arm, len(self._plan.prepared.splits.train))
        ended = {(t.train_items, t.seed) for t in self._of(arm, "curve")}
        points = [(size, seed) for size in sizes for seed in self._plan.experiment.seeds_of(arm)]
        for number, (size, seed) in enumerate(points):
            if settings and (size, seed) not in ended:
                curve = self._plan.curve_trial
                options = [curve(arm, number, size, seed, setting) for setting in settings]
                yield self._upcoming(arm, "curve", options)

    def _latencies(
        self, arm: str, settings: Sequence[Settings], *, anew: bool
    ) -> Iterator[Upcoming]:
        seed = self._plan.experiment.seeds_of(arm)[0]
        timed = set() if anew else {trial.number for trial in self._of(arm, "latency")}
        for turn in set(range(TURNS)) - timed:
            finals = [self._plan.finalist(arm, 0, seed, setting) for setting in settings]
            if finals:
                options = [self._plan.latency_trial(arm, turn, final, [arm]) for final in finals]
                yield self._upcoming(arm, "latency", options)

    def _upcoming(
        self, arm: str, phase: Phase, options: Sequence[TrialSpec], *, prunable: bool = False
    ) -> Upcoming:
        keys = {score.key for spec in options for score in spec.scores}
        known = self._known | self._stored(sorted(keys))
        marked = [
            replace(
                self._added(spec),
                known_scores=tuple(sorted(known & {score.key for score in spec.scores})),
            )
            for spec in options
        ]
        # What only one of several options would leave behind is not counted on.
        self._known |= set.intersection(*({score.key for score in spec.scores} for spec in options))
        return Upcoming(arm, phase, tuple(marked), Estimate.exactly(1), prunable)

    def _of(self, arm: str, phase: Phase) -> list[TrialSummary]:
        return [trial for trial in self._ended if (trial.arm, trial.phase) == (arm, phase)]

    def _searched(self, arm: str, repeat: int) -> list[TrialSummary]:
        return [trial for trial in self._of(arm, "search") if trial.search_repeat == repeat]

    def _has_ended(self, arm: str, phase: Phase, seed: int) -> bool:
        return any(trial.seed == seed for trial in self._of(arm, phase))


def _alike(number: int, params: Mapping[str, Any]) -> PastTrial:
    return PastTrial(number, dict(params), "complete", 0.0)


def _settled(settings: Sequence[Settings]) -> list[Settings]:
    """Each setting once, in each of the ways of answering that it leaves open."""
    every = [
        replace(setting, answering=way)
        for setting in settings
        for way in setting.ways or (setting.first_way,)
    ]
    return list(dict.fromkeys(every))
