"""A stored study as MLflow runs: one experiment a study, one run a trial."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import InputError, writing
from harness.export.destination import ELSEWHERE
from harness.findings import Findings
from harness.records import TRIALS, TrialSummary
from harness.review.studies import AnalysedStudy, find_record, load_study

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

DATABASE = "mlflow.db"
# MLflow's own limits of a parameter's and a tag's text.
PARAMETER_LIMIT = 6000
TAG_LIMIT = 5000
# MLflow takes so many metrics in one call.
BATCH = 1000
STATUSES = {"complete": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Current versions refuse stores of plain files unless this says that they are meant.
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


@dataclass(frozen=True, slots=True)
class MlflowExport:
    """What was written."""

    experiment: str
    """Name of the experiment in MLflow."""
    runs: int
    """Number of runs written."""
    uri: str
    """The tracking URI under which MLflow finds it."""


@dataclass(frozen=True, slots=True)
class _Exported:
    """One trial with what its run says beside."""

    trial: TrialSummary
    """The trial."""
    folder: Path
    """Where it left its files."""
    role: str
    """What its arm is in the verdict."""


def export_mlflow(
    results: Path, name: str | None, folder: Path, *, database: bool = False, force: bool = False
) -> MlflowExport:
    """Write the study as one MLflow experiment with a run for every trial.

    A run has the trial's setting as parameters, losses by step and the scores over all items as
    metrics, and the paths of its files, which stay where they are.

    Args:
        results: folder of the store.
        name: name or start of the id of the study; the newest that is finished if None.
        folder: place of MLflow's files; may hold the exports of other studies.
        database: whether to write an SQLite database in ``folder`` in place of plain files.
        force: whether to replace the runs of an earlier export of the same study.

    Raises:
        InputError: no such experiment; it was exported before; ``folder`` holds something else or
            cannot be written; MLflow is not installed.
    """
    record = find_record(results, name)
    title = record.folder
    _check_folder(folder, database)
    uri = f"sqlite:///{folder.resolve() / DATABASE}" if database else folder.resolve().as_uri()
    with writing(folder, ELSEWHERE):
        client = _client(uri, folder)
        # A database says of each experiment where its files lie; plain files lie beside the runs.
        place = (folder.resolve() / "artifacts" / title).as_uri() if database else None
        experiment = _experiment(client, title, place, force)
        loaded = load_study(results, record.experiment_id)
        for key, value in _experiment_tags(loaded).items():
            client.set_experiment_tag(experiment, key, value[:TAG_LIMIT])
        trials = loaded.study.trials
        for trial in trials:
            home = results.resolve() / TRIALS / trial.trial_id
            _log(client, experiment, _Exported(trial, home, _role(trial, loaded.findings)))
    return MlflowExport(title, len(trials), uri)


def _check_folder(folder: Path, database: bool) -> None:
    if folder.is_file():
        raise InputError(f"{folder} is a file; give a folder")
    inside = list(folder.iterdir()) if folder.is_dir() else []
    known = (folder / DATABASE).exists() if database else any(folder.glob("*/meta.yaml"))
    if inside and not known:
        raise InputError(
            f"{folder} holds something else than an MLflow store; give a new or empty folder"
        )


def _client(uri: str, folder: Path) -> MlflowClient:
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError(
            f"MLflow cannot be imported ({error}); install the extra that has it: "
            "pip install 'harness[mlflow]'"
        ) from error
    # It tells of every table that it makes.
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        raise InputError(f"MLflow cannot open {uri}: {error}") from error


def _experiment(client: MlflowClient, title: str, place: str | None, force: bool) -> str:
    """The id of the experiment, without runs.

    Args:
        place: where its files lie.
    """
    known = client.get_experiment_by_name(title)
    if known is None:
        return str(client.create_experiment(title, artifact_location=place))
    if known.lifecycle_stage != "active":
        raise InputError(f"{title} was deleted there with MLflow; export to another folder")
    runs = client.search_runs([known.experiment_id], max_results=50_000)
    if runs and not force:
        raise InputError(f"the runs of {title} were exported there already; --force replaces them")
    for run in runs:
        client.delete_run(run.info.run_id)
    return str(known.experiment_id)


def _experiment_tags(loaded: AnalysedStudy) -> dict[str, str]:
    record, verdict = loaded.study.experiment, loaded.findings.verdict
    return {
        "experiment_id": record.experiment_id,
        "question": loaded.experiment.question,
        "model": record.model.reference,
        "declared": record.created_at,
        "verdict": verdict.outcome,
        "verdict_sentence": verdict.sentence,
        # Shown by MLflow as the experiment's description.
        "mlflow.note.content": verdict.sentence,
    }


def _role(trial: TrialSummary, findings: Findings) -> str:
    """What the trial's arm is in the verdict; empty but for final runs."""
    if trial.phase != "finalist":
        return ""
    primary = findings.primary
    if trial.arm == findings.verdict.winner:
        return "winner"
    return "compared" if primary and trial.arm in (primary.a, primary.b) else "other"


def _log(client: MlflowClient, experiment: str, exported: _Exported) -> None:
    from mlflow.entities import Param

    trial = exported.trial
    began, ended = _milliseconds(trial.started_at), _milliseconds(trial.ended_at)
    run = client.create_run(
        experiment,
        start_time=began,
        tags=_run_tags(exported),
        run_name=f"{trial.arm} {trial.phase} {trial.number} seed {trial.seed}",
    )
    params = [Param(key, _text(value)) for key, value in trial.params.items()]
    client.log_batch(run.info.run_id, params=params)
    metrics = [*_by_step(trial, began), *_over_all_items(trial, ended)]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[start : start + BATCH])
    if trial.artifacts:
        files = [asdict(artifact) for artifact in trial.artifacts]
        content = {"folder": str(exported.folder), "files": files}
        client.log_dict(run.info.run_id, content, "files.json")
    client.set_terminated(run.info.run_id, STATUSES[trial.status], end_time=ended)


def _run_tags(exported: _Exported) -> dict[str, str]:
    trial = exported.trial
    tags = {
        "trial_id": trial.trial_id,
        "arm": trial.arm,
        "kind": trial.kind,
        "phase": trial.phase,
        "number": str(trial.number),
        "seed": str(trial.seed),
        "status": trial.status,
        "verdict_role": exported.role,
        "trial_folder": str(exported.folder),
        "failure": f"{trial.failure_kind}: {trial.failure_message}" if trial.failure_kind else "",
        "train_items": "" if trial.train_items is None else str(trial.train_items),
    }
    if trial.stopped is not None:
        stop = trial.stopped
        tags["stopped"] = f"after {stop.done} of {stop.total} {stop.unit}"
    return {key: value[:TAG_LIMIT] for key, value in tags.items() if value}


def _by_step(trial: TrialSummary, began: int) -> Iterator[Metric]:
    from mlflow.entities import Metric

    before = trial.cost.load_seconds if trial.cost else 0.0
    for step in trial.steps:
        at = began + round(1000 * (before + step.seconds))
        shown = {
            "loss": step.loss,
            "validation_loss": step.validation_loss,
            "validation_score": step.validation_score,
            "learning_rate": step.learning_rate,
            "grad_norm": step.grad_norm,
            "tokens": step.tokens or None,
        }
        # What a training command of the user's did not say is left out.
        yield from (
            Metric(name, float(value), at, step.step)
            for name, value in shown.items()
            if value is not None
        )


def _over_all_items(trial: TrialSummary, ended: int) -> Iterator[Metric]:
    """Scores as ``suite/task/split/metric``, costs as ``cost/name``."""
    from mlflow.entities import Metric

    for aggregate in trial.aggregates:
        yield Metric(
            f"{aggregate.suite}/{aggregate.task}/{aggregate.split}/{aggregate.metric}",
            aggregate.value,
            ended,
            0,
        )
    for name, value in (asdict(trial.cost) if trial.cost else {}).items():
        if value is not None:
            yield Metric(f"cost/{name}", float(value), ended, 0)


def _milliseconds(time: str) -> int:
    return round(1000 * datetime.fromisoformat(time).timestamp())


def _text(value: Any) -> str:
    return str(value)[:PARAMETER_LIMIT]


__all__ = ["MlflowExport", "export_mlflow"]
