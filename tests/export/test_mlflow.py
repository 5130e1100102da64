"""MLflow stores: what MLflow's own client reads of them is what the store has."""

from __future__ import annotations

import builtins
import json
import os
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import group
from harness.errors import InputError
from harness.export import export_mlflow
from harness.export.mlflow_runs import MlflowExport
from harness.records import Artifact, TrialSummary
from harness.review.studies import AnalysedStudy, load_study
from harness.store import StoreReader
from harness.study.run import StudyRun

pytestmark = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="MLflow is not installed: pip install -e '.[mlflow]'"
)


def stored(done: StudyRun) -> dict[str, TrialSummary]:
    trials = StoreReader(done.store).trials(done.experiment_id)
    return {trial.trial_id: trial for trial in trials}


def runs_of(uri: str, experiment: str) -> tuple[Any, list[Any]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client, list(client.search_runs([found.experiment_id]))


@pytest.fixture(scope="module")
def in_files(exported: StudyRun, tmp_path_factory: pytest.TempPathFactory) -> MlflowExport:
    """The whole study as MLflow's files, to be read."""
    return export_mlflow(exported.store.parent, None, tmp_path_factory.mktemp("files") / "runs")


def told(results: Path, out: Path, *flags: str) -> str:
    """What the command says; it names the place."""
    command = ["export", "mlflow", "--results", str(results), "--out", str(out), *flags]
    done = CliRunner().invoke(group, command)
    assert done.exit_code == 0, done.output
    assert str(out) in done.output
    return done.output


@pytest.fixture
def one_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every study, a finalist alone is exported."""

    def shortened(results: Path, experiment_id: str) -> AnalysedStudy:
        loaded = load_study(results, experiment_id)
        trials = tuple(one for one in loaded.study.trials if one.phase == "finalist")
        return replace(loaded, study=replace(loaded.study, trials=trials[:1]))

    monkeypatch.setattr("harness.export.mlflow_runs.load_study", shortened)


@pytest.mark.parametrize("database", [False, True])
def test_mlflow_reads_the_stores_numbers(
    exported: StudyRun, in_files: MlflowExport, tmp_path: Path, database: bool
) -> None:
    uri, trials = in_files.uri, stored(exported)
    if database:
        said = told(exported.store.parent, tmp_path / "runs", "--database")
        shown, _, uri = said.partition(" ui --backend-store-uri ")
        assert shown.endswith("Show them: mlflow")
    client, runs = runs_of(uri.split()[0], in_files.experiment)
    assert {run.data.tags["trial_id"] for run in runs} == set(trials)
    assert len(runs) == in_files.runs == len(trials)
    for run in runs:
        trial = trials[run.data.tags["trial_id"]]
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
        assert run.data.tags["arm"] == trial.arm
        assert (run.data.tags["phase"], run.data.tags["status"]) == (trial.phase, trial.status)
        for one in trial.aggregates:
            name = f"{one.suite}/{one.task}/{one.split}/{one.metric}"
            assert run.data.metrics[name] == one.value
        assert trial.cost is not None
        assert run.data.metrics["cost/train_seconds"] == trial.cost.train_seconds
        losses = client.get_metric_history(run.info.run_id, "loss") if trial.steps else []
        assert [(m.step, m.value) for m in losses] == [(s.step, s.loss) for s in trial.steps]
    statuses = Counter((run.info.status, run.data.tags["status"]) for run in runs)
    assert set(statuses) == {("FINISHED", "complete"), ("FAILED", "failed"), ("KILLED", "pruned")}
    assert not Path("mlruns").exists()


def test_final_runs_have_their_role_and_their_files(
    exported: StudyRun, in_files: MlflowExport
) -> None:
    done = in_files
    client, runs = runs_of(done.uri, done.experiment)
    roles = {
        run.data.tags["arm"]: run.data.tags.get("verdict_role")
        for run in runs
        if run.data.tags["phase"] == "finalist"
    }
    assert set(roles) == {"few-shot", "lora"}
    assert set(roles.values()) <= {"winner", "compared"}
    assert {r.data.tags.get("verdict_role") for r in runs if r.data.tags["phase"] == "search"} == {
        None
    }
    experiment = client.get_experiment_by_name(done.experiment)
    assert experiment.tags["verdict"]
    assert experiment.tags["experiment_id"] == exported.experiment_id
    folders = {Path(run.data.tags["trial_folder"]) for run in runs}
    assert all((folder / "record").is_dir() for folder in folders)


def test_files_are_named_with_their_hashes_and_stay_where_they_are(
    exported: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = next(t for t in stored(exported).values() if t.phase == "finalist")
    row: dict[str, Any] = {"path": "adapter/weights.safetensors", "sha256": "a" * 64, "bytes": 12}

    def with_file(results: Path, experiment_id: str) -> AnalysedStudy:
        loaded = load_study(results, experiment_id)
        with_artifact = replace(trial, artifacts=(Artifact(**row),))
        return replace(loaded, study=replace(loaded.study, trials=(with_artifact,)))

    monkeypatch.setattr("harness.export.mlflow_runs.load_study", with_file)
    done = export_mlflow(exported.store.parent, None, tmp_path)
    client, runs = runs_of(done.uri, done.experiment)
    (run,) = [one for one in runs if one.data.tags["trial_id"] == trial.trial_id]
    (shown,) = client.list_artifacts(run.info.run_id)
    assert shown.path == "files.json"
    local = client.download_artifacts(run.info.run_id, "files.json", str(tmp_path))
    said = json.loads(Path(local).read_text())
    assert said["files"] == [row]
    assert said["folder"] == str(exported.folder.parent / "trials" / trial.trial_id)


@pytest.mark.usefixtures("one_trial")
def test_an_earlier_export_is_replaced_only_when_told(exported: StudyRun, tmp_path: Path) -> None:
    results = exported.store.parent
    first = export_mlflow(results, "pretended", tmp_path)
    with pytest.raises(InputError, match="--force replaces them"):
        export_mlflow(results, None, tmp_path)
    export_mlflow(results, None, tmp_path, force=True)
    assert len(runs_of(first.uri, first.experiment)[1]) == first.runs


def test_a_folder_of_other_things_is_left_alone(exported: StudyRun, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="something else than an MLflow store"):
        export_mlflow(exported.store.parent, None, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        export_mlflow(exported.store.parent, None, tmp_path / "letter.txt")
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


def test_without_mlflow_the_extra_is_named(
    exported: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = builtins.__import__

    def importing(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "mlflow":
            raise ModuleNotFoundError("No module named 'mlflow'")
        return genuine(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(InputError, match=r"pip install 'harness\[mlflow\]'"):
        export_mlflow(exported.store.parent, None, tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("one_trial")
def test_the_command_says_how_to_show_the_runs(exported: StudyRun, tmp_path: Path) -> None:
    said = told(exported.store.parent, tmp_path / "runs")
    assert "Show them: MLFLOW_ALLOW_FILE_STORE=true mlflow ui" in said
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
