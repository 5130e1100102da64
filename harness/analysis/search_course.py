"""How the search of each arm went: what it was given, what it took, why it ended, what it chose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from harness.analysis.scores import Scores
from harness.analysis.selection import search_choice
from harness.findings import EarlyStop, SearchEnd, SearchSummary
from harness.records import Study, TrialSummary
from harness.spec import Experiment

UNITS: tuple[Literal["items", "steps"], ...] = ("items", "steps")


@dataclass(frozen=True, slots=True)
class NotedEnd:
    """The end of a search as the run noted it; fields as in :class:`SearchSummary`."""

    ended: SearchEnd
    limit: str
    trials: int
    tokens: int | None
    minutes: float | None
    budget: dict[str, Any]


def search_ends(study: Study) -> dict[str, NotedEnd]:
    """Arm -> how its search ended, as noted last; a study can be extended."""
    found = {}
    for event in study.events:
        if event.kind == "search_ended":
            detail = event.detail
            found[str(detail.get("arm", ""))] = NotedEnd(
                ended=_reason(detail.get("reason")),
                limit=str(detail.get("limit") or ""),
                trials=int(detail.get("trials") or 0),
                tokens=detail.get("tokens"),
                minutes=detail.get("minutes"),
                budget=dict(detail.get("budget") or {}),
            )
    return found


def summarise_search(scores: Scores, arm: str, experiment: Experiment) -> SearchSummary:
    """The course of one arm's search, from whatever of it has run.

    What the run did not note, as in studies of earlier versions, is None or empty; minutes are then
    added up from the trials.
    """
    trials = scores.trials(arm, "search")
    end = search_ends(scores.study).get(arm)
    budget = {**experiment.budget.model_dump(), **(end.budget if end else {})}
    trained = arm in experiment.trained_arms()
    rules = experiment.search
    return SearchSummary(
        arm=arm,
        asked=len(trials),
        complete=sum(trial.status == "complete" for trial in trials),
        pruned=sum(trial.status == "pruned" for trial in trials),
        failed=sum(trial.status == "failed" for trial in trials),
        sampler=rules.sampler,
        pruner=rules.trained_pruner if trained else rules.prompt_pruner,
        budget_trials=budget["trials"],
        budget_tokens=budget["tokens"],
        budget_minutes=budget["minutes"],
        tokens=end.tokens if end else None,
        minutes=end.minutes if end else _minutes(trials),
        ended=end.ended if end else "",
        limit=end.limit if end else "",
        stopped=tuple(_stops(trials)),
        choice=search_choice(scores, arm, experiment),
    )


def _stops(trials: Iterable[TrialSummary]) -> Iterable[EarlyStop]:
    stops = [trial.stopped for trial in trials if trial.status == "pruned" and trial.stopped]
    for unit in UNITS:
        found = [stop for stop in stops if stop.unit == unit]
        if found:
            done, total = sum(stop.done for stop in found), sum(stop.total for stop in found)
            yield EarlyStop(unit, len(found), done, total)


def _minutes(trials: Iterable[TrialSummary]) -> float | None:
    spans = [
        datetime.fromisoformat(trial.ended_at) - datetime.fromisoformat(trial.started_at)
        for trial in trials
        if trial.started_at and trial.ended_at
    ]
    return sum(span.total_seconds() for span in spans) / 60 if spans else None


def _reason(noted: object) -> SearchEnd:
    match noted:
        case "budget_spent":
            return "budget_spent"
        case "settings_exhausted":
            return "settings_exhausted"
        case _:
            return ""


__all__ = ["NotedEnd", "search_ends", "summarise_search"]
