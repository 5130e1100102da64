"""What no interval covers, with its size where it is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.not_covered import not_covered
from harness.analysis.whole_study import analyse
from harness.findings import NotCovered
from tests.analysis.study_builder import StudyBuilder, experiment, right, whole_study


def rows(built: StudyBuilder) -> dict[str, NotCovered]:
    found = analyse(built.build(), resamples=100, sensitivity=False)
    return {row.source: row for row in found.not_covered}


def test_every_source_has_a_row() -> None:
    found = rows(whole_study())
    assert list(found) == [
        "Other abilities than those asked", "Another training set", "Tuning anew",
        "Chance in the replies", "Another machine",
    ]  # fmt: skip
    assert found["Other abilities than those asked"].size == "not known: only facts were asked"
    assert found["Chance in the replies"].size.startswith("none: replies are greedy")
    assert "money hold for this machine alone" in found["Another machine"].size
    assert [row.known for row in found.values()] == [False, False, False, True, False]


def test_many_general_tasks_are_counted() -> None:
    record = whole_study().build().experiment
    (task,) = record.general_tasks.values()
    several = replace(record, general_tasks=dict.fromkeys("abcd", task))
    arms = experiment({"few-shot": "prompt", "lora": "lora"})
    row, *_ = not_covered(arms, several, {}, ())
    assert row.size == "not known: only 4 general tasks were asked"


def test_what_more_examples_gained_is_told_from_the_learning_curve() -> None:
    arms: dict[str, Any] = {"few-shot": "prompt", "lora": {"kind": "lora", "curve": [40]}}
    built = whole_study(arms=arms)
    for seed in (1, 2, 3):
        points = {"validation": right(0.7), "train": right(0.7)}
        built.finalist("lora", seed, points, phase="curve", train_items=40)
    told = rows(built)["Another training set"].size
    assert "lora changed by +0.100" in told
    assert "from 40 to 100 examples" in told


def test_sources_that_a_study_has_not_are_none() -> None:
    built = StudyBuilder(experiment({"a": {"kind": "prompt"}, "b": {"kind": "prompt", "shots": 2}}))
    found = rows(built)
    assert found["Other abilities than those asked"].size == "no arm is trained: none"
    assert found["Tuning anew"].size == "no arm is tuned: none"


@pytest.mark.parametrize("local", [True, False])
def test_a_servers_replies_are_not_known_to_be_the_same_again(local: bool) -> None:
    url = "http://localhost:8000/v1" if local else "https://server.example/v1"
    endpoint = {"url": url, "model": "m"}
    built = StudyBuilder(experiment({"far": {"kind": "prompt", "endpoint": endpoint}}))
    found = rows(built)["Chance in the replies"]
    assert found.size.startswith("not known for far")
    assert not found.known
