"""A first wording of what the model is asked to do."""

from __future__ import annotations

from collections.abc import Sequence

from harness.answers import Answer
from harness.data.chat import RESPONSE
from harness.data.name_words import REPLIES


def draft_instruction(form: Answer, answers: Sequence[str], *, is_told: bool = False) -> str:
    """An instruction that says the form of the answer; the task itself only the user knows.

    Args:
        answers: columns that hold it.
        is_told: whether each row says what is to be done.
    """
    subject = answers[0]
    is_reply = subject.endswith(RESPONSE) or subject.lower() in REPLIES
    return form.instruction(subject, is_reply=is_reply, is_told=is_told)
