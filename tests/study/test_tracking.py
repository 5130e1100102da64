"""Trials written to trackers as they run, read back with the trackers' own readers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from harness.cli.run import command
from harness.records import TrialSummary
from harness.store import StoreReader
from harness.study import tracking
from harness.study.observer import Observer
from harness.study.run import StudyRun, run_study
from harness.study.tracking import TrackedObserver, TrackerName
from tests.fake_trial import Watching, experiment
from tests.untimed import timed, untimed_module

__all__ = ["timed", "untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

# An arm with one setting is trained for its search, and scored once more for its test.
PHASES = ("search-0-seed1", "finalist-0-seed1")


class Heard(Observer):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def run(folder: Path, name: TrackerName, heard: Observer) -> StudyRun:
    arms = {"zero": {"kind": "prompt"}, "lora": {"kind": "lora", "learning_rate": 0.002}}
    one = experiment(folder, name="watched", arms=arms, budget={"trials": 1}, general=None)
    results = folder / "results"
    observer = TrackedObserver(heard, name, results, one.name)
    return run_study(one, results, open_with=Watching, observer=observer)


def finalist(done: StudyRun) -> TrialSummary:
    trials = StoreReader(done.store).trials(done.experiment_id)
    return next(trial for trial in trials if (trial.arm, trial.phase) == ("lora", "finalist"))


def score_of(trial: TrialSummary) -> float:
    found = [one for one in trial.aggregates if (one.split, one.metric) == ("test", "exact_match")]
    return next(one.value for one in found if one.suite == "domain")


def test_tensorboard_reads_back_what_the_store_holds(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    heard = Heard()
    done = run(tmp_path, "tensorboard", heard)
    assert heard.warnings == []
    trial = finalist(done)
    folder = tmp_path / "results" / "tensorboard" / "watched"
    names = [path.name for path in folder.iterdir()]
    assert len(names) == done.trials_run
    trained, tested = (
        accumulator.EventAccumulator(str(folder / name)).Reload()
        for name in (f"lora-{phase}-{trial.trial_id[:8]}" for phase in PHASES)
    )
    losses = [(event.step, event.value) for event in trained.Scalars("loss")]
    assert losses == [(step.step, pytest.approx(step.loss)) for step in trial.steps]
    (scored,) = tested.Scalars("domain/domain/test/exact_match")
    assert scored.value == pytest.approx(score_of(trial))


def test_mlflow_reads_back_what_the_store_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "true")
    uri = (tmp_path / "results" / "mlflow").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    heard = Heard()
    done = run(tmp_path, "mlflow", heard)
    assert heard.warnings == []
    client = mlflow.MlflowClient(tracking_uri=uri)
    (kept,) = [one for one in client.search_experiments() if one.name == "watched"]
    runs = client.search_runs([kept.experiment_id])
    assert len(runs) == done.trials_run
    trial = finalist(done)
    own = {
        one.data.params["phase"]: one
        for one in runs
        if one.data.params["trial_id"] == trial.trial_id
    }
    assert own["search"].data.params["learning_rate"] == "0.002"
    shown = own["finalist"].data.metrics["domain/domain/test/exact_match"]
    assert shown == pytest.approx(score_of(trial))
    losses = client.get_metric_history(own["search"].info.run_id, "loss")
    assert [one.value for one in losses] == pytest.approx([step.loss for step in trial.steps])


def test_wandb_writes_a_run_for_every_trial_offline_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_SILENT"):
        # Set first, so that what the run sets is undone.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    heard = Heard()
    done = run(tmp_path, "wandb", heard)
    assert heard.warnings == []
    kept = list((tmp_path / "results" / "wandb").rglob("offline-run-*/*.wandb"))
    assert len(kept) == done.trials_run
    assert "wandb" not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("timed")
def test_a_tracker_that_breaks_ends_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*of: object) -> None:
        raise OSError("the server is away")

    monkeypatch.setattr(tracking, "_tracker", breaks)
    monkeypatch.setattr(tracking, "find_spec", lambda name: object())
    heard = Heard()
    done = run(tmp_path, "wandb", heard)
    assert (done.trials_failed, done.trials_run) == (0, 9)
    assert heard.warnings == [
        "wandb could not be written to, and is not tried again in this run: the server is away"
    ]


def test_open_runs_are_ended_once_a_tracker_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Tracker] = []

    class Tracker:
        """Breaks when it is told of what a trial left; the second cannot be ended either."""

        def __init__(self, *of: object) -> None:
            self.ended = 0
            begun.append(self)

        def start(self) -> None:
            """Nothing."""

        def store_init_configuration(self, values: object) -> None:
            """Nothing."""

        def log(self, values: object, step: int) -> None:
            raise OSError("the server is away")

        def finish(self) -> None:
            self.ended += 1
            raise OSError("the server is away")

    monkeypatch.setattr(tracking, "_tracker", Tracker)
    monkeypatch.setattr(tracking, "find_spec", lambda name: object())
    heard = Heard()
    observer = TrackedObserver(heard, "wandb", tmp_path, "watched")
    for number in range(2):
        named = {"arm": "lora", "kind": "lora", "phase": "search", "number": number, "seed": 1}
        model = SimpleNamespace(reference="m")
        spec = SimpleNamespace(trial_id=str(number), params={}, model=model, **named)
        observer._track(observer._begin, spec)
    observer._track(begun[0].log, {}, 1)
    observer.end()
    assert [one.ended for one in begun] == [1, 1]
    assert len(heard.warnings) == 1


def test_a_tracker_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    experiment(tmp_path)
    file = tmp_path / "one.yaml"
    file.write_text(experiment(tmp_path).model_dump_json(by_alias=True), encoding="utf-8")
    ended = CliRunner().invoke(command, [str(file), "--track", "wandb"])
    assert "pip install wandb" in str(ended.exception or ended.output)
