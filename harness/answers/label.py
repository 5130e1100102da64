"""Answers that are one of a closed list of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator

from harness.answers.answer import (
    INVALID,
    MAX_CHOICES,
    SCALE,
    Answer,
    Reading,
    ReplyReader,
    only_column,
)
from harness.answers.answer_column import AnswerColumn
from harness.answers.cells import AnswerError, scalar_text
from harness.answers.characters import trimmed
from harness.answers.label_reader import LabelReader, as_listed, one_notation
from harness.answers.metrics import EXACT_MATCH, MACRO_F1, VALID
from harness.answers.row_reader import RowReader
from harness.errors import DataError
from harness.records import Example, JsonValue
from harness.records.guess import Guess

_FIELD = "label"
# More than this in every prompt costs each arm more than the text itself.
_LISTED_CHARACTERS = 500


class LabelAnswer(Answer):
    """The answer is one of a closed list of labels."""

    kind: Literal["label"]
    column: str = Field(description="Column that holds the label.")
    labels: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="All valid labels; those of the training split if not given.",
    )

    metrics = (EXACT_MATCH, VALID, MACRO_F1)
    metrics_reason: ClassVar[str] = (
        "exact_match, the share of right labels, decides; the others are reported."
    )
    form_metric = VALID

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return distinct_labels(labels)

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def _row_reader(self) -> RowReader:
        """Reads labels as ``labels`` writes them; else in normal form C and trimmed."""
        return _LabelRows(self)

    def _respelt(self, answers: Iterable[str]) -> dict[str, str]:
        """Labels that are one number are written in one way (1 and 1.0), unless they are listed."""
        return one_notation(answers) if self.labels is None else {}

    def _count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """The one field is called ``label``."""
        return {_FIELD: Counter(answers)}

    def judged_by(self) -> dict[str, Any]:
        """Labels are a set: their order changes the prompt, not what is right."""
        keys = super().judged_by()
        return keys | {"labels": None if self.labels is None else sorted(self.labels)}

    def finite_answers(self) -> tuple[str, ...] | None:
        """The labels, where the experiment lists them."""
        return self.labels

    def labels_of(self, train: Iterable[Example]) -> tuple[str, ...]:
        """The labels listed, else those of training, sorted."""
        if self.labels is not None:
            return self.labels
        return tuple(sorted({self.final(example.answer) for example in train}))

    @property
    def is_closed(self) -> bool:
        """The training split lists what the experiment does not."""
        return True

    def answer_in(self, reply: str, labels: Sequence[str] = ()) -> str | None:
        """The label that it means."""
        found = self.found_in(reply)
        return None if found is None else LabelReader(self.labels or labels).read(found)

    def _why_not_classified(self) -> str:
        """Labels are classes."""
        return ""

    def as_classes(self, answer: str) -> dict[str, str]:
        """The label."""
        return {_FIELD: answer}

    def of_classes(self, classes: Mapping[str, str]) -> str:
        """The label."""
        return classes[_FIELD]

    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        known = LabelReader(self.labels or labels)

        def read(target: str, reply: str) -> Reading:
            replied = known.read(reply)
            return Reading(
                {
                    EXACT_MATCH.name: float(replied == target),
                    VALID.name: float(replied is not None),
                },
                {_FIELD: (target, INVALID if replied is None else replied)},
            )

        return read

    @classmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """One column of few different texts, each on one line and frequent enough."""
        column = columns[0]
        if len(columns) > 1 or column.objects or column.lists or not column.is_closed:
            return None
        if any("\n" in text for text in column.texts):
            return None
        if column.is_number and len(set(column.texts)) > SCALE:
            return None
        answer = cls.of_columns(columns)
        what = "numbers of a scale" if column.is_number else "labels that repeat"
        return Guess(answer, f"{len(answer.labels or ())} {what}")

    @classmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """The labels of the one column: most frequent first, numbers in their order."""
        column = only_column(cls, columns)
        if not 0 < len(set(column.texts)) <= MAX_CHOICES:
            raise DataError(
                f"column {column.name!r} holds {column.distinct} different values, and a closed "
                f"list has at most {MAX_CHOICES}; use --kind text, or another --answer"
            )
        counts = Counter(map(trimmed, column.texts))
        for label, number in one_notation(counts).items():
            counts[number] += counts.pop(label)
        by_count = [label for label, _ in counts.most_common()]
        labels = sorted(counts, key=float) if column.is_number else by_count
        return cls(kind="label", column=column.name, labels=tuple(labels))

    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """Lists the labels, where that is short enough."""
        if not self._is_short:
            what = "class" if is_reply else subject
            return f"Classify the text. Reply with the name of its {what} and nothing else."
        labels = self.labels or ()
        mark = "; " if any("," in label for label in labels) else ", "
        return f"Classify the text. Reply with exactly one of: {mark.join(labels)}"

    def without_examples(self, instruction: str) -> str | None:
        """With the labels that the task's instruction is too short to hold."""
        if self._is_short:
            return None
        return f"{instruction} The names are: {', '.join(self.labels or ())}"

    @property
    def _is_short(self) -> bool:
        """Whether the list of labels is short enough to stand in every prompt."""
        return sum(map(len, self.labels or ())) <= _LISTED_CHARACTERS


def distinct_labels(labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The labels of a closed list, trimmed; None where it is not given.

    Raises:
        ValueError: one is empty, or stands twice.
    """
    labels = labels and tuple(map(trimmed, labels))
    if "" in (labels or ()):
        raise ValueError("a label is empty; an empty reply is never right")
    twice = sorted({label for label in labels or () if (labels or ()).count(label) > 1})
    if twice:
        raise ValueError(f"labels stand twice: {', '.join(twice)}; keep one of each")
    return labels


class _LabelRows(RowReader):
    def __init__(self, answer: LabelAnswer) -> None:
        super().__init__()
        self._column, self._listed = answer.column, answer.labels

    def read(self, values: Mapping[str, JsonValue]) -> str:
        written = scalar_text(values.get(self._column), self._column).strip()
        label = trimmed(written)
        if not label:
            raise AnswerError(f"{self._column}: the value is empty; fill it in")
        if self._listed is not None:
            known = as_listed(label, self._listed)
            if known is None:
                shown = ", ".join(self._listed[:20]) + (", …" if self._listed[20:] else "")
                raise AnswerError(
                    f"{self._column}: label {label!r} is not one of task.answer.labels ({shown}); "
                    "correct the row or add the label"
                )
            label = known
        if written != label:
            self.spellings.setdefault(label, set()).add(written)
        return label
