"""What a reply that reasons first is taken for."""

from __future__ import annotations

import pytest

from harness.answers.extract import Extract
from harness.answers.reasoning import NOT_ASKED, AskedReasoning, as_thought
from harness.answers.row_reader import answer_part
from harness.answers.thoughts import without_thought


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("It names a bill.\nFinal answer: billing", "billing"),
        ("**Final answer:** billing", "billing"),
        ("**FINAL ANSWER**: billing\n", "billing"),
        # Of several the last: the first may be weighed and dropped.
        ("Final answer: praise? No. Final answer: billing", "billing"),
        ("Final answer:", ""),
        # A model that always thinks does so before.
        ("<think>Final answer: praise</think>So it is. Final answer: billing", "billing"),
        ("Is </think> a tag? Final answer: billing", "billing"),
    ],
)
def test_the_answer_is_what_follows_the_last_mark(reply: str, answer: str) -> None:
    read = as_thought(reply)
    assert not without_thought(read).unfinished
    assert answer_part(read) == answer


@pytest.mark.parametrize(
    "reply", ["billing", "It is about a bill, so billing", "", "<think>Final answer: billing"]
)
def test_a_reply_without_the_mark_has_no_answer(reply: str) -> None:
    assert without_thought(as_thought(reply)).unfinished
    assert answer_part(as_thought(reply)) == ""


def test_nothing_that_was_reasoned_is_lost() -> None:
    assert as_thought("a bill. Final answer: billing") == "<think>a bill. </think> billing"


def test_the_instruction_names_the_place_of_the_answer() -> None:
    assert NOT_ASKED.words(None) == ""
    assert "one or two sentences. Then write `Final answer:`" in AskedReasoning("brief").words(None)
    hashes = AskedReasoning("free").words(Extract(after="####"))
    assert hashes == "Before you answer, think step by step. End with #### and the answer alone."
