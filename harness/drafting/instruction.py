"""A first wording of what the model is asked to do."""

from __future__ import annotations

from collections.abc import Sequence

from harness.answers import Answer
from harness.answers.extract_marks import asking_for
from harness.data.chat import RESPONSE
from harness.data.columns import Column
from harness.data.infer import varies
from harness.data.name_words import REPLIES
from harness.drafting.conversations import ConversationDraft
from harness.records.guess import Guess
from harness.wording import listed


def guess_instruction(
    columns: Sequence[Column],
    form: Answer,
    answers: Sequence[str],
    texts: Sequence[str],
    talks: ConversationDraft | None,
) -> Guess[str]:
    """What the model is to be told, and where it is from.

    Args:
        columns: those that say what is to be done.
        answers: columns that hold the answer.
        texts: columns that the model is shown.
        talks: how conversations are asked; None where items are none.
    """
    if talks is not None and talks.all_have_system:
        own = "each conversation has a system message of its own, before which it would stand"
        return Guess("", own)
    if talks is not None and form.is_free_text:
        why = "it stands before a conversation's own system message, and may be empty"
        return Guess("Reply to the last message.", why)
    once = [c for c in columns if c.name not in texts and not varies(c)]
    if once and talks is None:
        source = (
            "the system message of the conversations"
            if once[0].part
            else f"{listed(f'`{c.name}`' for c in once)}, the same in every row"
        )
        return Guess("\n\n".join(c.texts[0] for c in once), source)
    is_told = any(varies(column) and not column.part for column in columns)
    drafted = draft_instruction(form, answers, is_told=is_told)
    return Guess(drafted, "a draft: say what you would tell a new colleague")


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
    labels = form.labels_of(()) or form.finite_answers() or ()
    listed = f" It is one of: {', '.join(labels)}." if 0 < len(labels) <= _MOST_LISTED else ""
    return f"Work the task out step by step. {asking_for(form.extract)}{listed}"
