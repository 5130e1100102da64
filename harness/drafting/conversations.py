"""Whether a file's conversations are to be asked as such, message by message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.answers import Answer
from harness.data import Row, Rows
from harness.data.chat import PROMPT, RESPONSE, SYSTEM, conversation_columns
from harness.data.conversations import Asked, ConversationReader, UnusableError
from harness.spec.data import ConversationSpec
from harness.wording import listed


@dataclass(frozen=True, slots=True)
class ConversationDraft:
    """How conversations are asked."""

    spec: ConversationSpec
    """The part of the experiment."""
    why: str
    """The reason, as the end of a sentence."""
    systems: int
    """Number of different system messages; having none counts as one."""
    all_have_system: bool
    """Whether each conversation has a system message of its own."""
    tools: int = 1
    """Number of different lists of tools; having none counts as one."""


def conversations_of(
    tables: Sequence[Rows], texts: Sequence[str], answers: Sequence[str], form: Answer
) -> ConversationDraft | None:
    """How the conversations are asked; None where there are none, or one text says as much.

    A question with its answer, under one system message for all, is such a text.

    Args:
        texts: columns that the model is shown.
        answers: columns of the answers.
        form: how they are read.
    """
    column = answers[0].removesuffix(RESPONSE)
    if len(answers) > 1 or column == answers[0]:
        return None
    named = all(column in conversation_columns(table.conversations) for table in tables)
    if not named or not set(texts) <= {column + PROMPT, column + SYSTEM}:
        return None
    read = [each for table in tables for each in _read(table, column)]
    talks = [talk for _, talk in read]
    systems = {_system(talk) for talk in talks}
    several = sum(len(talk) > 1 for talk in talks)
    longer = sum(len(_after_system(talk[-1])) > 1 for talk in talks)
    # Without a last answer there is none to cut them to.
    going_on = sum(column + RESPONSE in row.lacking for row, _ in read)
    if not longer and not going_on and len(systems) < 2:
        return None
    every = form.is_free_text if several else bool(going_on)
    turns: Literal["every", "last"] = "every" if every else "last"
    reasons = [f"{longer} of {len(talks)} have several turns"] if longer else []
    reasons += [f"{going_on} go on after their last answer"] if going_on else []
    reasons += ["their system messages differ"] if len(systems) > 1 else []
    return ConversationDraft(
        ConversationSpec(column=column, turns=turns),
        f"messages are shown as such, since {listed(reasons)}. turns: every answer is trained on "
        "and scored, or the last of each conversation",
        len(systems),
        "" not in systems,
        len({talk[-1].tools for talk in talks}),
    )


def _read(table: Rows, column: str) -> list[tuple[Row, list[Asked]]]:
    reader = ConversationReader(table, ConversationSpec(column=column))
    talks = []
    for row in table.rows:
        try:
            talks.append((row, reader.read(row)))
        except UnusableError:
            # Bad rows are counted where the draft is tried.
            continue
    return talks


def _system(talk: Sequence[Asked]) -> str:
    head = talk[0].messages[0]
    return str(head["content"]) if head["role"] == "system" else ""


def _after_system(asked: Asked) -> list[object]:
    return [message for message in asked.messages if message["role"] != "system"]
