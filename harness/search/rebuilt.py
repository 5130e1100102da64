"""Optuna studies rebuilt from stored trials, to be looked at: the store stays the only truth."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.records import JsonValue, Status, loss_beyond_margin, whole_file
from harness.search.space import distributions, stored
from harness.search.study import GENERAL_LOSS
from harness.spec import Space


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial as the store has it."""

    number: int
    """Within its arm and phase, from 0."""
    status: Status
    """How it ended."""
    params: Mapping[str, Any]
    """Its setting: values of the searched hyperparameters at least."""
    score: float | None
    """Primary metric on validation; None unless the trial is complete."""
    general_change: float | None
    """Mean change of the general tasks against the base, -1 to 1, positive is better; None where it
    was not measured."""
    values: tuple[tuple[int, float], ...]
    """What a pruner looks at: (step, value) in order, higher is better."""
    started_at: str
    """When it began, ISO 8601."""
    ended_at: str
    """When it ended, ISO 8601."""
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)
    """What is shown beside it, by name."""


@dataclass(frozen=True, slots=True)
class StoredSearch:
    """The search of one arm as the store has it."""

    name: str
    """What the search is called."""
    arm: str
    """The arm that was searched."""
    repeat: int
    """Which of the arm's searches, from 0."""
    space: Mapping[str, Space]
    """Hyperparameter -> the values that are searched."""
    metric: str
    """Name of the score."""
    higher_is_better: bool
    """Direction of the score."""
    margin: float | None
    """Accepted loss of general abilities, 0 to 1; None where the search does not look at it."""
    two_objectives: bool
    """The general change is a second objective; otherwise it is a constraint."""
    trials: tuple[StoredTrial, ...]
    """The trials, by number."""
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)
    """What is shown beside it, by name."""


def rebuild(
    search: StoredSearch, storage: optuna.storages.BaseStorage | None = None
) -> optuna.Study:
    """The search as an Optuna study, in memory unless a storage is given.

    A complete trial without a score is a failed one, as it was to the search.

    Raises:
        ValueError: a trial's setting lies outside the search space.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    best = optuna.study.StudyDirection.MAXIMIZE
    directions = [best if search.higher_is_better else optuna.study.StudyDirection.MINIMIZE]
    names = [search.metric]
    if search.two_objectives:
        directions.append(best)
        names.append("general change")
    study = optuna.create_study(study_name=search.name, directions=directions, storage=storage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(names)
    for name, value in search.attributes.items():
        study.set_user_attr(name, value)
    study.add_trials(_frozen(search))
    return study


def write_storage(searches: Iterable[StoredSearch], path: Path, *, journal: bool) -> None:
    """Write one study a search into a new Optuna storage at ``path``, whole or not at all.

    Args:
        journal: a journal file in place of an SQLite database. What is at ``path`` is replaced.

    Raises:
        OSError: ``path`` cannot be written.
        ValueError: a trial's setting lies outside the search space.
    """
    with tempfile.TemporaryDirectory(prefix="harness-optuna-") as folder:
        built = Path(folder) / "studies"
        with _storage(built, journal) as storage:
            for search in searches:
                rebuild(search, storage)
        with built.open("rb") as content, whole_file(path) as file:
            shutil.copyfileobj(content, file)


@contextmanager
def _storage(path: Path, journal: bool) -> Iterator[optuna.storages.BaseStorage]:
    if journal:
        yield JournalStorage(JournalFileBackend(str(path)))
        return
    database = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        yield database
    finally:
        database.remove_session()
        database.engine.dispose()


def _frozen(search: StoredSearch) -> Iterator[FrozenTrial]:
    space = distributions(search.space)
    # In the direction of the study, as its pruners read them.
    sign = 1 if search.higher_is_better else -1
    for trial in search.trials:
        values = _values(search, trial)
        other = TrialState.PRUNED if trial.status == "pruned" else TrialState.FAIL
        frozen = create_trial(
            state=TrialState.COMPLETE if values else other,
            params=stored(trial.params, space),
            distributions=space,
            values=values,
            user_attrs=dict(trial.attributes),
            intermediate_values={step: sign * value for step, value in trial.values},
            constraints=_constraints(search, trial),
        )
        frozen.datetime_start = _local(trial.started_at)
        frozen.datetime_complete = _local(trial.ended_at)
        yield frozen


def _values(search: StoredSearch, trial: StoredTrial) -> list[float] | None:
    if trial.status != "complete" or trial.score is None:
        return None
    # An unmeasured change counted as none in the search too; the attributes say it.
    second = [trial.general_change or 0.0] if search.two_objectives else []
    return [trial.score, *second]


def _constraints(search: StoredSearch, trial: StoredTrial) -> dict[str, float] | None:
    excess = loss_beyond_margin(trial.general_change, search.margin)
    return None if excess is None or search.two_objectives else {GENERAL_LOSS: excess}


def _local(time: str) -> datetime:
    """A time as Optuna keeps it: local, and without a zone."""
    return datetime.fromisoformat(time).astimezone().replace(tzinfo=None)


__all__ = ["StoredSearch", "StoredTrial", "rebuild", "write_storage"]
