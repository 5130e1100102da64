"""The searches of a stored study: those that are drawn, and all in Optuna's terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.analysis.searches.pictures import search_picture, searched_space
from harness.analysis.searches.selection import measured_changes, scored_trials
from harness.analysis.statistics.scores import Scores
from harness.findings import Findings, SearchPicture
from harness.records import JsonValue, Study, TrialSummary
from harness.report.sections.search_pictures import FEWEST_TRIALS

if TYPE_CHECKING:
    from harness.search.rebuilt import StoredSearch


def search_pictures(study: Study, findings: Findings) -> list[SearchPicture]:
    """Importances and drawings of the tuned arms whose search is long enough for them."""
    tuned = {row.arm for row in findings.arms if row.tuned}
    selected = {
        (row.arm, row.repeat): row.choice.number
        for row in findings.searches
        if row.arm in tuned and row.choice and row.choice.candidates >= FEWEST_TRIALS
    }
    if not selected:
        return []
    scores = Scores(study)
    return [
        search_picture(scores, arm, repeat, number) for (arm, repeat), number in selected.items()
    ]


def stored_searches(study: Study) -> Iterator[StoredSearch]:
    """Every search that has trials, named ``experiment/arm``, or ``experiment/arm/2`` and on."""
    # Optuna comes with it, which a report does without.
    from harness.search.rebuilt import StoredSearch, StoredTrial

    scores = Scores(study)
    experiment = scores.experiment
    searches = [(name, n) for name in experiment.arms for n in range(experiment.repeats_of(name))]
    for name, repeat in searches:
        arm = experiment.arms[name]
        trials = [t for t in scores.trials(name, "search") if t.search_repeat == repeat]
        if not trials:
            continue
        margin = experiment.search_margin(name)
        scored = {
            candidate.trial.trial_id: candidate
            for candidate in scored_trials(scores, name, experiment, repeat)
        }
        changes = measured_changes(scores, name, experiment)
        yield StoredSearch(
            name=f"{experiment.name}/{name}" + (f"/{repeat + 1}" if repeat else ""),
            arm=name,
            repeat=repeat,
            space=searched_space(arm, trials),
            metric=experiment.task.primary_metric,
            higher_is_better=experiment.task.higher_is_better,
            margin=margin,
            two_objectives=margin is not None and experiment.search.forgetting == "objective",
            trials=tuple(
                StoredTrial(
                    number=trial.number,
                    status=trial.status,
                    params=trial.params,
                    score=scored[trial.trial_id].score if trial.trial_id in scored else None,
                    general_change=changes.get(trial.trial_id),
                    values=trial.curve,
                    started_at=trial.started_at,
                    ended_at=trial.ended_at,
                    attributes=_attributes(trial, changes.get(trial.trial_id)),
                )
                for trial in trials
            ),
            attributes={
                "experiment_id": study.experiment.experiment_id,
                "arm": name,
                "repeat": repeat,
                "kind": arm.kind,
                "sampler": experiment.search.sampler,
                "question": experiment.question,
            },
        )


def _attributes(trial: TrialSummary, change: float | None) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {"trial_id": trial.trial_id, "trial": trial.number}
    if change is not None:
        shown["general_change"] = change
    if trial.cost is not None:
        shown["cost"] = asdict(trial.cost)
    if trial.failure_kind:
        shown["failure"] = f"{trial.failure_kind}: {trial.failure_message}"
    if trial.stopped is not None:
        stop = trial.stopped
        shown["stopped"] = f"after {stop.done} of {stop.total} {stop.unit}"
    return shown


__all__ = ["search_pictures", "stored_searches"]
