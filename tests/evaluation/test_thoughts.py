"""The answer is what follows a thought, however a model marks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.answers.thoughts import MARKS, Answered, without_thought
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.records import ItemOutput, ScoreRecord
from harness.spec import TaskSpec
from harness.trial.scoring import replies_without_answer
from tests.tiny_model import TASK, TinyModels, load_tiny


@pytest.mark.parametrize(("begin", "end"), MARKS)
def test_a_thought_is_taken_off(begin: str, end: str) -> None:
    assert without_thought(f"{begin}it rains, so bad?{end}\n\nbad").answer.strip() == "bad"
    assert without_thought(f" \n{begin}\n\n{end}bad").answer == "bad"
    # The template of the prompt opened it.
    assert without_thought(f"it rains, so good?{end} bad").answer.strip() == "bad"
    assert without_thought(f"{begin}it rains, so bad") == Answered("", unfinished=True)
    assert without_thought(f"{begin}a{end}{begin}b{end}c").answer == "c"


@pytest.mark.parametrize(
    "reply", ["bad", "", " bad\n", "I think bad", "bad <think>or not</think> good?", "a < b", "[T]"]
)
def test_what_is_no_thought_stays(reply: str) -> None:
    assert without_thought(reply) == Answered(reply)


def test_marks_of_a_thought_stay_in_a_reply_where_they_are_special_tokens(
    tiny_models: TinyModels,
) -> None:
    loaded = load_tiny(tiny_models.chat)
    tokenizer = loaded.tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    lm = CandidateLM(loaded.model, tokenizer, batch_size=1)
    ids = tokenizer("<think>late?</think>positive<|im_end|>")["input_ids"]
    assert lm.tok_decode(ids) == "<think>late?</think>positive"
    assert lm.tok_decode(ids, skip_special_tokens=False).endswith("<|im_end|>")
    assert lm.tok_decode(None) == ""


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("<think>It is late, so positive?</think>\n\nnegative", 1.0),
        ("It is late.</think>negative", 1.0),
        ("<think>negative", 0.0),
        ("<think>negative</think>positive", 0.0),
    ],
)
def test_a_reply_is_scored_by_what_follows_its_thought(reply: str, right: float) -> None:
    assert TASK.answer.reader()("negative", reply).metrics["exact_match"] == right


def test_a_thought_in_a_right_answer_is_not_asked_for_word_by_word() -> None:
    task = TaskSpec.model_validate(
        {"instruction": "Sum.", "answer": {"kind": "text", "column": "a"}}
    )
    read = task.answer.reader()
    assert read("<think>1 and 2</think>3", "<think>2 and 1</think>3").metrics["exact_match"] == 1.0
    assert read("<think>1 and 2</think>3", "4").metrics["exact_match"] == 0.0


def test_replies_that_end_within_their_thought_are_counted() -> None:
    task = TaskSpec.model_validate(
        {"instruction": "Sum.", "answer": {"kind": "text", "column": "a"}}
    )
    replies = ("<think>so", "bad", "<think>so</think>bad")
    record = ScoreRecord(
        key="k",
        task="domain",
        suite="domain",
        split="test",
        form="base",
        seconds=0.0,
        outputs=tuple(
            ItemOutput(str(n), str(n), str(n), "bad", reply, 1, 1)
            for n, reply in enumerate(replies)
        ),
        item_scores=(),
        aggregates={},
        higher_is_better={},
    )
    (note,) = replies_without_answer(task, "zero-shot", record).values()
    assert note.startswith("1 of 3 replies of zero-shot to domain (test) ended within a thought")
    ended = replace(record, outputs=record.outputs[1:])
    assert replies_without_answer(task, "zero-shot", ended) == {}
    marked = TaskSpec.model_validate(
        {**task.model_dump(), "answer": {"kind": "text", "column": "a", "extract": {"after": ":"}}}
    )
    _, note = replies_without_answer(marked, "zero-shot", record).values()
    assert note.startswith("2 of 3 replies of zero-shot to domain (test) have nothing after ':'")
