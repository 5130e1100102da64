"""A study of which an arm is trained by a command of the user's, on the tiny model."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.deployment.finalist import loaded_candidate
from harness.errors import InputError, SpecError
from harness.export.final_run import find_final_run, is_adapter_run
from harness.export.model_folder import export_model
from harness.records import CHECKPOINT, TRIALS
from harness.review.studies import load_study, write_reports
from harness.spec import Experiment, load_experiment
from harness.store import StoreReader
from harness.study.run import StudyRun, run_study
from tests.processes import gone
from tests.tiny_model import CHATML, messages, write_model

pytestmark = pytest.mark.weights
TRAINER = Path(__file__).parents[1] / "trial" / "trainer.py"
COMMAND: dict[str, Any] = {
    "kind": "command",
    "command": ["{python}", "trainer.py", "{parameters}"],
    "parameters": {
        "learning_rate": {"low": 0.01, "high": 1.0, "log": True},
        "steps": {"choices": [2, 3]},
        "manner": "well",
    },
    "answering": "choice",
    "minutes": 0.1,
}


def write(folder: Path, arm: dict[str, Any], **changes: Any) -> Path:
    """The experiment's file, with model, rows and the command beside it."""
    if not (folder / "model").exists():
        write_model(folder / "model", CHATML)
    rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(30)]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shutil.copyfile(TRAINER, folder / "trainer.py")
    plain = {
        "name": "own",
        "model": {"reference": "model", "device": "cpu", "dtype": "float32"},
        "data": {"source": "data.jsonl", "splits": {"train": 0.4, "validation": 0.2, "test": 0.4}},
        "task": {
            "instruction": "Positive or negative?",
            "template": "{text}",
            "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
            "max_new_tokens": 4,
        },
        "arms": {"plain": {"kind": "prompt", "answering": "choice"}, "theirs": arm},
        "budget": {"trials": 3, "test_default": False},
        "seeds": [1, 2],
        "general": None,
        "memorisation_items": 0,
        **changes,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def run(spec: Experiment, folder: Path) -> StudyRun:
    return run_study(spec, folder / "results")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyRun]:
    folder = tmp_path_factory.mktemp("own_command")
    return folder, run(load_experiment(write(folder, COMMAND)), folder)


def test_it_is_searched_tested_and_reported(study: tuple[Path, StudyRun]) -> None:
    folder, done = study
    assert done.trials_failed == 0
    analysed = load_study(folder / "results", done.experiment_id)
    trials = [trial for trial in analysed.study.trials if trial.arm == "theirs"]
    searched = [trial for trial in trials if trial.phase == "search"]
    assert len(searched) == 3
    assert len({trial.params["parameters.learning_rate"] for trial in searched}) == 3
    finalists = [trial for trial in trials if trial.phase == "finalist"]
    assert {trial.seed for trial in finalists} == {1, 2}
    row = next(one for one in analysed.findings.arms if one.arm == "theirs")
    assert row.test is not None
    assert row.cost.train_tokens is not None
    assert row.cost.train_tokens > 0
    assert row.cost.train_seconds > 0
    written = write_reports(analysed, folder / "report", ("html", "md", "json"))
    text = written["md"].read_text()
    assert "own training command" in text
    # Settings are among the details, which a short text leaves out.
    assert "parameters.learning" in written["html"].read_text()


def test_the_second_run_pays_nothing(study: tuple[Path, StudyRun]) -> None:
    folder, _ = study
    spec = load_experiment(folder / "experiment.yaml")
    assert run(spec, folder).trials_run == 0
    assert not list((folder / "results" / TRIALS).glob(f"*/{CHECKPOINT}"))


def test_what_it_runs_is_part_of_what_a_trial_is_known_by(study: tuple[Path, StudyRun]) -> None:
    from harness.study.run import plan_study

    folder, done = study
    spec = load_experiment(folder / "experiment.yaml")
    script = folder / "trainer.py"
    before = script.read_text()
    assert plan_study(spec, folder / "results").experiment_id == done.experiment_id
    script.write_text(before + "# another\n")
    assert plan_study(spec, folder / "results").experiment_id != done.experiment_id
    script.write_text(before)


def test_the_winner_is_used_and_exported(study: tuple[Path, StudyRun]) -> None:
    folder, done = study
    final = find_final_run(done.store.parent, "own", "theirs")
    assert is_adapter_run(final)
    with loaded_candidate(final) as candidate:
        assert candidate.loaded.form == "adapter-on-float32"
    exported = export_model(
        done.store.parent, "own", folder / "merged", arm="theirs", form="merged", items=4
    )
    assert exported.form == "merged"
    assert exported.parity is not None
    assert not exported.parity.of_other_weights
    assert (folder / "merged" / "config.json").is_file()


def test_one_that_says_nothing_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    arm = {**COMMAND, "parameters": {"manner": "hangs", "pids": str(tmp_path / "pids.json")}}
    limits = {"silence_minutes": 0.25, "retries": 0}
    spec = load_experiment(write(tmp_path, arm, execution=limits, seeds=[1]))
    began = time.monotonic()
    done = run(spec, tmp_path)
    assert time.monotonic() - began < 300
    assert "hung" in done.without_result["theirs"]
    started = json.loads((tmp_path / "pids.json").read_text())
    assert gone(started)


def test_one_that_fails_takes_its_trials_only(tmp_path: Path) -> None:
    arm = {**COMMAND, "parameters": {"manner": "fails", "steps": {"choices": [1, 2]}}}
    done = run(load_experiment(write(tmp_path, arm, seeds=[1])), tmp_path)
    assert "no such column: wisdom" in done.without_result["theirs"]
    assert set(done.without_result) == {"theirs"}
    failures = StoreReader(done.store).query("SELECT failure_kind FROM trial WHERE status='failed'")
    assert [row["failure_kind"] for row in failures.named] == ["command", "command"]


def test_a_variable_that_it_is_to_be_given_must_be_set(tmp_path: Path) -> None:
    spec = load_experiment(write(tmp_path, {**COMMAND, "environment": ["NOT_SET_HERE"]}))
    with pytest.raises(InputError, match="NOT_SET_HERE is not set"):
        run(spec, tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-program", "{parameters}"], "there is no program no-such-program on the PATH"),
        (["{python}", "trian.py", "{parameters}"], "there is no file trian.py"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_loaded(
    tmp_path: Path, words: list[str], message: str
) -> None:
    from harness.study.run import plan_study

    spec = load_experiment(write(tmp_path, {**COMMAND, "command": words}))
    with pytest.raises((SpecError, InputError), match=message):
        plan_study(spec, tmp_path / "results")
