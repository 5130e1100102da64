"""Conversations before anything runs: what a template refuses, what is too long, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data import Prepared, prepare
from harness.errors import DataError, SpecError
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer
from harness.spec import Experiment
from harness.study.asked_models import models_of
from harness.study.preflight import Preflight
from tests.tiny_model import CHATML, MAX_LENGTH, TinyModels, resolved, write_model

STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
)
CALLED = [
    {"role": "user", "content": "Tide?"},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "tide"}}]},
    {"role": "tool", "content": "low"},
    {"role": "assistant", "content": "Ebb."},
]


def say(*contents: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[n % 2], "content": c} for n, c in enumerate(contents)]


def talks(count: int) -> list[list[dict[str, Any]]]:
    return [say(f"Knot {n}?", f"Knot {n}.", "More?", f"No {n}.") for n in range(count)]


def experiment(folder: Path, model: Path, rows: list[Any], **changes: Any) -> Experiment:
    data = folder / "talks.jsonl"
    data.write_text("\n".join(json.dumps({"messages": row}) for row in rows) + "\n")
    values: dict[str, Any] = {
        "name": "talks",
        "model": str(model),
        "data": {"source": str(data), "leaks": "report", "bad_rows": "drop", "conversations": {}},
        "task": {
            "instruction": "Answer.",
            "answer": {"kind": "text", "column": "messages_response"},
            "max_new_tokens": 8,
        },
        "arms": {"zero": {"kind": "prompt"}},
        "general": None,
    }  # fmt: skip
    return Experiment.model_validate({**values, **changes})


def look(spec: Experiment) -> tuple[Preflight, Prepared]:
    found = Preflight(spec, models_of(spec, lambda model: resolved(Path(model.reference))))
    return found, prepare(spec, found.unfit)


def count(prepared: Prepared) -> int:
    return sum(prepared.counts.values())


def test_conversations_that_a_template_refuses_are_bad_rows(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", STRICT)
    greeted = [{"role": "assistant", "content": "Hi"}, *say("Bend?", "Sheet bend.")]
    rows = [*talks(30), CALLED, greeted]
    found, prepared = look(experiment(tmp_path, model, rows))
    assert count(prepared) == 60
    reasons = {problem.where.rpartition(":")[2]: problem.what for problem in prepared.dropped}
    assert set(reasons) == {"31", "32"}
    assert "roles must alternate" in reasons["31"]
    assert "chat: false" in reasons["32"]
    data = str(tmp_path / "talks.jsonl")
    stop = {"source": data, "leaks": "report", "conversations": {}}
    stopping = experiment(tmp_path, model, rows, data=stop)
    with pytest.raises(DataError, match="2 row"):
        look(stopping)
    plain = experiment(tmp_path, model, rows, arms={"zero": {"kind": "prompt", "chat": False}})
    assert count(look(plain)[1]) == 62
    assert found.left_out == {}


def test_system_messages_that_are_moved_are_said_once(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    rows = talks(30)
    rows[2] = [{"role": "system", "content": "Be brief."}, *rows[2]]
    arms = {"a": {"kind": "prompt"}, "b": {"kind": "prompt", "instruction": "Reply."}}
    found, _ = look(experiment(tmp_path, tiny_models.refuses_system, rows, arms=arms))
    (note,) = [note for note in found.notes if "takes no system message" in note]
    assert "those of 2 prompt(s) stand at the head of the first user message" in note
    found, _ = look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    assert not any("system message" in note for note in found.notes)


def test_messages_that_are_put_together_are_said_once(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", STRICT)
    twice = [{"role": "user", "content": "One."}, *say("Two?", "Yes."), *say("Three?", "No.")]
    arms = {"a": {"kind": "prompt"}, "b": {"kind": "prompt", "instruction": "Reply."}}
    found, prepared = look(experiment(tmp_path, model, [*talks(30), twice], arms=arms))
    assert count(prepared) == 62
    notes = [note for note in found.notes if "two messages of a user in a row" in note]
    assert len(notes) == 1
    assert "in 2 prompt(s) they stand as one" in notes[0]


def test_turns_that_are_too_long_are_left_out_and_the_earlier_ones_kept(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    long = say("Knot?", "Bowline.", "word after word " * 200, "Yes.")
    # Training examples of prompt arms are not asked for.
    spec = experiment(tmp_path, tiny_models.chat, [*talks(30), long], arms={"l": {"kind": "lora"}})
    _, prepared = look(spec)
    assert count(prepared) == 61
    (problem,) = prepared.dropped
    assert problem.where.endswith(":31")
    assert "shorten it" in problem.what
    renderer = PromptRenderer(load_tokenizer(resolved(tiny_models.chat)), spec.task)
    kept = [e for part in (prepared.splits.train, prepared.splits.validation, prepared.splits.test)
            for e in part]  # fmt: skip
    assert max(len(renderer.encode_prompt(e)) for e in kept) + 8 <= MAX_LENGTH


def test_a_long_system_message_counts(tiny_models: TinyModels, tmp_path: Path) -> None:
    rows = talks(30)
    rows[3] = [{"role": "system", "content": "word after word " * 200}, *rows[3]]
    arms = {"lora": {"kind": "lora"}}
    _, prepared = look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    assert count(prepared) == 58
    assert {problem.where.rpartition(":")[2] for problem in prepared.dropped} == {"4"}


def test_answers_that_are_not_trained_on_are_counted(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    arms = {"lora": {"kind": "lora", "max_length": 60}}
    rows = [say("Knot?", "Bowline.", f"And {n}, to stop the end of a rope from running?", "Eight.")
            for n in range(30)]  # fmt: skip
    found, prepared = look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    spec = experiment(tmp_path, tiny_models.chat, rows, arms=arms)
    renderer = PromptRenderer(load_tokenizer(resolved(tiny_models.chat)), spec.task)
    long = sum(renderer.encode(item).length > 60 for item in prepared.splits.train)
    assert 0 < long < len(prepared.splits.train)
    assert found.left_out == {"lora": long}


def test_worked_examples_that_make_a_prompt_too_long_are_named(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    long = say("word after word " * 15, "Yes.")
    rows = [[*long[:1], {"role": "assistant", "content": f"{n}"}] for n in range(30)]
    rows = [
        [{**row[0], "content": f"{n} {row[0]['content']}"}, row[1]] for n, row in enumerate(rows)
    ]
    arms = {"few": {"kind": "prompt", "shots": 4}}
    with pytest.raises(DataError, match=r"with 4 worked examples.*take fewer shots"):
        look(experiment(tmp_path, tiny_models.chat, rows, arms=arms))
    assert count(look(experiment(tmp_path, tiny_models.chat, rows))[1]) == 30


def test_a_template_that_takes_no_conversation_at_all_is_said_once(tmp_path: Path) -> None:
    silent = "{% if messages | length > 5 %}{{ raise_exception('too much') }}{% endif %}" + CHATML
    model = write_model(tmp_path / "model", silent)
    rows = [say(f"a {n}", "b", "c", "d", "e", "f") for n in range(30)]
    last = {"source": str(tmp_path / "talks.jsonl"), "leaks": "report",
            "conversations": {"turns": "last"}}  # fmt: skip
    with pytest.raises(SpecError, match=r"arms\.zero: .*too much.*with all 30 conversations"):
        look(experiment(tmp_path, model, rows, data=last))
