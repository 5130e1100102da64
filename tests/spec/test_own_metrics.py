"""Metrics of one's own in an experiment file: read with it, refused with line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import SpecError
from harness.spec import Experiment, load_experiment

CODE = """\
import math

import harness


def near(item, reply, target):
    return reply == target


@harness.metric(higher_is_better=False, lowest=0, highest=math.inf)
def off(item, reply, target):
    return abs(len(reply) - len(target))


@harness.metric(names=["a", "b"])
def pair(item, reply, target):
    return {"a": 0, "b": 1}
"""


def written(folder: Path, metrics: list[Any], **changes: Any) -> Path:
    plain = {
        "name": "study",
        "model": "smollm2-135m-instruct",
        "data": {"source": "data.csv"},
        "task": {
            "instruction": "Say yes or no.",
            "answer": {"kind": "label", "column": "label", "labels": ["yes", "no"]},
            "metrics": metrics,
        },
        "arms": {"zero-shot": {"kind": "prompt"}},
        **changes,
    }
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    return str(caught.value)


def test_names_and_functions_stand_in_one_list(tmp_path: Path) -> None:
    metrics = ["python:own.py:near", "exact_match", {"python": "own.py:pair", "meaning": "x"}]
    spec = load_experiment(written(tmp_path, metrics))
    assert spec.task.metric_names == ("near", "exact_match", "a", "b")
    assert (spec.task.primary_metric, spec.task.higher_is_better) == ("near", True)
    assert spec.task.is_located
    assert spec.task.reads_rows
    assert spec.task.metric_info("b") == spec.task.metric_infos[3]
    turned = spec.task.model_copy(update={"metrics": spec.task.metrics[::-1]})
    assert (turned.primary_metric, turned.metric_names[-1]) == ("a", "near")
    assert spec.task.metric_info("macro_f1") is not None
    assert spec.task.metric_info("gone") is None
    # A study keeps all of it.
    again = Experiment.model_validate(spec.plain())
    assert again == spec
    assert again.trial_identity() == spec.trial_identity()


def test_a_file_is_found_beside_the_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ["python:own.py:near"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (measure,) = load_experiment(path).task.measures
    assert getattr(measure, "python") == f"{(tmp_path / 'own.py').resolve()}:near"  # noqa: B009


def test_where_it_lies_and_what_it_is_called_for_readers_is_no_part_of_a_study(
    tmp_path: Path,
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    one = load_experiment(written(tmp_path, ["python:own.py:near"]))
    labelled = written(other, [{"python": "own.py:near", "label": "Nearness", "meaning": "m"}])
    assert load_experiment(labelled).trial_identity() == one.trial_identity()
    edited = written(tmp_path, ["python:own.py:near"])
    (tmp_path / "own.py").write_text(f"{CODE}\n# Another.\n", encoding="utf-8")
    assert load_experiment(edited).trial_identity() != one.trial_identity()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["exact_match", "python:gone.py:f"], "task.metrics.1: no such file: "),
        (["python:own.py:naer"], "has no function naer; did you mean near?"),
        (["python:own.py:near", "python:own.py:near"], "near stands twice"),
        ([{"python": "own.py:near", "range": [1, 0]}], "range: 1 is not less than 0"),
        ([{"python": "own.py:near", "highr_is_better": False}], "unknown key `highr_is_better`"),
        ([{"python": "own.py"}], "write it as python: FILE.py:FUNCTION, and not 'own.py'"),
        ([{"name": "near"}], "python"),
        ([{"python": "own.py:pair", "label": "x"}], "task.metrics.0: label: 'x' cannot be that of"),
        (["nearness"], "choose from exact_match, macro_f1, valid, or bring your own as python:"),
        (["python:own.py:pair", {"python": "own.py:near", "names": ["a"]}], "a stands twice"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, metrics: list[Any], message: str) -> None:
    told = refusal(written(tmp_path, metrics))
    assert message in told
    assert f"{tmp_path / 'study.yaml'}:" in told


def test_the_line_is_that_of_the_entry(tmp_path: Path) -> None:
    path = written(tmp_path, ["exact_match", "python:own.py:gone"])
    lines = path.read_text().splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if "own.py:gone" in text)
    assert f"study.yaml:{line}: task.metrics.1: own.py has no function gone" in refusal(path)


def test_a_margin_is_in_the_metrics_own_unit(tmp_path: Path) -> None:
    told = refusal(written(tmp_path, ["python:own.py:off"]))
    assert "contrast.margin: say which difference in off is still none" in told
    spec = load_experiment(written(tmp_path, ["python:own.py:off"], contrast={"margin": 3}))
    assert spec.contrast.margin == 3
    told = refusal(written(tmp_path, ["python:own.py:near"], contrast={"margin": 3}))
    assert "contrast.margin: 3 is not less than the 1 that near can differ by" in told
    told = refusal(written(tmp_path, ["exact_match", "python:own.py:off"], contrast={"margin": 1}))
    assert "than the 1 that exact_match can differ by" in told
