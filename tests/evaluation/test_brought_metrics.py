"""Metrics of one's own among lm-eval's: values, means, what is missing, what is of all items."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation.brought_metrics import BroughtMetrics
from harness.evaluation.domain_task import build_domain_task
from harness.evaluation.score import score_task
from harness.measures import EvaluateMetric, PythonMetric
from harness.records import Example, ScoreRecord, ScoreRequest, unscored_notes
from harness.spec import TaskSpec

CODE = """\
import math


def longer(item, reply, target):
    return len(reply) - item["length"]


def first(item, reply, target):
    if item["length"] == 5:
        raise ValueError("no first letter is asked for")
    return reply[0] == target[0]


def never(item, reply, target):
    return math.nan
"""
ANSWERS = ["abc", "bcd", "cdefg", "abd", "bcc", "abc"]
ITEMS = [
    Example(f"i{n}", {"text": f"t{n}"}, answer, f"g{n // 2}", n + 2, {"length": len(answer)})
    for n, answer in enumerate(ANSWERS)
]
REPLIES = ["abc", "<think>b?</think>bcdd", "x", "b", "b", "abc"]
REQUEST = ScoreRequest("key", "domain", "domain", "test")


class Replying:
    """An lm-eval model that knows its replies."""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        return [REPLIES[request.doc_id] for request in requests]

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        return 1, 1

    rank, world_size, tokenizer_name = 0, 1, "none"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def scored(folder: Path, *metrics: Any) -> ScoreRecord:
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    task = TaskSpec.model_validate(
        {"instruction": "Say.", "answer": {"kind": "text", "column": "y"},
         "metrics": list(metrics)}
    ).located(folder)  # fmt: skip
    brought = BroughtMetrics(task, ITEMS)
    built = build_domain_task(
        "domain", task, ITEMS, lambda item: item.inputs["text"], end="", max_new_tokens=3,
        brought=brought,
    )  # fmt: skip
    return score_task(Replying(), built, REQUEST, "base", brought=brought)


def values(record: ScoreRecord, metric: str) -> list[float | None]:
    by_item = {one.doc_hash: one.value for one in record.item_scores if one.metric == metric}
    return [by_item[output.doc_hash] for output in record.outputs]


def test_values_are_of_the_row_and_of_what_follows_a_thought(tmp_path: Path) -> None:
    metric = {"python": "own.py:longer", "range": [None, None], "higher_is_better": False}
    record = scored(tmp_path, metric, "exact_match")
    assert values(record, "longer") == [0, 1, -4, -2, -2, 0]
    assert record.aggregates["longer"] == pytest.approx(-7 / 6)
    assert record.higher_is_better == {"longer": False, "exact_match": True}
    assert record.unscored == ()


def test_what_has_no_value_is_missing_and_not_in_the_mean(tmp_path: Path) -> None:
    record = scored(tmp_path, "python:own.py:first", "exact_match")
    assert values(record, "first") == [1, 1, None, 0, 1, 1]
    assert record.aggregates["first"] == pytest.approx(4 / 5)
    (one,) = record.unscored
    assert (one.metric, one.item_id, one.line) == ("first", "i2", 4)
    note = unscored_notes(record.unscored, 6)["first"]
    assert note == (
        "1 of the 6 replies could not be scored by first, which is not 0 but no value; the first "
        "is to item 'i2' (line 4 of its source): ValueError: no first letter is asked for "
        '(own.py:10: raise ValueError("no first letter is asked for"))'
    )


def test_what_has_no_value_at_all_has_no_mean(tmp_path: Path) -> None:
    record = scored(tmp_path, "exact_match", "python:own.py:never")
    assert values(record, "never") == [None] * 6
    assert "never" not in record.aggregates
    # Its direction is told, so that the store can hold that there is nothing.
    assert record.higher_is_better["never"] is True
    assert "not one of the 6 replies could be scored" in unscored_notes(record.unscored, 6)["never"]


def test_one_of_all_items_has_one_value_and_an_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    record = scored(tmp_path, "exact_match", "evaluate:f1", {"evaluate": "accuracy"})
    assert "f1" not in {one.metric for one in record.item_scores}
    answers = [reply.rpartition(">")[2] for reply in REPLIES]
    from sklearn.metrics import f1_score

    expected = f1_score(ANSWERS, answers, average="macro", zero_division=0)
    assert record.aggregates["f1"] == pytest.approx(expected)
    low, high = record.intervals["f1"]
    assert 0 <= low <= expected <= high <= 1
    assert low < high
    assert values(record, "accuracy") == values(record, "exact_match")
    # Drawn with a fixed seed.
    again = scored(tmp_path, "exact_match", EvaluateMetric(evaluate="f1"))
    assert again.intervals == {"f1": (low, high)}


def test_one_of_all_items_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    options = {"average": "no such way"}
    record = scored(tmp_path, "exact_match", {"evaluate": "f1", "options": options})
    assert "f1" not in record.aggregates
    (note,) = unscored_notes(record.unscored, 6).values()
    assert note.startswith("f1 could not be computed: ")


def test_a_function_is_asked_once_for_one_reply(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CODE, encoding="utf-8")
    metric = PythonMetric(python="own.py:never").located(tmp_path)
    task = TaskSpec.model_validate(
        {"instruction": "Say.", "answer": {"kind": "text", "column": "y"}, "metrics": [metric]}
    )
    brought = BroughtMetrics(task, ITEMS)
    for _ in range(3):
        assert math.isnan(brought.values("i0", "abc")["never"])
    assert len(brought.unscored) == 1
