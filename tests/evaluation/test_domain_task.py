"""The user's task as lm-eval runs it: arms pair item by item, and every item is kept."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.evaluation.domain_task import build_domain_task
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import build_general_task, load_suite
from harness.prompting import PromptRenderer
from harness.records import Example, ItemScore, ScoreRecord, ScoreRequest
from harness.spec import TaskSpec
from tests.tiny_model import TASK, TinyModels, load_tiny, message, messages, write_suite

ITEMS = messages(5, start=10)
REQUEST = ScoreRequest("key", "domain", "domain", "validation")
END = "<|im_end|>"


class Scorer:
    """The tiny model, and what it needs to score the user's task."""

    def __init__(self, folder: Path, batch_size: int = 4) -> None:
        loaded = load_tiny(folder)
        self.tokenizer = loaded.tokenizer
        self.lm = CandidateLM(loaded.model, loaded.tokenizer, batch_size)

    def score(
        self,
        items: Sequence[Example] = ITEMS,
        *,
        shots: Sequence[Example] = (),
        choices: Sequence[str] | None = None,
        task: TaskSpec = TASK,
        request: ScoreRequest = REQUEST,
        **more: Any,
    ) -> ScoreRecord:
        render = PromptRenderer(self.tokenizer, task, lambda item: shots)
        built = build_domain_task(
            request.task,
            task,
            items,
            render.prompt,
            end=render.end,
            stops=render.stops,
            max_new_tokens=6,
            labels=task.answer.valid_answers(items) or (),
            choices=None if choices is None else {one: render.reply(one) for one in choices},
        )
        return score_task(
            self.lm, built, request, "base", answer_end=render.end, answer_lead=render.lead, **more
        )


@pytest.fixture
def scorer(tiny_models: TinyModels) -> Scorer:
    return Scorer(tiny_models.chat)


def hashes(record: ScoreRecord) -> dict[str, str]:
    return {output.item_id: output.doc_hash for output in record.outputs}


def test_arms_pair_by_item_whatever_their_prompt_and_way_of_answering(scorer: Scorer) -> None:
    zero_shot = scorer.score()
    few_shot = scorer.score(shots=messages(3))
    choice = scorer.score(choices=("positive", "negative"))
    assert hashes(zero_shot) == hashes(few_shot) == hashes(choice)
    assert list(hashes(zero_shot)) == [item.id for item in ITEMS]
    assert len(set(hashes(zero_shot).values())) == len(ITEMS)
    tokens = zip(zero_shot.outputs, few_shot.outputs, choice.outputs, strict=True)
    for zero, few, chosen in tokens:
        assert few.prompt_tokens > zero.prompt_tokens == chosen.prompt_tokens


def test_the_order_of_items_does_not_matter(scorer: Scorer) -> None:
    assert hashes(scorer.score(tuple(reversed(ITEMS)))) == hashes(scorer.score())


@pytest.mark.parametrize("variant", ["chat", "plain"])
def test_a_choice_is_the_most_likely_answer_with_its_end(
    tiny_models: TinyModels, variant: str
) -> None:
    scorer = Scorer(getattr(tiny_models, variant))
    answers = ("positive", "negative", "neutral", "neg")
    record = scorer.score(choices=answers)
    sure = {s.doc_hash: s.value for s in record.item_scores if s.metric == "confidence"}
    render = PromptRenderer(scorer.tokenizer, TASK)
    for item, output in zip(ITEMS, record.outputs, strict=True):
        prompt = render.prompt(item)
        pairs = [
            (None, *scorer.lm._encode_pair(prompt, render.reply(answer))) for answer in answers
        ]
        likelihoods = [value for value, _ in scorer.lm._loglikelihood_tokens(pairs)]
        assert output.output == answers[likelihoods.index(max(likelihoods))]
        share = np.exp(max(likelihoods)) / np.exp(likelihoods).sum()
        assert sure[output.doc_hash] == pytest.approx(share, rel=1e-3)
        # The model also writes the end, which a server charges for.
        written = render.reply(output.output)
        assert output.completion_tokens == len(scorer.tokenizer(written)["input_ids"])
        assert (output.target, output.cluster) == (item.answer, item.group)


def test_scores_of_choices_follow_from_what_was_chosen(scorer: Scorer) -> None:
    record = scorer.score(choices=("positive", "negative"))
    scores = {(s.doc_hash, s.metric): s.value for s in record.item_scores}
    for output in record.outputs:
        right = float(output.output == output.target)
        assert scores[output.doc_hash, "exact_match"] == right
        assert scores[output.doc_hash, "valid"] == 1.0
    assert len(scores) == 3 * len(ITEMS)
    values = [scores[o.doc_hash, "exact_match"] or 0.0 for o in record.outputs]
    assert record.aggregates["exact_match"] == pytest.approx(sum(values) / len(values))
    assert set(record.aggregates) == set(TASK.metrics)
    assert set(record.higher_is_better) == {*TASK.metrics, "confidence"}
    assert record.higher_is_better["macro_f1"] is True


def test_a_generated_reply_is_kept_as_it_is(scorer: Scorer) -> None:
    record = scorer.score()
    assert {len(o.output) > 0 for o in record.outputs} == {True}
    for output in record.outputs:
        assert END not in output.output
        assert output.completion_tokens == len(scorer.tokenizer(output.output)["input_ids"]) <= 9
    assert {score.value for score in record.item_scores} == {0.0}


def test_json_choices_and_generations_share_their_metrics(scorer: Scorer) -> None:
    schema = {
        "type": "object",
        "properties": {"late": {"type": "boolean"}},
        "required": ["late"],
        "additionalProperties": False,
    }
    answer = {"kind": "json", "schema": schema, "column": "answer"}
    task = TaskSpec.model_validate({"instruction": "Answer.", "answer": answer})
    choices = task.answer.finite_answers()
    assert choices == ('{"late": false}', '{"late": true}')
    items = [replace(item, answer=choices[n % 2]) for n, item in enumerate(ITEMS)]
    record = scorer.score(items, choices=choices, task=task)
    assert record.aggregates["valid_json"] == record.aggregates["valid"] == 1.0
    assert {json.loads(output.output)["late"] for output in record.outputs} <= {True, False}
    assert set(record.aggregates) == set(scorer.score(items, task=task).aggregates)


def test_the_same_item_twice_is_an_error(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="two items have the same hash"):
        scorer.score((*ITEMS, ITEMS[0]))


def test_a_task_is_built_without_notices_of_lm_eval(caplog: pytest.LogCaptureFixture) -> None:
    # They speak of a command line that the user of a study has not called.
    def notices() -> list[str]:
        build_domain_task("domain", TASK, ITEMS, str, end=END, max_new_tokens=4)
        return caplog.messages

    assert notices() == []
    caplog.set_level(logging.WARNING, "lm_eval")
    assert any("--metadata" in text for text in notices())


def test_valid_answers_come_from_the_task_or_the_training_split() -> None:
    assert TASK.answer.valid_answers(()) == ("positive", "negative")
    label = {"kind": "label", "column": "label"}
    unlisted = TaskSpec.model_validate({"instruction": "Answer.", "answer": label})
    assert unlisted.answer.valid_answers([message("a", "x", "no"), *messages(3)]) == (
        "negative",
        "no",
        "positive",
    )
    text = TaskSpec.model_validate(
        {"instruction": "Answer.", "answer": {"kind": "text", "column": "label"}}
    )
    assert text.answer.valid_answers(messages(3)) is None


# --------------------------------------------------------------------------- general tasks


@pytest.fixture
def suite_path(tmp_path: Path) -> Path:
    return write_suite(tmp_path)


@pytest.mark.parametrize("limit", [None, 4])
def test_a_general_task_is_scored_item_by_item(
    scorer: Scorer, suite_path: Path, limit: int | None
) -> None:
    request = ScoreRequest("k", "sky", "general", "test", suite_path=str(suite_path), limit=limit)
    built = build_general_task(load_suite(suite_path), "sky", limit)
    record = score_task(scorer.lm, built, request, "base", chance=0.5)
    assert [output.item_id for output in record.outputs] == [f"s{n}" for n in range(limit or 6)]
    assert [output.target for output in record.outputs] == [" blue", " red"] * ((limit or 6) // 2)
    right = [float(output.output == output.target) for output in record.outputs]
    assert [score.value for score in record.item_scores if score.metric == "acc"] == right
    assert record.aggregates["acc"] == pytest.approx(sum(right) / len(right))
    assert (record.chance, record.suite, record.form) == (0.5, "general", "base")


def test_an_item_that_a_benchmark_holds_twice_is_kept_twice(
    scorer: Scorer, suite_path: Path
) -> None:
    data = suite_path.parent / "tasks" / "sky.jsonl"
    data.write_text(f"{data.read_text()}\n{data.read_text().splitlines()[0]}")
    request = ScoreRequest("k", "sky", "general", "test", suite_path=str(suite_path))
    record = score_task(scorer.lm, build_general_task(load_suite(suite_path), "sky"), request, "b")
    keys = [output.doc_hash for output in record.outputs]
    assert keys[6] == f"{keys[0]}-2"
    assert len(set(keys)) == len(record.item_scores) == 7
    assert record.outputs[6].cluster == record.outputs[0].cluster


def test_bits_per_byte_has_a_value_per_item(scorer: Scorer, suite_path: Path) -> None:
    request = ScoreRequest("k", "prose", "general", "test", suite_path=str(suite_path))
    built = build_general_task(load_suite(suite_path), "prose")
    record = score_task(scorer.lm, built, request, "base")
    assert record.higher_is_better == {"bits_per_byte": False}
    total_bits, total_bytes = 0.0, 0
    for n, (output, score) in enumerate(zip(record.outputs, record.item_scores, strict=True)):
        text = f"Café number {n}."
        prefix = scorer.lm.prefix_token_id
        request_tokens = (None, [prefix], scorer.tokenizer(text)["input_ids"])
        ((likelihood, _),) = scorer.lm._loglikelihood_tokens([request_tokens])
        size = len(text.encode())
        expected = -likelihood / math.log(2) / size
        assert score == ItemScore(output.doc_hash, "none", "bits_per_byte", score.value)
        assert score.value == pytest.approx(expected)
        assert (output.output, output.completion_tokens, output.cluster) == ("", 0, "c")
        total_bits, total_bytes = total_bits + expected * size, total_bytes + size
    assert record.aggregates["bits_per_byte"] == pytest.approx(total_bits / total_bytes)
