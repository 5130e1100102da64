"""How the search of each arm went: what it was given, what it took, why it ended, what it chose."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from harness.analysis.searches.limits import edges, rising
from harness.analysis.searches.selection import candidates, search_choice, search_ends
from harness.analysis.statistics.scores import Scores
from harness.findings import EarlyStop, SearchSummary
from harness.records import TrialSummary
from harness.spec import Experiment

UNITS: tuple[Literal["items", "steps"], ...] = ("items", "steps")


def summarise_searches(scores: Scores, experiment: Experiment) -> tuple[SearchSummary, ...]:
    """The course of every search of every arm."""
    return tuple(
        _summarise(scores, arm, repeat, experiment)
        for arm in experiment.arms
        for repeat in range(experiment.repeats_of(arm))
    )


def _summarise(scores: Scores, arm: str, repeat: int, experiment: Experiment) -> SearchSummary:
    """The course of one search, from whatever of it has run.

    What the run has not noted, as while the search goes on, is None or empty; minutes are then
    added up from the trials.
    """
    trials = [t for t in scores.trials(arm, "search") if t.search_repeat == repeat]
    end = search_ends(scores.study).get((arm, repeat))
    budget = end.budget if end else experiment.budget
    trained = arm in experiment.trained_arms()
    spec, margin = experiment.arms[arm], experiment.search_margin(arm)
    scored = candidates(scores, arm, experiment, repeat)
    choice = search_choice(scores, arm, experiment, repeat)
    winner = [
        candidate for candidate in scored if choice and candidate.trial.number == choice.number
    ][:1]
    rules = experiment.search
    return SearchSummary(
        arm=arm,
        asked=len(trials),
        complete=sum(trial.status == "complete" for trial in trials),
        pruned=sum(trial.status == "pruned" for trial in trials),
        failed=sum(trial.status == "failed" for trial in trials),
        sampler=rules.sampler,
        pruner=rules.trained_pruner if trained else rules.prompt_pruner,
        budget_trials=budget.trials,
        budget_tokens=budget.tokens,
        budget_minutes=budget.minutes,
        tokens=end.tokens if end else None,
        minutes=end.minutes if end else _minutes(trials),
        ended=end.reason if end else "",
        limit=end.limit if end else "",
        written=end.written if end else 0,
        confirmation=end.confirmation if end else None,
        stopped=tuple(_stops(trials)),
        choice=choice,
        repeat=repeat,
        repeats=experiment.repeats_of(arm),
        edges=tuple(edge for candidate in winner for edge in edges(spec, candidate, scored)),
        rising=rising(
            [candidate for candidate in scored if candidate.keeps(margin)],
            len(trials),
            spec.settings(),
            experiment.contrast.margin,
        ),
    )


def _stops(trials: Iterable[TrialSummary]) -> Iterable[EarlyStop]:
    stops = [trial.stopped for trial in trials if trial.status == "pruned" and trial.stopped]
    for unit in UNITS:
        unit_stops = [stop for stop in stops if stop.unit == unit]
        if unit_stops:
            done, total = (
                sum(stop.done for stop in unit_stops),
                sum(stop.total for stop in unit_stops),
            )
            yield EarlyStop(unit, len(unit_stops), done, total)


def _minutes(trials: Iterable[TrialSummary]) -> float | None:
    spans = [
        datetime.fromisoformat(trial.ended_at) - datetime.fromisoformat(trial.started_at)
        for trial in trials
        if trial.started_at and trial.ended_at
    ]
    return sum(span.total_seconds() for span in spans) / 60 if spans else None


__all__ = ["summarise_searches"]
