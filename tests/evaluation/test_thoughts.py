"""The answer is what follows a thought, however a model marks it."""

from __future__ import annotations

import pytest

from harness.evaluation.thoughts import MARKS, Answered, without_thought


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
