"""The searches of a stored study in the terms of :mod:`harness.search`, to be shown.

Optuna is imported when a search is rebuilt, not before: most reports do without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from harness import wording
from harness.analysis.searches.selection import measured_changes, scored_trials
from harness.analysis.statistics.scores import Scores
from harness.findings import Findings, SearchPicture
from harness.records import JsonValue, Study, TrialSummary
from harness.report.charts.palette import INK, arm_styles
from harness.report.charts.svg import RC, WIDTH
from harness.report.naming import metric_name
from harness.report.scales import scale_of
from harness.report.sections.search_pictures import FEWEST_TRIALS
from harness.spec import Arm, Experiment, Space

if TYPE_CHECKING:
    from harness.search.figures import Look
    from harness.search.rebuilt import StoredSearch


def search_pictures(
    study: Study, experiment: Experiment, findings: Findings
) -> list[SearchPicture]:
    """Importances and drawings of the tuned arms whose search is long enough for them."""
    tuned = {row.arm for row in findings.arms if row.tuned}
    selected = {
        (row.arm, row.repeat): row.choice.number
        for row in findings.searches
        if row.arm in tuned and row.choice and row.choice.candidates >= FEWEST_TRIALS
    }
    if not selected:
        return []
    from harness.search.figures import picture

    pictures = []
    for search in stored_searches(study):
        if (search.arm, search.repeat) in selected:
            numbers = [trial.number for trial in search.trials]
            place = numbers.index(selected[search.arm, search.repeat])
            drawn = picture(search, search.arm, place, _look(experiment, search.arm))
            pictures.append(replace(drawn, repeat=search.repeat))
    return pictures


def _look(experiment: Experiment, arm: str) -> Look:
    from harness.search.figures import Look

    metric = experiment.task.primary_metric
    scale = scale_of(metric)
    return Look(
        rc=RC,
        width=WIDTH,
        ink=INK,
        colour=arm_styles(tuple(experiment.arms))[arm].colour,
        score=scale.axis(wording.capitalised(metric_name(metric, experiment.task))),
        factor=scale.factor,
        margin="lost more than the margin",
        value=lambda text: wording.short(text, 18),
    )


def stored_searches(study: Study) -> Iterator[StoredSearch]:
    """Every search that has trials, named ``experiment/arm``, or ``experiment/arm/2`` and on."""
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
            space=_space(arm, trials),
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


def _space(arm: Arm, trials: Sequence[TrialSummary]) -> dict[str, Space]:
    """What was searched; of an instruction that was written, what was tried of it."""
    if arm.optimiser is None:
        return arm.search_space()
    tried = [trial.params["instruction"] for trial in trials]
    return arm.with_written([str(text) for text in tried if text is not None]).search_space()


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
