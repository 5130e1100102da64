"""The searches of a stored study in the terms of :mod:`harness.search`, to be shown.

Optuna is imported when a search is rebuilt, not before: most reports do without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.analysis.scores import Scores
from harness.analysis.selection import candidates, measured_changes, search_margin
from harness.findings import Findings, SearchPicture
from harness.records import Study, TrialSummary
from harness.report import wording
from harness.report.charts import RC, WIDTH
from harness.report.palette import INK, arm_styles
from harness.report.scales import scale_of
from harness.report.search_pictures import FEWEST_TRIALS
from harness.spec import Experiment

if TYPE_CHECKING:
    from harness.search.figures import Look
    from harness.search.rebuilt import StoredSearch


def search_pictures(study: Study, findings: Findings) -> list[SearchPicture]:
    """Importances and drawings of the tuned arms whose search is long enough for them."""
    tuned = {row.arm for row in findings.arms if row.tuned}
    selected = {
        row.arm: row.choice.number
        for row in findings.searches
        if row.arm in tuned and row.choice and row.choice.candidates >= FEWEST_TRIALS
    }
    if not selected:
        return []
    from harness.search.figures import picture

    experiment = Experiment.model_validate(study.experiment.spec)
    found = []
    for search in stored_searches(study):
        arm = str(search.attributes["arm"])
        if arm in selected:
            numbers = [trial.attributes["trial"] for trial in search.trials]
            place = numbers.index(selected[arm])
            found.append(picture(search, arm, place, _look(experiment, arm)))
    return found


def _look(experiment: Experiment, arm: str) -> Look:
    from harness.search.figures import Look

    metric = experiment.task.primary_metric
    scale = scale_of(metric)
    return Look(
        rc=RC,
        width=WIDTH,
        ink=INK,
        colour=arm_styles(tuple(experiment.arms))[arm].colour,
        score=scale.axis(wording.capitalised(wording.metric(metric))),
        factor=scale.factor,
        margin="lost more than the margin",
        value=lambda text: wording.short(text, 18),
    )


def stored_searches(study: Study) -> Iterator[StoredSearch]:
    """The search of every arm that has trials, named ``experiment/arm``."""
    from harness.search.rebuilt import StoredSearch, StoredTrial

    experiment = Experiment.model_validate(study.experiment.spec)
    scores = Scores(study)
    for name, arm in experiment.arms.items():
        trials = scores.trials(name, "search")
        if not trials:
            continue
        margin = search_margin(experiment, name)
        found = {one.trial.trial_id: one for one in candidates(scores, name, experiment)}
        changes = measured_changes(scores, name, experiment)
        yield StoredSearch(
            name=f"{experiment.name}/{name}",
            space=arm.search_space(),
            metric=experiment.task.primary_metric,
            higher_is_better=all(one.higher_is_better for one in found.values()),
            margin=margin,
            two_objectives=margin is not None and experiment.search.forgetting == "objective",
            trials=tuple(
                StoredTrial(
                    status=trial.status,
                    params=trial.params,
                    score=found[trial.trial_id].score if trial.trial_id in found else None,
                    general_change=changes.get(trial.trial_id),
                    values=_course(trial),
                    started_at=trial.started_at,
                    ended_at=trial.ended_at,
                    attributes=_attributes(trial, changes.get(trial.trial_id)),
                )
                for trial in trials
            ),
            attributes={
                "experiment_id": study.experiment.experiment_id,
                "arm": name,
                "kind": arm.kind,
                "sampler": experiment.search.sampler,
                "question": experiment.question,
            },
        )


def _course(trial: TrialSummary) -> tuple[tuple[int, float], ...]:
    """What a pruner looked at; see :class:`~harness.records.Course`.

    Item by item it is known of stopped prompt trials only.
    """
    if trial.stopped is not None:
        return trial.stopped.values
    losses = [step.validation_loss for step in trial.steps if step.validation_loss is not None]
    return tuple((check, -loss) for check, loss in enumerate(losses, 1))


def _attributes(trial: TrialSummary, change: float | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"trial_id": trial.trial_id, "trial": trial.number}
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
