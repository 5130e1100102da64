"""Judges in an experiment file, and the metrics that are their marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import SpecError
from harness.spec import Experiment, load_experiment

JUDGE: dict[str, Any] = {"model": "smollm2-135m-instruct", "rubric": "Is it kind?", "scale": [1, 5]}
NAMED: dict[str, Any] = {"reference": "smollm2-135m-instruct"}
SERVER: dict[str, Any] = {"url": "http://localhost:9/v1", "model": "large"}


def values(**changes: Any) -> dict[str, Any]:
    plain = {
        "name": "study",
        "model": "smollm2-135m-instruct",
        "data": {"source": "data.csv"},
        "judges": {"kindness": JUDGE},
        "task": {
            "instruction": "Answer.",
            "answer": {"kind": "text", "column": "answer"},
            "metrics": ["judge:kindness", "chrf"],
        },
        "arms": {"zero-shot": {"kind": "prompt"}},
        "contrast": {"margin": 0.2},
    }
    return {**plain, **changes}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values(**changes), sort_keys=False), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    return str(caught.value)


def test_the_metric_says_who_judges_by_what_and_on_which_scale(tmp_path: Path) -> None:
    spec = load_experiment(written(tmp_path))
    info = spec.task.primary
    assert (info.name, info.lowest, info.highest) == ("kindness", 1.0, 5.0)
    assert info.higher_is_better
    assert info.label == "judged by smollm2-135m-instruct: kindness"
    assert "mark of a reply from 1 to 5" in info.meaning
    assert "Is it kind?" in info.meaning
    assert "no person's judgement" in info.meaning
    again = Experiment.model_validate(spec.plain())
    assert again == spec
    assert again.trial_identity() == spec.trial_identity()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"rubric": "Is it short?"}, False, id="rubric"),
        pytest.param({"scale": [1, 7]}, False, id="scale"),
        pytest.param({"shows_target": False}, False, id="target"),
        pytest.param({"calibration": "human.csv"}, True, id="calibration"),
    ],
)
def test_what_changes_its_marks_is_another_study(change: dict[str, Any], same: bool) -> None:
    before = Experiment.model_validate(values())
    after = Experiment.model_validate(values(judges={"kindness": {**JUDGE, **change}}))
    assert (after.trial_identity() == before.trial_identity()) is same


def test_of_a_server_it_is_the_model_and_the_address() -> None:
    judge = {"endpoint": SERVER, "rubric": "Is it kind?"}
    spec = Experiment.model_validate(values(judges={"kindness": judge}))
    (metric,) = spec.task.judged
    assert metric.identity()["judge"] == "large at http://localhost:9/v1"
    for other in (
        {**judge, "endpoint": {**SERVER, "chat_template_args": {"mood": "kind"}}},
        {**judge, "max_new_tokens": 65},
    ):
        asked = Experiment.model_validate(values(judges={"kindness": other}))
        assert asked.trial_identity() != spec.trial_identity()
        assert Experiment.model_validate(asked.plain()) == asked
    dearer = {**judge, "endpoint": {**SERVER, "prompt_price": 1, "spending_cap": 2}}
    priced = Experiment.model_validate(values(judges={"kindness": dearer}))
    assert priced.trial_identity() == spec.trial_identity()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"judges": {}}, "no judge is called 'kindness' under `judges`", id="unknown"),
        pytest.param(
            {"judges": {"kindness": {"rubric": "Is it kind?"}}}, "give `model` or `endpoint`",
            id="nobody",
        ),
        pytest.param(
            {"judges": {"kindness": {**JUDGE, "endpoint": SERVER}}}, "give `model` or `endpoint`",
            id="both",
        ),
        pytest.param(
            {"judges": {"kindness": {**JUDGE, "scale": [5, 1]}}}, "must be less than", id="scale"
        ),
        pytest.param(
            {"judges": {"kindness": {**JUDGE, "rubric": "  "}}}, "what makes a reply good",
            id="rubric",
        ),
        pytest.param(
            {"judges": {"kindness": {**JUDGE, "model": {**NAMED, "dtype": "float32"}}}},
            "judges.kindness.model.dtype: a judge computes where", id="dtype",
        ),
        pytest.param(
            {"judges": {"kindness": {**JUDGE, "model": {**NAMED, "device": "cpu"}}}},
            "set model.device of the experiment", id="device",
        ),
        pytest.param(
            {"search": {"prompt_pruner": "wilcoxon"}}, "known after the last; use none",
            id="pruner",
        ),
        pytest.param({"contrast": {}}, "contrast.margin", id="margin"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, **changes)
    text = refusal(path)
    assert said in text
    assert str(path) in text


def test_a_metric_that_says_otherwise_than_its_judge_is_refused(tmp_path: Path) -> None:
    task = values()["task"] | {"metrics": [{"judge": "kindness", "rubric": "Is it long?"}]}
    assert "rubric is not that of judges.kindness" in refusal(written(tmp_path, task=task))


def test_prompt_trials_are_not_stopped_between_marks() -> None:
    assert Experiment.model_validate(values()).search.prompt_pruner == "none"
    task = values()["task"] | {"metrics": ["chrf", "judge:kindness"]}
    assert Experiment.model_validate(values(task=task)).search.prompt_pruner == "wilcoxon"


def test_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "judge").mkdir()
    judge = {**JUDGE, "model": "judge", "calibration": "human.csv"}
    spec = load_experiment(written(tmp_path, judges={"kindness": judge}))
    read = spec.judges["kindness"]
    assert read.calibration == str(tmp_path / "human.csv")
    assert read.model is not None
    assert read.model.reference == str(tmp_path / "judge")
    assert Experiment.model_validate(spec.plain()) == spec
