"""A first wording of what the model is asked to do."""

from __future__ import annotations

from collections.abc import Sequence

from harness.answers import Answer
from harness.answers.extract_marks import asking_for
from harness.data.chat import RESPONSE
from harness.data.name_words import REPLIES

_MOST_LISTED = 20


def draft_instruction(form: Answer, answers: Sequence[str], *, is_told: bool = False) -> str:
    """An instruction that says the form of the answer; the task itself only the user knows.

    Args:
        answers: columns that hold it.
        is_told: whether each row says what is to be done.
    """
    subject = answers[0]
    is_reply = subject.endswith(RESPONSE) or subject.lower() in REPLIES
    asked = form.instruction(subject, is_reply=is_reply, is_told=is_told)
    if form.extract is None:
        return asked
    # What the kind asks for is the answer alone, and here words stand before it.
    labels = form.finite_answers() or ()
    listed = f" It is one of: {', '.join(labels)}." if 0 < len(labels) <= _MOST_LISTED else ""
    return f"Work the task out step by step. {asking_for(form.extract)}{listed}"
