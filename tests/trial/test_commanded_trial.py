"""A trial that a training command of the user's trains."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.data.examples_file import write_examples
from harness.errors import TrialError
from harness.records import (
    ARTIFACT,
    CommandCall,
    CommandFile,
    Pruning,
    ScoreRequest,
    TrialCurve,
    TrialSpec,
    file_sha256,
)
from harness.spec import CommandArm
from harness.spec.settings import params_of
from harness.trial import run_trial
from harness.trial.command_files import folder_in
from harness.trial.command_process import Command, environment_for
from tests.tiny_model import TASK, TinyModels, messages, resolved, runtime, tiny_models

__all__ = ["tiny_models"]

TRAINER = Path(__file__).with_name("trainer.py")


def call(words: tuple[str, ...] = (sys.executable, str(TRAINER), "{parameters}")) -> CommandCall:
    return CommandCall(words, (CommandFile(str(TRAINER), TRAINER.name, file_sha256(TRAINER)),))


def commanded_trial(folder: Path, model: Path, **parameters: Any) -> TrialSpec:
    for name, count, start in (("train", 6, 0), ("validation", 3, 20), ("test", 4, 30)):
        write_examples(folder / f"{name}.parquet", messages(count, start))
    arm = CommandArm.model_validate(
        {
            "kind": "command",
            "command": ["{python}", "trainer.py", "{parameters}"],
            "parameters": {"learning_rate": 0.05, "steps": 3, **parameters},
            "rows": "text",
            "answering": "choice",
        }
    )
    return TrialSpec(
        trial_id="theirs",
        experiment_id="tiny",
        arm="theirs",
        kind="command",
        phase="finalist",
        number=0,
        seed=1,
        params=params_of(arm.resolve({})),
        model=resolved(model),
        task=TASK.model_dump(mode="json", by_alias=True),
        train_path=str(folder / "train.parquet"),
        validation_path=str(folder / "validation.parquet"),
        scores=(
            ScoreRequest(
                "test", "domain", "domain", "test", items_path=str(folder / "test.parquet")
            ),
        ),
        runtime=runtime(),
        weights_id="theirs",
        keep_artifact=True,
        command=call(),
    )


def test_it_is_trained_checked_scored_and_kept(tiny_models: TinyModels, tmp_path: Path) -> None:
    spec = commanded_trial(tmp_path, tiny_models.chat, manner="lasts")
    record = run_trial(spec, tmp_path / "trial")
    assert (record.status, record.failure_message) == ("complete", "")
    assert [score.form for score in record.scores] == ["adapter-on-float32"]
    assert [(step.step, step.steps) for step in record.steps] == [(1, 3), (2, 3), (3, 3)]
    assert [step.validation_loss for step in record.steps] == [1.0, 1 / 2, 1 / 3]
    assert record.canaries is not None
    assert record.canaries.before_max_difference is None
    assert (record.canaries.after_max_difference or 0) > 0
    cost = record.cost
    assert cost is not None
    assert cost.train_tokens == record.steps[-1].tokens
    assert cost.train_seconds > 0
    # The command's processes alone: it imports little.
    assert 10 < cost.peak_memory_mib < psutil.Process().memory_info().rss / 2**20
    assert 0 < cost.trainable_parameters < cost.total_parameters
    kept = tmp_path / "trial" / ARTIFACT
    assert {artifact.path for artifact in record.artifacts} >= {
        f"{ARTIFACT}/adapter_model.safetensors",
        f"{ARTIFACT}/adapter_config.json",
    }
    assert cost.artifact_bytes == sum(path.stat().st_size for path in kept.iterdir())
    assert record.environment["train_examples"] == "6"


def test_what_it_is_handed(tiny_models: TinyModels, tmp_path: Path) -> None:
    run_trial(commanded_trial(tmp_path, tiny_models.chat), tmp_path / "trial")
    place = folder_in(tmp_path / "trial")
    told = json.loads(place.parameters.read_text())
    assert told["parameters"] == {"learning_rate": 0.05, "steps": 3}
    assert (told["seed"], told["model"], told["train_rows"]) == (1, str(tiny_models.chat), 6)
    rows = [json.loads(line) for line in place.train.read_text().splitlines()]
    first = messages(1, 0)[0]
    assert first.inputs["text"] in rows[0]["prompt"]
    assert rows[0]["prompt"].endswith("<|im_start|>assistant\n")
    assert rows[0]["completion"] == first.answer + "<|im_end|>"
    assert len(place.validation.read_text().splitlines()) == 3


def test_a_row_is_one_line_to_whoever_reads_it(tiny_models: TinyModels, tmp_path: Path) -> None:
    """Python's own ``splitlines`` cuts at more than line feeds."""
    trial = commanded_trial(tmp_path, tiny_models.chat, manner="fails")
    odd = "one\u2028two\x85three\x0bé"
    first = replace(messages(1, 0)[0], inputs={"text": odd})
    write_examples(tmp_path / "train.parquet", (first, *messages(2, 1)))
    run_trial(trial, tmp_path / "trial")
    lines = folder_in(tmp_path / "trial").train.read_text().splitlines()
    assert len(lines) == 3
    assert odd in json.loads(lines[0])["prompt"]


@pytest.mark.parametrize(
    ("manner", "kind", "message"),
    [
        ("fails", "command", "exit code 1: reading rows\nno such column: wisdom"),
        ("leaves nothing", "command", "left no weights that can be used"),
        ("another base", "command", "trained on somebody/else, and the experiment's model is"),
        ("learns nothing", "weights", "the adapter changes nothing; it was not trained"),
    ],
)
def test_what_goes_wrong_is_told(
    tiny_models: TinyModels, tmp_path: Path, manner: str, kind: str, message: str
) -> None:
    trial = commanded_trial(tmp_path, tiny_models.chat, manner=manner)
    record = run_trial(trial, tmp_path / "trial")
    assert (record.status, record.failure_kind) == ("failed", kind)
    assert message in record.failure_message
    assert record.scores == ()


def test_tokens_that_it_does_not_say_are_not_known(tiny_models: TinyModels, tmp_path: Path) -> None:
    trial = commanded_trial(tmp_path, tiny_models.chat, manner="silent")
    record = run_trial(trial, tmp_path / "trial")
    assert record.status == "complete"
    assert record.cost is not None
    assert record.cost.train_tokens is None
    assert record.steps == ()


def test_it_is_stopped_by_the_losses_that_it_reports(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    past = tuple(
        TrialCurve(number, "complete", 0.5, ((1, -0.1), (2, -0.1), (3, -0.1)))
        for number in range(5)
    )
    trial = commanded_trial(
        tmp_path, tiny_models.chat, validation_loss=9.0, steps=200, manner="slow"
    )
    record = run_trial(replace(trial, pruning=Pruning("median", past)), tmp_path / "trial")
    assert record.status == "pruned"
    assert record.stopped is not None
    assert (record.stopped.total, record.stopped.value) == (200, 9.0)
    assert record.stopped.done < 200
    assert len(record.steps) == record.stopped.done
    here = psutil.Process().children(recursive=True)
    assert not [child for child in here if str(TRAINER) in " ".join(child.cmdline())]


def test_what_had_ended_before_a_kill_is_not_trained_again(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    trial = commanded_trial(tmp_path, tiny_models.chat)
    first = run_trial(trial, tmp_path / "trial")
    # The record was not written: the folder is as a kill while scoring leaves it.
    again = run_trial(replace(trial, command=call(("no-such-program",))), tmp_path / "trial")
    assert again.status == "complete"
    assert "had ended before" in again.environment["resumed"]
    assert again.steps == first.steps
    assert again.cost is not None
    assert again.cost.train_seconds >= first.steps[-1].seconds
    # What was altered since is no result.
    adapter = folder_in(tmp_path / "trial").result / "adapter_config.json"
    adapter.write_text(adapter.read_text() + " ")
    torn = run_trial(replace(trial, command=call(("no-such-program",))), tmp_path / "trial")
    assert "no-such-program cannot be run" in torn.failure_message


def test_a_peak_between_two_looks_is_not_missed(tmp_path: Path) -> None:
    held = "block = bytearray(200 << 20); del block; import time; time.sleep(0.6)"
    command = Command([sys.executable, "-c", held], tmp_path, {})
    assert list(command.lines()) == []
    assert command.exit_code == 0
    assert 200 < command.peak_mib < 300


def test_a_file_that_is_another_by_now_is_not_run(tiny_models: TinyModels, tmp_path: Path) -> None:
    trial = commanded_trial(tmp_path, tiny_models.chat)
    file = replace(call().files[0], sha256="0" * 64)
    record = run_trial(replace(trial, command=replace(call(), files=(file,))), tmp_path / "trial")
    assert (record.status, record.failure_kind) == ("failed", "command")
    assert "no longer holds what was planned" in record.failure_message


def test_no_secret_is_passed_on_that_is_not_named() -> None:
    given = {"PATH": "/bin", "HF_TOKEN": "x", "MY_KEY": "y", "CUDA_VISIBLE_DEVICES": "0",
             "OMP_SECRET": "z", "ODD": "1"}  # fmt: skip
    assert environment_for((), given) == {
        "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    assert environment_for(("MY_KEY",), given)["MY_KEY"] == "y"
    with pytest.raises(TrialError, match="NOT_SET is not set"):
        environment_for(("NOT_SET",), given)
