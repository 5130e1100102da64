"""The searches of a stored study as Optuna studies, which optuna-dashboard opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.scores import Scores
from harness.analysis.selection import candidates, measured_changes, search_margin
from harness.errors import InputError
from harness.records import Study, TrialSummary
from harness.reporting import find_record
from harness.spec import Experiment
from harness.store import STORE_FILE, StoreReader

if TYPE_CHECKING:
    from harness.search.rebuilt import StoredSearch


def export_optuna(
    results: Path, name: str | None, path: Path, *, journal: bool = False, force: bool = False
) -> list[str]:
    """Write the experiment's searches to an Optuna storage; returns the studies' names.

    Args:
        results: folder of the store.
        name: name or start of the id of the experiment; the one declared last if None.
        path: the file to write: an SQLite database, or a journal file with ``journal``.
        force: write over a file that is there.

    Raises:
        InputError: no such experiment, nothing searched yet, or ``path`` exists or cannot be
            written.
    """
    from harness.search.rebuilt import write_storage

    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file to write")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; --force writes over it")
    record = find_record(results, name)
    study = StoreReader(results / STORE_FILE).study(record.experiment_id)
    searches = list(stored_searches(study))
    if not searches:
        raise InputError(f"no search trial of {study.experiment.name} has ended yet")
    try:
        write_storage(searches, path, journal=journal)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    return [search.name for search in searches]


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
                    values=course(trial),
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


def course(trial: TrialSummary) -> tuple[tuple[int, float], ...]:
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


__all__ = ["course", "export_optuna", "stored_searches"]
