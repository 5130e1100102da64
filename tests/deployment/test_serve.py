"""A finalist is served in one command, and what is served is what was scored."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli import group
from harness.deployment.serve import ServePlan, _folder, serving, serving_program
from harness.errors import HarnessError, InputError
from harness.export.final_run import find_final_run

from .conftest import LearntStudy, RealStudy

pytestmark = pytest.mark.weights


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def serve(results: Path, *options: str) -> Result:
    return CliRunner().invoke(group, ["serve", "--results", str(results), *options])


def test_a_served_finalist_replies_as_it_was_scored(learnt: LearntStudy) -> None:
    results = learnt.final.analysed.results
    done = serve(results, "--arm", "written", "--check", "--port", free_port())
    assert done.exit_code == 0, done.output
    assert "Every one of the 12 replies is the one that was scored." in done.output
    # `transformers serve` leaves out what a tokenizer puts before every text, as it says itself.
    assert "BOS missing: the prompts have no beginning of text" in " ".join(done.output.split())


def test_what_would_be_started_is_shown(learnt: LearntStudy, tmp_path: Path) -> None:
    results, place = learnt.final.analysed.results, tmp_path / "served"
    options = ("--arm", "written", "--show", "--port", "8123", "--folder", str(place))
    done = serve(results, *options)
    assert done.exit_code == 0, done.output
    lines = dict(line.split(": ", 1) for line in done.output.splitlines() if ": " in line)
    command = shlex.split(lines["Started as"])
    assert command[1:7] == ["serve", str(place), "--host", "127.0.0.1", "--port", "8123"]
    assert command[-2:] == ["--dtype", "float32"]
    verify = shlex.split(lines["Verify it"])
    assert verify[:2] == ["harness", "verify"]
    assert ["--endpoint", "http://127.0.0.1:8123/v1", "--model", str(place)] == verify[-4:]
    receipt = json.loads((place / "harness-export.json").read_text())
    assert (receipt["form"], receipt["trial_id"]) == ("merged", learnt.final.trial.trial_id)
    # What is there already is not written again.
    before = (place / "model.safetensors").stat().st_mtime_ns
    assert serve(results, *options).exit_code == 0
    assert (place / "model.safetensors").stat().st_mtime_ns == before


def test_a_prompt_is_served_by_its_base(study: RealStudy) -> None:
    results = study.run.store.parent
    done = serve(results, "--arm", "nearest", "--show")
    assert done.exit_code == 0, done.output
    assert f"model: {results.parent / 'model'}" in done.output
    done = serve(results, "--arm", "nearest", "--show", "--dtype", "float32")
    assert isinstance(done.exception, InputError)
    done = serve(results, "--arm", "hosted", "--show")
    assert "its model is served already, as little at" in str(done.exception)


def test_a_server_that_does_not_start_is_told(
    learnt: LearntStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server lists the models of this folder, and fails to where there is none.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    run = find_final_run(learnt.final.analysed.results, None, "written")
    command = (str(serving_program()), "serve", "--no-such-option")
    plan = ServePlan(run, tmp_path, command, f"http://127.0.0.1:{free_port()}/v1")
    with (
        pytest.raises(HarnessError, match="ended with 2 before it answered"),
        serving(plan, tmp_path / "log"),
    ):
        pytest.fail("it has started")
    assert (tmp_path / "hub").is_dir()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs fastapi and uvicorn: pip install"):
        serving_program()


def test_plain_text_is_refused_before_anything_is_written(study: RealStudy) -> None:
    results = study.run.store.parent
    done = serve(results, "--arm", "plain", "--check", "--port", free_port())
    assert isinstance(done.exception, InputError)
    assert "it asked in plain text" in str(done.exception)
    assert "Started as" not in done.output


def test_whole_weights_are_served_again_in_another_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def export(results: Path, study: str, place: Path, **asked: Any) -> None:
        assert (place.exists(), asked["dtype"]) == (False, None)
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        receipt = {"trial_id": "one", "dtype": "float32"}
        (place / "harness-export.json").write_text(json.dumps(receipt))
        written.append(place)

    monkeypatch.setattr("harness.deployment.serve.export_model", export)
    known = SimpleNamespace(folder="small", experiment_id="id")
    run: Any = SimpleNamespace(
        spec=SimpleNamespace(kind="full", runtime=SimpleNamespace(dtype="float32")),
        trial=SimpleNamespace(trial_id="one", arm="full", seed=1),
        analysed=SimpleNamespace(results=tmp_path, study=SimpleNamespace(experiment=known)),
    )
    places = [_folder(run, None, dtype) for dtype in ("bfloat16", "bfloat16", None)]
    assert places == [written[0]] * 3
    assert len(written) == 1
