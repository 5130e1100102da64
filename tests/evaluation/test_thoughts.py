"""The answer is what follows a thought, however a model marks it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from harness.answers.row_reader import answer_part
from harness.answers.thoughts import (
    MARKS,
    Answered,
    own_marks,
    with_usual_marks,
    without_open_thought,
    without_thought,
)
from harness.evaluation.domain_task import build_domain_task
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.records import ItemOutput, ScoreRecord
from harness.spec import TaskSpec
from harness.trial.scoring import replies_without_answer
from tests.evaluation import test_brought_metrics
from tests.evaluation.test_brought_metrics import ITEMS, REQUEST, Replying
from tests.tiny_model import TASK, TinyModels, load_tiny, message


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


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("<mm:think>", "</mm:think>"),
        ("[REASON]", "[/REASON]"),
        ("<|begin_of_reasoning|>", "<|end_of_reasoning|>"),
        ("<|THOUGHT_START|>", "<|THOUGHT_END|>"),
        ("<thought_open>", "<thought_close>"),
    ],
)
def test_a_tokenizer_may_have_marks_of_its_own(begin: str, end: str) -> None:
    tokens = [begin, end, "<|im_end|>", "<think>", "</think>", "<reasonable>", "</s>"]
    marks = own_marks(tokens)
    assert set(marks) == {begin, end}
    reply = with_usual_marks(f"{begin}it rains{end}bad", marks)
    assert without_thought(reply) == Answered("bad")
    assert without_thought(with_usual_marks(f"{begin}it", marks)).unfinished
    assert own_marks([begin]) == own_marks([end]) == own_marks([]) == {}


def test_a_tokenizer_s_own_marks_stay_in_a_reply_and_take_its_thought_off(
    tiny_models: TinyModels,
) -> None:
    loaded = load_tiny(tiny_models.chat)
    tokenizer = loaded.tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": ["<a:think>", "</a:think>", "<x>"]})
    lm = CandidateLM(loaded.model, tokenizer, batch_size=1)
    ids = tokenizer("<a:think>late?</a:think>positive<x><|im_end|>")["input_ids"]
    reply = lm.tok_decode(ids)
    assert reply == "<a:think>late?</a:think>positive"
    marks = own_marks(token.content for token in tokenizer.added_tokens_decoder.values())
    task = build_domain_task(
        "t", TASK, [message("i", "x", "positive")], lambda item: "", end="", max_new_tokens=1,
        as_kept=partial(with_usual_marks, own=marks),
    )  # fmt: skip
    (doc,) = task.test_docs()
    assert task.process_results(doc, [reply])["exact_match"] == 1.0
    assert task.process_results(doc, ["<a:think>positive"])["exact_match"] == 0.0


@pytest.mark.parametrize(
    ("prompt", "left"),
    [
        ("<bot>\n<think>\n", "<bot>\n"),
        ("<bot><think>\n\n</think>\n\n", "<bot><think>\n\n</think>\n\n"),
        ("<think></think><bot>[THINK]", "<think></think><bot>"),
        ("<bot>", "<bot>"),
    ],
)
def test_a_prompt_opens_no_thought(prompt: str, left: str) -> None:
    assert without_open_thought(prompt) == left


def test_a_reply_is_kept_with_the_usual_marks_so_that_later_readers_find_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = TaskSpec.model_validate(
        {"instruction": "Say.", "answer": {"kind": "text", "column": "y"}}
    )
    reply = "<my_think>b?</my_think>abc"
    kept = partial(with_usual_marks, own=own_marks(["<my_think>", "</my_think>"]))
    monkeypatch.setattr(test_brought_metrics, "REPLIES", [reply] * len(ITEMS))
    built = build_domain_task(
        "domain", task, ITEMS, lambda item: item.inputs["text"], end="", max_new_tokens=3,
        as_kept=kept,
    )  # fmt: skip
    record = score_task(Replying(), built, REQUEST, "base", as_kept=kept)
    assert {output.output for output in record.outputs} == {"<think>b?</think>abc"}
    assert {answer_part(output.output) for output in record.outputs} == {"abc"}
