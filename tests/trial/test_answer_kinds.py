"""A trial of each kind of answer on a tiny model: trained on the whole, scored by its kind."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.answers.call_reader import read_calls
from harness.answers.tools import read_tools
from harness.data.examples_file import write_examples
from harness.records import Example, TrialSpec
from harness.spec import TaskSpec
from harness.trial import run_trial
from tests.prompting.test_call_notation import KNOWN
from tests.tiny_model import resolved, tiny_models
from tests.trial.test_trial import MakeSpec, make_spec

__all__ = ["make_spec", "tiny_models"]
pytestmark = pytest.mark.weights

TOOLS = [
    {
        "name": "order",
        "parameters": {
            "type": "object",
            "properties": {"count": {"type": "integer"}},
            "required": ["count"],
            "additionalProperties": False,
        },
    }
]
# Kind -> its part of the experiment, and the answer of the row of a number.
KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "number": ({"kind": "number", "column": "y", "tolerance": 1}, lambda n: str(3 * n)),
    "a number after a reason": (
        {"kind": "number", "column": "y", "extract": {"after": "####"}},
        lambda n: f"{n} and {2 * n}\n#### {3 * n}",
    ),
    "labels": (
        {"kind": "labels", "column": "y", "labels": ["a", "b"]},
        lambda n: ["[]", '["a"]', '["b"]', '["a", "b"]'][n % 4],
    ),
    "labels of the data": (
        {"kind": "labels", "column": "y"},
        lambda n: ['["a"]', '["b"]', '["a", "b"]'][n % 3],
    ),
    "calls": (
        {"kind": "calls", "column": "y", "tools": TOOLS},
        lambda n: f'[{{"name": "order", "arguments": {{"count": {n}}}}}]',
    ),
}


def with_kind(spec: TrialSpec, folder: Path, kind: str) -> TrialSpec:
    answer, text = KINDS[kind]
    for name, numbers in (("train", range(12)), ("validation", range(20, 24)),
                          ("test", range(30, 34))):  # fmt: skip
        rows = [Example(f"m{n}", {"text": f"Take {n}."}, text(n), f"m{n}", n) for n in numbers]
        write_examples(folder / f"{name}.parquet", rows)
    task = TaskSpec.model_validate(
        {"instruction": "Answer.", "answer": answer, "max_new_tokens": 16}
    )
    return replace(spec, task=task.model_dump(mode="json", by_alias=True), scores=spec.scores[:2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arm", ["prompt", "lora"])
def test_every_kind_is_trained_and_scored(
    make_spec: MakeSpec, tmp_path: Path, kind: str, arm: str
) -> None:
    settings = {"shots": 2, "selection": "balanced"} if arm == "prompt" else {}
    spec = with_kind(make_spec(arm, answering="generate", **settings), tmp_path, kind)
    record = run_trial(spec, tmp_path / "out")
    assert record.status == "complete", record.failure_message
    task = TaskSpec.model_validate(spec.task)
    for score in record.scores:
        assert set(score.aggregates) == set(task.metrics)
        assert score.higher_is_better[task.primary_metric]
        per_item = {item.metric for item in score.item_scores}
        assert per_item == {metric.name for metric in task.answer.metrics if metric.per_item}
        if arm == "prompt":
            # The untrained model writes no right answer, which is counted.
            assert score.aggregates["exact_match"] < 1
        if "relative_error" in per_item:
            assert score.aggregates["relative_error"] > 0
            assert score.higher_is_better["relative_error"] is False
    if task.answer.extract is not None and arm == "prompt":
        assert "of 4 replies" in record.environment["cut_extract_domain_test_test"]
    if arm == "lora":
        assert record.canaries is not None and record.steps


@pytest.mark.parametrize("kind", ["labels", "calls"])
def test_replies_are_kept_to_what_the_kind_allows(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    spec = with_kind(make_spec("prompt", answering="constrained"), tmp_path, kind)
    spec = replace(spec, task={**spec.task, "max_new_tokens": 120})
    record = run_trial(spec, tmp_path / "out")
    assert record.status == "complete", record.failure_message
    for score in record.scores:
        # A reply that goes on until the limit is cut.
        ended = [output for output in score.outputs if output.output.endswith("]")]
        valid = [item.value for item in score.item_scores if item.metric == "valid"]
        assert sum(value or 0.0 for value in valid) >= len(ended) > 0


@pytest.mark.parametrize("arm", ["prompt", "lora"])
def test_sets_of_labels_are_chosen_among_all_of_them(
    make_spec: MakeSpec, tmp_path: Path, arm: str
) -> None:
    spec = with_kind(make_spec(arm, answering="choice"), tmp_path, "labels")
    record = run_trial(spec, tmp_path / "out")
    assert record.status == "complete", record.failure_message
    for score in record.scores:
        assert {output.output for output in score.outputs} <= {"[]", '["a"]', '["b"]', '["a", "b"]'}
        assert score.aggregates["valid"] == 1.0
        assert 0 <= score.aggregates["set_f1"] <= 1


@pytest.mark.parametrize(("arm", "answering"), [("lora", "generate"), ("prompt", "constrained")])
def test_calls_in_the_notation_of_the_chat_template(
    make_spec: MakeSpec, tmp_path: Path, arm: str, answering: str
) -> None:
    settings = {} if arm == "lora" else {"shots": 1}
    spec = with_kind(make_spec(arm, answering=answering, **settings), tmp_path, "calls")
    folder = tmp_path / "model"
    shutil.copytree(spec.model.path, folder)
    config = folder / "tokenizer_config.json"
    told = json.loads(config.read_text()) | {"chat_template": KNOWN["hermes, qwen 2.5"][0]}
    config.write_text(json.dumps(told), encoding="utf-8")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    spec = replace(spec, model=resolved(folder), task={**spec.task, "max_new_tokens": 150})
    record = run_trial(spec, tmp_path / "out")
    assert record.status == "complete", record.failure_message
    if arm == "lora":
        first, last = record.steps[0].loss, record.steps[-1].loss
        assert first is not None and last is not None and last < first
        return
    outputs = [output.output for score in record.scores for output in score.outputs]
    called = [output for output in outputs if output.endswith("</tool_call>")]
    assert called or "[]" in outputs
    for output in called:
        made = read_calls(output, read_tools(TOOLS))
        assert made and {call.name for call in made} == {"order"}
