"""What an arm says of its prompt and its way of answering is what its trial does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.answers.row_reader import answer_part
from harness.data.examples_file import read_examples_file, write_examples
from harness.models.load import load_tokenizer
from harness.records import ScoreRecord, TrialRecord, TrialSpec
from harness.trial import run_trial
from harness.trial.candidate import make_renderer, reply_room
from tests.tiny_model import TASK, messages, tiny_models
from tests.trial.test_trial import MakeSpec, make_spec

__all__ = ["make_spec", "tiny_models"]
LABELS = {"positive", "negative"}
OPEN = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 4},
        "late": {"type": "boolean"},
    },
    "required": ["reason", "late"],
    "additionalProperties": False,
}


def prompts(spec: TrialSpec) -> list[str]:
    pool = read_examples_file(spec.train_path)
    render = make_renderer(spec, TASK, pool, load_tokenizer(spec.model))
    return [render.prompt(item) for item in messages(4, 20)]


def completed(spec: TrialSpec, folder: Path) -> TrialRecord:
    record = run_trial(spec, folder)
    assert record.status == "complete", record.failure_message
    assert record.canaries is not None
    assert record.canaries.prompt_tokens_equal
    return record


def outputs(score: ScoreRecord) -> set[str]:
    return {output.output for output in score.outputs}


def hashes(record: TrialRecord) -> list[str]:
    return [output.doc_hash for score in record.scores for output in score.outputs]


@pytest.mark.parametrize(
    "params",
    [
        {"order": "reversed"},
        {"order": "shuffled"},
        {"selection": "bm25"},
        {"selection": "nearest"},
        {"selection": "fixed"},
        {"template": "Text: {text}"},
        {"chat": False},
        {"instruction": "Judge."},
        {"reasoning": "brief", "answering": "generate"},
        {"reasoning": "free", "answering": "generate"},
    ],
)
def test_each_setting_changes_the_prompt(make_spec: MakeSpec, params: dict[str, Any]) -> None:
    # Shots of both answers: with equal ones an order would make no difference.
    plain = make_spec("prompt", shots=4, selection="random")
    changed = make_spec("prompt", **{"shots": 4, "selection": "random", **params})
    assert prompts(plain) == prompts(plain)
    assert prompts(changed) == prompts(changed)
    assert all(a != b for a, b in zip(prompts(plain), prompts(changed), strict=True))


def test_without_shots_selection_and_order_change_nothing(make_spec: MakeSpec) -> None:
    plain = prompts(make_spec("prompt", shots=0))
    for selection in ("fixed", "balanced", "nearest", "bm25"):
        for order in ("reversed", "shuffled"):
            spec = make_spec("prompt", shots=0, selection=selection, order=order)
            assert prompts(spec) == plain


def test_the_seed_of_the_trial_draws_the_order(make_spec: MakeSpec) -> None:
    params = {"shots": 6, "selection": "fixed", "order": "shuffled"}
    drawn = {tuple(prompts(make_spec("prompt", seed=seed, **params))) for seed in range(5)}
    assert len(drawn) > 1


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("answering", ["generate", "constrained", "choice"])
@pytest.mark.parametrize("kind", ["prompt", "lora"])
def test_every_way_of_answering(
    make_spec: MakeSpec, tmp_path: Path, kind: str, answering: str, chat: bool
) -> None:
    spec = make_spec(kind, answering=answering, chat=chat, shots=1)
    validation, test, sky = completed(spec, tmp_path / "trial").scores
    assert [len(score.outputs) for score in (validation, test, sky)] == [4, 4, 3]
    found = outputs(validation) | outputs(test)
    if answering == "generate":
        assert found
        return
    assert found <= LABELS
    assert validation.aggregates["valid"] == test.aggregates["valid"] == 1.0


def test_items_are_the_same_whatever_the_template(make_spec: MakeSpec, tmp_path: Path) -> None:
    records = [
        completed(make_spec("prompt", answering="constrained", **params), tmp_path / str(n))
        for n, params in enumerate(({}, {"template": "T: {text}", "chat": False}))
    ]
    assert hashes(records[0]) == hashes(records[1])
    texts = [output.text for output in records[1].scores[0].outputs]
    assert all(text.startswith("Message: ") for text in texts)
    tokens = [record.scores[0].outputs[0].prompt_tokens for record in records]
    assert tokens[0] != tokens[1]


def test_a_label_longer_than_any_answer_has_room(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec("prompt", answering="constrained")
    long = ["negative and " * 3 + end for end in ("late", "torn")]
    answer = {**spec.task["answer"], "labels": long}
    task = {**spec.task, "answer": answer, "max_new_tokens": 1}
    record = completed(replace(spec, task=task, scores=spec.scores[:1]), tmp_path / "trial")
    assert outputs(record.scores[0]) <= set(long)


@pytest.mark.parametrize("chat", [True, False])
def test_json_of_an_open_schema_is_always_valid(
    make_spec: MakeSpec, tmp_path: Path, chat: bool
) -> None:
    spec = make_spec("prompt", answering="constrained", chat=chat)
    answer = {"kind": "json", "schema": OPEN, "column": "answer"}
    task = {
        "instruction": "Why?",
        "template": "{text}",
        "answer": answer,
        "metrics": ["field_f1", "valid", "valid_json"],
        "max_new_tokens": 90,
    }
    for split in ("train", "validation"):
        items = [
            replace(item, answer='{"reason": "late", "late": true}') for item in messages(4, 20)
        ]
        write_examples(tmp_path / f"{split}.parquet", items)
    record = completed(replace(spec, task=task, scores=spec.scores[:1]), tmp_path / "trial")
    (score,) = record.scores
    assert score.aggregates["valid"] == score.aggregates["valid_json"] == 1.0
    for output in score.outputs:
        jsonschema.validate(json.loads(output.output), OPEN)
        assert output.output.startswith('{"reason": "')


def test_worked_examples_show_the_mark_and_thinking_has_room(make_spec: MakeSpec) -> None:
    spec = make_spec(
        "prompt", shots=2, answering="generate", reasoning="brief", reasoning_tokens=40
    )
    pool = read_examples_file(spec.train_path)
    asked = make_renderer(spec, TASK, pool, load_tokenizer(spec.model))
    shown = [m["content"] for m in asked.messages(pool[0]) if m["role"] == "assistant"]
    assert len(shown) == 2
    assert all(text.startswith("Final answer: ") for text in shown)
    task = TASK.model_copy(update={"max_new_tokens": 5})
    assert reply_room(asked, task, pool, "generate") == 45


def test_a_model_that_never_comes_to_its_answer_has_none(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec("prompt", answering="generate", reasoning="brief", reasoning_tokens=8)
    record = completed(replace(spec, scores=spec.scores[:1]), tmp_path / "trial")
    (score,) = record.scores
    # Its weights are random.
    assert score.aggregates["valid"] == 0.0
    assert {answer_part(output) for output in outputs(score)} == {""}
    assert any(note.startswith("cut_thoughts_") for note in record.environment)
