"""The texts of a suite's items, under the ids that scores are stored with."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from harness.errors import SpecError
from harness.evaluation.suites.find import build_general_task, item_identity, load_suite
from harness.evaluation.suites.texts import AskedTask, suite_texts
from harness.packaged.fetch import is_cached

CHOICE = {
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "choices",
    "doc_to_target": "gold",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}


def suite_of(
    folder: Path, tasks: dict[str, tuple[dict[str, object], list[dict[str, object]]]]
) -> Path:
    """A suite of JSONL tasks: name -> (changes to a choice task, items)."""
    own = folder / "own"
    own.mkdir()
    for name, (changes, items) in tasks.items():
        lines = "".join(json.dumps(item) + "\n" for item in items)
        (own / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        files = {"data_files": {"test": f"{name}.jsonl"}}
        config = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": files,
            **CHOICE,
            **changes,
        }
        (own / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    entries = [{"task": name, "metric": "acc", "text": name} for name in tasks]
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"name": "own", "include": "own", "tasks": entries}))
    return path


def test_prompt_right_answer_and_all_choices(tmp_path: Path) -> None:
    items: list[dict[str, object]] = [
        {"id": "q1", "question": "Which is red?", "choices": ["grass", "blood"], "gold": 1},
        {"question": "Which is wet?", "choices": ["water", "sand"], "gold": 0},
    ]
    read = suite_texts(load_suite(suite_of(tmp_path, {"colours": ({}, items)})))
    assert read.unread == {}
    unnamed, _ = item_identity({"id": None, **items[1]})
    assert read.texts == {
        "colours": [
            ("q1", "Which is red?"),
            ("q1", "Which is red? blood"),
            ("q1", "Which is red? grass blood"),
            (unnamed, "Which is wet?"),
            (unnamed, "Which is wet? water"),
            (unnamed, "Which is wet? water sand"),
        ]
    }


def test_a_prompt_that_items_share_does_not_stand_alone(tmp_path: Path) -> None:
    items: list[dict[str, object]] = [
        {"id": f"q{n}", "question": "Pick one.", "choices": [f"a{n}", f"b{n}"], "gold": 0}
        for n in range(2)
    ]
    read = suite_texts(load_suite(suite_of(tmp_path, {"picks": ({}, items)})), limit=1)
    assert read.texts["picks"][0] == ("q0", "Pick one.")
    read = suite_texts(load_suite(tmp_path / "own.yaml"))
    assert ("q0", "Pick one.") not in read.texts["picks"]
    assert ("q0", "Pick one. a0") in read.texts["picks"]


def test_choices_may_be_prompts_and_targets_texts(tmp_path: Path) -> None:
    blanks: list[dict[str, object]] = [
        {"id": "w1", "choices": ["The cat", "The box"], "gold": 0, "end": "sleeps."}
    ]
    asks: list[dict[str, object]] = [{"id": "g1", "question": "Say hello.", "value": "hello"}]
    blank: dict[str, object] = {"doc_to_text": "gold", "doc_to_target": "{{end}}"}
    ask: dict[str, object] = {
        "output_type": "generate_until",
        "doc_to_choice": None,
        "doc_to_target": "value",
        "generation_kwargs": {"until": ["x"]},
    }
    path = suite_of(tmp_path, {"blanks": (blank, blanks), "asks": (ask, asks)})
    read = suite_texts(load_suite(path))
    assert read.texts == {
        "blanks": [("w1", "The cat sleeps."), ("w1", "The cat sleeps. The box sleeps.")],
        "asks": [("g1", "Say hello."), ("g1", "Say hello. hello")],
    }


def test_what_no_model_could_be_scored_on_is_refused_with_its_items(tmp_path: Path) -> None:
    good: dict[str, object] = {"id": "q", "question": "Q?", "choices": ["a", "b"], "gold": 0}
    far: dict[str, object] = {"id": "far", "question": "Q?", "choices": ["a"], "gold": 5}
    no: dict[str, object] = {"id": "no", "question": "Q?", "choices": ["a", "b"], "gold": "c"}
    tasks: dict[str, tuple[dict[str, object], list[dict[str, object]]]] = {
        "good": ({}, [good]),
        "first": ({}, [far]),
        "later": ({}, [good, far]),
        "other": ({}, [{**good, "gold": "a"}, no]),
    }
    with pytest.raises(SpecError) as caught:
        suite_texts(load_suite(suite_of(tmp_path, tasks)))
    assert [problem.what.partition(":")[0] for problem in caught.value.problems] == [
        "task first cannot be built",
        "task later, item 2 (far), of files of the suite, cannot be scored",
        "task other, item 2 (no), of files of the suite, cannot be scored",
    ]
    assert "right answer 'c' is none of the choices" in caught.value.problems[2].what


def test_how_each_task_is_asked(tmp_path: Path) -> None:
    items: list[dict[str, object]] = [
        {"id": f"q{n}", "question": f"{n}?", "choices": ["a", "b"], "gold": 0} for n in range(5)
    ]
    read = suite_texts(load_suite(suite_of(tmp_path, {"a": ({"num_fewshot": 2}, items)})), limit=3)
    assert read.tasks == {"a": AskedTask(3, 2, "files of the suite")}


@pytest.mark.skipif(not is_cached("editorials"), reason="the editorials are not in the cache")
def test_the_mini_suite_is_read_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    suite = load_suite("general-mini")
    read = suite_texts(suite, limit=10)
    wanted = {entry.task for entry in suite.tasks}
    assert set(read.texts) == wanted
    for name in wanted:
        docs = build_general_task(suite, name, 10).eval_docs
        assert {identity for identity, _ in read.texts[name]} == {item_identity(d)[0] for d in docs}
