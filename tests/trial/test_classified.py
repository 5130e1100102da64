"""A trial of a classifier: a record like any other, without a model, and the same again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.data.examples_file import write_examples
from harness.records import ScoreRequest, TrialSpec, to_plain
from harness.spec import ClassifierArm
from harness.trial import run_trial
from tests.tiny_model import TASK, messages, resolved, runtime


def classifier_trial(folder: Path, **params: object) -> TrialSpec:
    """A trial of a classifier; its model is a folder that does not exist."""
    for name, count, start in (("train", 12, 0), ("test", 10, 30)):
        write_examples(folder / f"{name}.parquet", messages(count, start))
    arm = ClassifierArm.model_validate({"kind": "classifier", **params})
    path = str(folder / "test.parquet")
    return TrialSpec(
        trial_id="words",
        experiment_id="tiny",
        arm="words",
        kind="classifier",
        phase="finalist",
        number=0,
        seed=1,
        params=to_plain(arm.resolve(arm.defaults())),
        model=resolved(folder / "none"),
        task=TASK.model_dump(mode="json", by_alias=True),
        train_path=str(folder / "train.parquet"),
        scores=(
            ScoreRequest("test", "domain", "domain", "test", items_path=path),
            ScoreRequest("time", "domain", "latency", "test", items_path=path),
        ),
        runtime=runtime(),
        weights_id="fitted",
    )


def test_it_is_fitted_and_scored_without_a_model(tmp_path: Path) -> None:
    record = run_trial(classifier_trial(tmp_path), tmp_path / "trial")
    assert (record.status, record.failure_message) == ("complete", "")
    test, timed = record.scores
    assert test.aggregates["exact_match"] == 1.0
    assert {output.output for output in test.outputs} == {"positive", "negative"}
    assert (test.form, len(timed.latencies)) == ("classifier", 10)
    assert record.cost is not None
    assert record.cost.total_parameters == 0
    assert record.cost.artifact_bytes > record.cost.trainable_parameters > 0
    assert record.canaries is None
    assert record.artifacts == ()


def test_it_answers_the_same_again(tmp_path: Path) -> None:
    spec = classifier_trial(tmp_path)
    first, second = (run_trial(spec, tmp_path / name).scores[0] for name in "ab")
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_a_fitting_that_cannot_be_is_a_recorded_failure(tmp_path: Path) -> None:
    spec = classifier_trial(tmp_path, features="words")
    silent = [replace(one, inputs={"text": " "}) for one in messages(4)]
    write_examples(tmp_path / "silent.parquet", silent)
    task = {**spec.task, "template": "{text}"}
    record = run_trial(
        replace(spec, task=task, train_path=str(tmp_path / "silent.parquet")), tmp_path / "trial"
    )
    assert record.status == "failed"
    assert "no classifier can be fitted" in record.failure_message
