"""Optuna storages: what Optuna and its dashboard read of them is what the store has."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.cli import group
from harness.errors import InputError
from harness.export import export_optuna
from harness.records import TrialSummary
from harness.review.searches import stored_searches
from harness.search.rebuilt import StoredSearch, StoredTrial, rebuild
from harness.spec import FloatRange
from harness.store import StoreReader
from harness.study.run import StudyRun

METRIC = "exact_match"


def searched(done: StudyRun, arm: str) -> list[TrialSummary]:
    trials = StoreReader(done.store).trials(done.experiment_id)
    return [trial for trial in trials if trial.phase == "search" and trial.arm == arm]


def read_back(path: Path, arm: str, *, journal: bool = False) -> optuna.Study:
    storage: Any = (
        JournalStorage(JournalFileBackend(str(path)))
        if journal
        else RDBStorage(f"sqlite:///{path}")
    )
    return optuna.load_study(study_name=f"pretended/{arm}", storage=storage)


@pytest.mark.parametrize("journal", [False, True])
def test_optuna_reads_the_stores_numbers(exported: StudyRun, tmp_path: Path, journal: bool) -> None:
    path = tmp_path / "sub" / "studies"
    names = export_optuna(exported.store.parent, None, path, journal=journal)
    assert names == ["pretended/few-shot", "pretended/lora"]
    for arm in ("few-shot", "lora"):
        study, trials = read_back(path, arm, journal=journal), searched(exported, arm)
        assert len(study.trials) == len(trials) > 3
        for found, trial in zip(study.trials, trials, strict=True):
            assert found.user_attrs["trial_id"] == trial.trial_id
            assert found.number == trial.number
            score = [
                one.value
                for one in trial.aggregates
                if one.suite == "domain" and one.split == "validation" and one.metric == METRIC
            ]
            assert (found.values or []) == score
            assert found.user_attrs["cost"]["train_seconds"] == (2.0 if arm == "lora" else 0.0)
    states = {trial.state for trial in read_back(path, "lora", journal=journal).trials}
    assert states == {TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED}


@pytest.fixture(scope="module")
def database(exported: StudyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole study as a database, to be read."""
    path = tmp_path_factory.mktemp("database") / "studies.db"
    export_optuna(exported.store.parent, "pretended", path)
    return path


def test_settings_courses_and_constraints(exported: StudyRun, database: Path) -> None:
    trials = searched(exported, "lora")
    for found, trial in zip(read_back(database, "lora").trials, trials, strict=True):
        assert found.params["learning_rate"] == trial.params["learning_rate"]
        assert found.params["instruction"] == trial.params["instruction"]
        assert set(found.params) == {"learning_rate", "instruction", "targets"}
        if trial.status == "pruned":
            assert found.intermediate_values == {0: 0.0, 3: 1.0}
            assert found.user_attrs["stopped"] == "after 8 of 20 items"
        else:
            assert found.intermediate_values == {n: -1.6 / n for n in range(1, 5)}
        if trial.status == "complete":
            (excess,) = found.constraints.values()
            assert excess == pytest.approx(-found.user_attrs["general_change"] - 0.05)
            # Four items a task: a trial that loses nothing of itself may still miss one by chance.
            assert excess > 0 or "lose" not in trial.params["instruction"]
        else:
            assert found.constraints == {}


def test_the_study_knows_the_metric_and_its_direction(exported: StudyRun, database: Path) -> None:
    study = read_back(database, "few-shot")
    assert study.metric_names == [METRIC]
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.user_attrs["experiment_id"] == exported.experiment_id
    assert study.best_value == max(t.value for t in study.trials if t.value is not None)


def test_the_dashboard_shows_it(exported: StudyRun, database: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    application = dashboard.wsgi(RDBStorage(f"sqlite:///{database}"))
    listed = get(application, "/api/studies")["study_summaries"]
    assert {one["study_name"] for one in listed} == {"pretended/few-shot", "pretended/lora"}
    (lora,) = [one["study_id"] for one in listed if one["study_name"] == "pretended/lora"]
    shown = get(application, f"/api/studies/{lora}", "after=0")
    trials = searched(exported, "lora")
    assert [one["state"] for one in shown["trials"]] == [
        {"complete": "Complete", "failed": "Fail", "pruned": "Pruned"}[t.status] for t in trials
    ]
    assert {space["name"] for space in shown["union_search_space"]} == {
        "learning_rate", "instruction", "targets",
    }  # fmt: skip


def get(application: Any, path: str, query: str = "") -> dict[str, Any]:
    """What a WSGI application answers, as JSON."""
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "test",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(),
    }  # fmt: skip
    body = b"".join(application(environ, lambda status, headers, *_: said.append(status)))
    assert said == ["200 OK"], body
    answer: dict[str, Any] = json.loads(body)
    return answer


def test_a_file_is_not_written_over(exported: StudyRun, tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already; --force"):
        export_optuna(exported.store.parent, None, path)
    assert path.read_text() == "mine"
    with pytest.raises(InputError, match="is a folder"):
        export_optuna(exported.store.parent, None, tmp_path, force=True)
    export_optuna(exported.store.parent, None, path, force=True)
    assert len(read_back(path, "few-shot").trials) == len(searched(exported, "few-shot"))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.db"]


def test_the_command(exported: StudyRun, tmp_path: Path) -> None:
    results = str(exported.store.parent)
    path = tmp_path / "s.db"
    arguments = ["export", "optuna", "pretended", "--results", results, "--out", str(path)]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0, done.output
    assert f"optuna-dashboard sqlite:///{path}" in done.output
    assert path.exists()


def test_two_objectives_are_two_values(exported: StudyRun) -> None:
    study = StoreReader(exported.store).study(exported.experiment_id)
    search = {**study.experiment.spec["search"], "forgetting": "objective", "pruner": None}
    record = replace(study.experiment, spec={**study.experiment.spec, "search": search})
    (lora,) = [s for s in stored_searches(replace(study, experiment=record)) if "lora" in s.name]
    built = rebuild(lora)
    assert built.metric_names == [METRIC, "general change"]
    for found in built.get_trials(states=(TrialState.COMPLETE,)):
        assert found.values[1] == found.user_attrs["general_change"]
        assert found.constraints == {}


def test_a_complete_trial_without_a_score_is_a_failed_one() -> None:
    trial = StoredTrial(
        0, "complete", {"x": 0.5}, None, None, (), "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"
    )
    space = {"x": FloatRange(low=0, high=1)}
    search = StoredSearch("s", "lora", 0, space, "loss", False, None, False, (trial,))
    built = rebuild(search)
    assert built.direction == optuna.study.StudyDirection.MINIMIZE
    (found,) = built.trials
    assert found.state == TrialState.FAIL
    assert found.duration is not None and found.duration.total_seconds() == 1
