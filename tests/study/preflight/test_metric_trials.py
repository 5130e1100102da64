"""Metrics of one's own are tried on training rows before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import SpecError
from harness.measures import PythonMetric
from harness.records import Example
from harness.spec import TaskSpec
from harness.study.preflight import try_metrics

ROWS = [Example(str(n), {"text": "t"}, "yes", str(n), n + 2, {"price": n}) for n in range(20)]


def task(folder: Path, body: str, **more: Any) -> TaskSpec:
    code = f"import random\n\n\ndef score(item, reply, target):\n    {body}\n"
    (folder / "own.py").write_text(code, encoding="utf-8")
    metric = PythonMetric(python="own.py:score", **more).located(folder)
    answer = {"kind": "text", "column": "y"}
    return TaskSpec.model_validate(
        {"instruction": "Say.", "answer": answer, "metrics": ["chrf", metric]}
    )


def test_what_works_is_silent(tmp_path: Path) -> None:
    assert try_metrics(task(tmp_path, "return reply == target == 'yes'"), ROWS) == []


def test_a_thought_is_no_part_of_the_reply(tmp_path: Path) -> None:
    thoughtful = [Example("1", {}, "<think>Hm.</think>yes", "1")]
    assert try_metrics(task(tmp_path, "return 1 / (reply == target == 'yes')"), thoughtful) == []


def test_what_scores_no_row_stops(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        try_metrics(task(tmp_path, "return item['prise']"), ROWS)
    told = str(caught.value)
    assert told.startswith("task.metrics.1: score can score none of the 16 rows that were tried")
    assert "row '0' of the training data (line 2), with its own answer as the reply" in told
    assert "KeyError: 'prise' (own.py:5: return item['prise'])" in told


def test_a_range_that_is_not_declared_stops(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="gives 37, outside its range of 0 to 1; declare the right"):
        try_metrics(task(tmp_path, "return 37"), ROWS)
    assert try_metrics(task(tmp_path, "return 37", range=(0, None)), ROWS) == []


def test_what_cannot_score_some_rows_is_told(tmp_path: Path) -> None:
    (note,) = try_metrics(task(tmp_path, "return 1 / item['price'] if item['price'] < 2 else 1"),
                          ROWS)  # fmt: skip
    assert note.startswith("score cannot score 1 of the first 16 training rows")
    assert "row '0' of the training data (line 2)" in note
    assert "ZeroDivisionError" in note


def test_what_is_no_function_of_its_arguments_stops(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="for the same row '0': a metric must be a function of"):
        try_metrics(task(tmp_path, "return random.random()"), ROWS)
