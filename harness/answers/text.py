"""Answers in free text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field

from harness.answers.answer import (
    MAX_CHOICES,
    REPEATS,
    Answer,
    Reading,
    ReplyReader,
    only_column,
)
from harness.answers.answer_column import AnswerColumn
from harness.answers.cells import scalar_text
from harness.answers.metrics import CHRF, EXACT_MATCH, ROUGE_L
from harness.answers.row_reader import RowReader
from harness.answers.text_likeness import TextLikeness
from harness.records import JsonValue
from harness.records.guess import Guess


class TextAnswer(Answer):
    """The answer is free text."""

    kind: Literal["text"]
    column: str = Field(description="Column that holds the reference answer.")

    metrics = (CHRF, ROUGE_L, EXACT_MATCH)
    metrics_reason: ClassVar[str] = (
        "chrf, likeness to the reference by characters, decides. It is not quality."
    )
    form_metric = CHRF
    is_free_text: ClassVar[bool] = True

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def _row_reader(self) -> RowReader:
        """Reads texts as they stand."""
        return _TextRows(self.column)

    def _why_not_constrained(self) -> str:
        """Free text has no form."""
        return (
            "needs labels or a JSON schema, since free text has no form to keep to; use "
            "answering: generate"
        )

    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        likeness = TextLikeness()
        return lambda target, reply: Reading(likeness.compare(target, reply), {})

    @classmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """Any column that is nothing else."""
        texts = columns[0].texts
        distinct = len(set(texts))
        why = "texts of which most differ"
        if distinct <= len(texts) / REPEATS:
            why = (
                f"{distinct} different texts; a closed list of labels may have up to {MAX_CHOICES}"
            )
        return Guess(cls.of_columns(columns), why)

    @classmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """The one column."""
        return cls(kind="text", column=only_column(cls, columns).name)

    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """What is asked for, as far as the data tell."""
        if is_told:
            return "Follow the instruction."
        return "Reply to the text." if is_reply else f"Write the {subject} for the text."


class _TextRows(RowReader):
    def __init__(self, column: str) -> None:
        super().__init__()
        self._column = column

    def read(self, values: Mapping[str, JsonValue]) -> str:
        return scalar_text(values.get(self._column), self._column)
