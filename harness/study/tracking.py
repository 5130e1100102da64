"""A study as it runs, written to a tracker: a run for every trial that this process runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import InputError
from harness.records import Phase, Progress, StepReport, TrialRecord, TrialSpec
from harness.study.coming import Coming
from harness.study.observer import ArmExplanation, Observer

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

TrackerName = Literal["tensorboard", "mlflow", "wandb"]


class TrackedObserver(Observer):
    """Tells another observer all, and a tracker of accelerate's of the trials.

    A run has the trial's setting, its losses by step and what it scored and took. TensorBoard is
    written to as a trial trains. The others know one run at a time, whose steps only go forwards:
    they get a trial when it has ended.

    Args:
        inner: told everything first.
        name: the tracker.
        folder: where its files go, unless the tracker's own settings name another place.
        study: name of the study, which runs are gathered under.

    Raises:
        InputError: the tracker's package is not installed.
    """

    def __init__(self, inner: Observer, name: TrackerName, folder: Path, study: str) -> None:
        if find_spec(name) is None:
            raise InputError(
                f"--track {name}: the package {name} is not installed: pip install {name}"
            )
        self._inner, self._name, self._study = inner, name, study
        self._folder = folder.resolve() / name
        self._open: dict[str, GeneralTracker] = {}
        self._logged: dict[str, set[int]] = {}
        self._off = False

    def stage(self, text: str) -> None:
        """Pass it on."""
        self._inner.stage(text)

    def known(self, arms: Sequence[ArmExplanation]) -> None:
        """Pass it on."""
        self._inner.known(arms)

    def planned(self, trials: int, coming: Sequence[Coming]) -> None:
        """Pass it on."""
        self._inner.planned(trials, coming)

    def resumed(self, trials: int) -> None:
        """Pass it on."""
        self._inner.resumed(trials)

    def trial_skipped(self, arm: str, phase: Phase) -> None:
        """Pass it on."""
        self._inner.trial_skipped(arm, phase)

    def warning(self, text: str) -> None:
        """Pass it on."""
        self._inner.warning(text)

    def trial_started(self, spec: TrialSpec) -> None:
        """Open the trial's run."""
        self._inner.trial_started(spec)
        if self._name == "tensorboard":
            self._track(self._begin, spec)

    def progress(self, progress: Progress) -> None:
        """Log the loss of a step."""
        self._inner.progress(progress)
        if progress.loss is not None and progress.trial_id in self._open:
            loss = {"loss": progress.loss}
            self._track(self._open[progress.trial_id].log, loss, progress.done)
            self._logged[progress.trial_id].add(progress.done)

    def trial_ended(self, record: TrialRecord) -> None:
        """Log what the trial left, and end its run."""
        self._inner.trial_ended(record)
        self._track(self._end, record)

    def _track(self, act: Callable[..., object], *arguments: object) -> None:
        """Do it, or give the tracker up: the study is what counts."""
        if self._off:
            return
        try:
            act(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever a tracker or its server does
            self._off = True
            self._inner.warning(
                f"{self._name} could not be written to, and is not tried again in this run: {error}"
            )
            self.end()

    def end(self) -> None:
        """End the runs that are still open: a tracker shows them as running for ever else."""
        for trial_id in list(self._open):
            # One that cannot be ended does not keep the others open.
            with suppress(Exception):
                self._open.pop(trial_id).finish()

    def _begin(self, spec: TrialSpec) -> GeneralTracker:
        title = f"{spec.arm}-{spec.phase}-{spec.number}-seed{spec.seed}-{spec.trial_id[:8]}"
        tracker = self._open[spec.trial_id] = _tracker(
            self._name, self._folder, self._study, title.replace("/", "_")
        )
        self._logged[spec.trial_id] = set()
        tracker.start()
        tracker.store_init_configuration(_flat(spec))
        return tracker

    def _end(self, record: TrialRecord) -> None:
        tracker = self._open.get(record.spec.trial_id) or self._begin(record.spec)
        logged = self._logged.pop(record.spec.trial_id)
        for step in record.steps:
            shown = _shown(step)
            if step.step in logged:
                shown.pop("loss")
            tracker.log(shown, step.step)
        tracker.log(_outcome(record), len(record.steps))
        self._open.pop(record.spec.trial_id).finish()


def _tracker(name: TrackerName, folder: Path, study: str, title: str) -> GeneralTracker:
    from accelerate import PartialState, tracking

    PartialState()
    folder.mkdir(parents=True, exist_ok=True)
    if name == "tensorboard":
        return tracking.TensorBoardTracker(f"{study}/{title}", folder)
    if name == "mlflow":
        # Plain files, which need no database; current versions want to be told so.
        os.environ.setdefault("MLFLOW_TRACKING_URI", folder.as_uri())
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        return tracking.MLflowTracker(experiment_name=study, run_name=title)
    os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("WANDB_DIR", str(folder))
    # Of every run it would print thirty lines among those of the study.
    os.environ.setdefault("WANDB_SILENT", "true")
    return tracking.WandBTracker(study, name=title)


def _flat(spec: TrialSpec) -> dict[str, str | int | float | bool]:
    named = {"arm": spec.arm, "kind": spec.kind, "phase": spec.phase, "seed": spec.seed}
    known = {"trial_id": spec.trial_id, "model": spec.model.reference, **named, **spec.params}
    return {
        key: value if isinstance(value, str | int | float | bool) else str(value)
        for key, value in known.items()
        if value is not None
    }


def _shown(step: StepReport) -> dict[str, float]:
    """What a step is known by, without what was not measured at it."""
    names = ("loss", "learning_rate", "grad_norm", "tokens", "validation_loss", "validation_score")
    values = {name: getattr(step, name) for name in names}
    return {name: float(value) for name, value in values.items() if value is not None}


def _outcome(record: TrialRecord) -> dict[str, float]:
    """Scores as ``suite/task/split/metric``, costs as ``cost/name``."""
    found = {
        f"{score.suite}/{score.task}/{score.split}/{metric}": float(value)
        for score in record.scores
        for metric, value in score.aggregates.items()
    }
    cost = asdict(record.cost) if record.cost else {}
    found |= {f"cost/{name}": float(value) for name, value in cost.items() if value is not None}
    return {**found, "failed": float(record.status == "failed")}
