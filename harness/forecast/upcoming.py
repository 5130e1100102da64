"""Which trials a study still has before it, as far as that can be said before the search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.forecast.estimate import Estimate
from harness.item_sets import curve_sizes
from harness.planning import BASE, Plan
from harness.records import Phase, TrialSpec, TrialSummary
from harness.search import ArmSearch, PastTrial
from harness.search.pruning import MEDIAN_STARTUP

# Proposals are worked out so far ahead; most samplers draw so many at random before they learn.
PROPOSALS = 5

Known = Callable[[Iterable[str]], frozenset[str]]
"""Those of some score keys that the store holds."""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Trials of an arm that are still to run.

    options: what such a trial may turn out to be, all as likely: one per setting that the search
        may select. Scores that will be known by then are marked as known.
    times: how many of them run.
    prunable: an earlier trial of the search may stop it early.
    """

    arm: str
    phase: Phase
    options: tuple[TrialSpec, ...]
    times: Estimate
    prunable: bool = False


def upcoming_trials(plan: Plan, ended: Sequence[TrialSummary], stored: Known) -> list[Upcoming]:
    """Every trial that is still to run, in the order of the study.

    ended: the experiment's trials in the store.
    """
    return list(_Outlook(plan, ended, stored).trials())


class _Outlook:
    def __init__(self, plan: Plan, ended: Sequence[TrialSummary], stored: Known) -> None:
        self._plan = plan
        self._ended = ended
        self._stored = stored
        self._known: set[str] = set()

    def trials(self) -> Iterator[Upcoming]:
        arms = self._plan.experiment.arms
        if not any(trial.phase == "baseline" for trial in self._ended):
            yield self._one(BASE, "baseline", [self._plan.baseline()])
        settings: dict[str, list[dict[str, Any]]] = {}
        for arm in arms:
            settings[arm] = [trial.params for trial in self._of(arm, "search")]
            proposed = self._proposals(arm)
            settings[arm] += [spec.params for spec in proposed]
            yield from self._search(arm, proposed)
        for arm in arms:
            yield from self._finalists(arm, _distinct(settings[arm]))
        for arm in arms:
            yield from self._defaults(arm)
        for arm in arms:
            yield from self._curves(arm, _distinct(settings[arm]))

    def _search(self, arm: str, proposed: Sequence[TrialSpec]) -> Iterator[Upcoming]:
        past = len(self._of(arm, "search"))
        left = self._plan.experiment.trials_of(arm) - past
        unpruned = self._never_pruned(arm)
        for place, spec in enumerate(proposed, past):
            yield self._one(arm, "search", [spec], prunable=place >= unpruned)
        beyond = left - len(proposed)
        if beyond > 0 and proposed:
            last = past + left - 1
            unseen = self._one(arm, "search", proposed, prunable=last >= unpruned)
            # The same settings stand for others, of which no score is known.
            options = tuple(replace(spec, known_scores=()) for spec in unseen.options)
            yield replace(unseen, options=options, times=Estimate.exactly(beyond))

    def _never_pruned(self, arm: str) -> float:
        """How many first trials of the search always go to their end."""
        rules = self._plan.experiment.search
        trained = self._plan.experiment.arms[arm].kind != "prompt"
        match rules.trained_pruner if trained else rules.prompt_pruner:
            case "none":
                return float("inf")
            case "median":
                return MEDIAN_STARTUP
            case _:
                return 1

    def _proposals(self, arm: str) -> list[TrialSpec]:
        """What the search proposes next if all its trials score alike."""
        experiment = self._plan.experiment
        spec, past = experiment.arms[arm], self._of(arm, "search")
        space = spec.search_space()
        search = ArmSearch(
            arm,
            spec,
            experiment.data.seed,
            experiment.search,
            None,
            [_alike(t.number, {name: t.params[name] for name in space}) for t in past],
        )
        found = []
        for _ in range(min(PROPOSALS, experiment.trials_of(arm) - len(past))):
            proposal = search.ask()
            if proposal is None:
                break
            search.tell(_alike(proposal.number, proposal.params))
            params = spec.resolve(proposal.params)
            found.append(self._plan.search_trial(arm, proposal.number, params))
        return found

    def _finalists(self, arm: str, settings: Sequence[dict[str, Any]]) -> Iterator[Upcoming]:
        for place, seed in enumerate(self._plan.experiment.seeds_of(arm)):
            if settings and not self._has_ended(arm, "finalist", seed):
                options = [self._plan.finalist(arm, place, seed, one) for one in settings]
                yield self._one(arm, "finalist", options)

    def _defaults(self, arm: str) -> Iterator[Upcoming]:
        experiment = self._plan.experiment
        trials = experiment.trials_of(arm)
        if not experiment.budget.test_default or not experiment.arms[arm].search_space():
            return
        # Tested only where another setting was selected: if all are as good, all but one of them.
        tested = Estimate(1 - 1 / trials, 0.0, 1.0 if trials > 1 else 0.0)
        selected = [trial.params for trial in self._of(arm, "finalist")]
        if selected:
            other = any(params != self._plan.default_setting(arm) for params in selected)
            tested = Estimate.exactly(float(other))
        for place, seed in enumerate(experiment.seeds_of(arm)):
            if tested.high and not self._has_ended(arm, "default", seed):
                trial = self._plan.default_trial(arm, place, seed)
                yield replace(self._one(arm, "default", [trial]), times=tested)

    def _curves(self, arm: str, settings: Sequence[dict[str, Any]]) -> Iterator[Upcoming]:
        sizes = curve_sizes(self._plan.experiment, arm, self._plan.prepared.splits)
        ended = {(t.train_items, t.seed) for t in self._of(arm, "curve")}
        points = [(size, seed) for size in sizes for seed in self._plan.experiment.seeds_of(arm)]
        for number, (size, seed) in enumerate(points):
            if settings and (size, seed) not in ended:
                curve = self._plan.curve_trial
                options = [curve(arm, number, size, seed, one) for one in settings]
                yield self._one(arm, "curve", options)

    def _one(
        self, arm: str, phase: Phase, options: Sequence[TrialSpec], *, prunable: bool = False
    ) -> Upcoming:
        keys = {request.key for spec in options for request in spec.scores}
        known = self._known | self._stored(keys)
        marked = [
            replace(spec, known_scores=tuple(sorted(known & {one.key for one in spec.scores})))
            for spec in options
        ]
        # What only one of several options would leave behind is not counted on.
        self._known |= set.intersection(*({one.key for one in spec.scores} for spec in options))
        return Upcoming(arm, phase, tuple(marked), Estimate.exactly(1), prunable)

    def _of(self, arm: str, phase: Phase) -> list[TrialSummary]:
        return [trial for trial in self._ended if (trial.arm, trial.phase) == (arm, phase)]

    def _has_ended(self, arm: str, phase: Phase, seed: int) -> bool:
        return any(trial.seed == seed for trial in self._of(arm, phase))


def _alike(number: int, params: Mapping[str, Any]) -> PastTrial:
    return PastTrial(number, dict(params), "complete", 0.0)


def _distinct(settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({repr(sorted(one.items())): one for one in settings}.values())
