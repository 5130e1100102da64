"""Answers that are a set of labels out of a closed list, in no order: several, one, or none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import log2
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.answers.answer import MAX_CHOICES, Answer, Reading, ReplyReader
from harness.answers.answer_column import AnswerColumn
from harness.answers.characters import folded, trimmed
from harness.answers.json_text import JsonObject
from harness.answers.label import distinct_labels
from harness.answers.label_reader import one_notation
from harness.answers.label_set_columns import parts_of, repeats, says_whether, separator_of
from harness.answers.label_set_reader import LabelSetReader
from harness.answers.label_set_rows import FlagRows, ListRows, set_text
from harness.answers.metrics import (
    ABSENT,
    EXACT_MATCH,
    JACCARD,
    MACRO_F1,
    SET_F1,
    VALID,
)
from harness.answers.row_reader import RowReader
from harness.errors import DataError
from harness.records import Example
from harness.records.guess import Guess

_FIELD = "label"
# Names that people write where no label applies.
_NO_LABEL = {"none", "n/a", "na", "null", "nothing", "-", "no label"}
# Beyond this share of empty cells these are no oversight.
_OFTEN = 0.1
_LISTED_CHARACTERS = 500


class LabelsAnswer(Answer):
    """The answer is a set of labels out of a closed list: several, one, or none."""

    kind: Literal["labels"]
    column: str | None = Field(
        None, description="Column that holds lists of labels, or text with a `separator`."
    )
    columns: dict[str, str] | None = Field(
        None, description="Label -> data column that says by 1 or 0 whether it applies."
    )
    separator: str | None = Field(
        None, min_length=1, description='What divides the labels of a text, such as ";".'
    )
    labels: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="All valid labels, in the order in which they are written; those of the "
        "training split, sorted, if not given.",
    )
    empty: bool = Field(
        False,
        description="Whether an empty cell means that no label applies; else it is a bad row.",
    )

    metrics = (SET_F1, EXACT_MATCH, JACCARD, VALID, MACRO_F1)
    metrics_reason: ClassVar[str] = (
        "set_f1, how many labels of each item are right, decides; the others are reported."
    )
    form_metric = VALID
    draft_notes: ClassVar[Mapping[str, str]] = {
        "columns": "Label: column of the file that says whether it applies.",
        "separator": "What stands between two labels in the column.",
        "empty": "Whether an empty cell means that no label applies.",
    }

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return distinct_labels(labels)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.columns is None) == (self.column is None):
            raise ValueError("give exactly one of `columns` (label -> column) and `column`")
        if self.columns is None:
            return self
        if not self.columns:
            raise ValueError("`columns` names no label")
        distinct_labels(tuple(self.columns))
        for key in ("separator", "labels", "extract"):
            if getattr(self, key) is not None:
                raise ValueError(
                    f"`{key}` goes with `column`; the labels of `columns` are its keys, and each "
                    "column says 1 or 0"
                )
        return self

    @property
    def listed(self) -> tuple[str, ...] | None:
        """All valid labels, where the experiment lists them, in their order."""
        return tuple(map(trimmed, self.columns)) if self.columns is not None else self.labels

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The one column, or those of the labels."""
        return (str(self.column),) if self.columns is None else tuple(self.columns.values())

    def _row_reader(self) -> RowReader:
        """Reads sets as a JSON list without repeats, in the order of the labels."""
        if self.columns is not None:
            return FlagRows(self.columns)
        return ListRows(str(self.column), self.separator, self.labels, self.empty)

    def _respelt(self, answers: Iterable[str]) -> dict[str, str]:
        """Labels that are one number are written in one way, unless they are listed."""
        distinct = set(answers)
        if self.listed is not None:
            return {}
        written = one_notation(label for answer in distinct for label in json.loads(answer))
        respelt = {
            answer: set_text(sorted({written.get(label, label) for label in json.loads(answer)}))
            for answer in distinct
        }
        return {answer: text for answer, text in respelt.items() if text != answer}

    def _count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """The one field is called ``label``; an answer counts for each label that it has."""
        return {_FIELD: Counter(label for answer in answers for label in json.loads(answer))}

    def notes(self, answers: Iterable[str]) -> Iterator[str]:
        """Whether a label seems to mean that none applies."""
        sets = [self.labels_in(answer) for answer in answers]
        for name in sorted({label for labels in sets for label in labels}):
            held = [labels for labels in sets if name in labels]
            if folded(name) in _NO_LABEL and all(len(labels) == 1 for labels in held):
                yield (
                    f"{name!r} stands alone in {len(held)} rows and is taken for a label: if it "
                    "means that none applies, leave such cells empty and set task.answer.empty: "
                    "true"
                )

    def judged_by(self) -> dict[str, Any]:
        """Which labels there are; not how the data hold them, nor the order they are written in."""
        keys = self.model_dump(mode="json", include={"kind", "extract"})
        return keys | {"labels": None if self.listed is None else sorted(self.listed)}

    def labels_of(self, train: Iterable[Example]) -> tuple[str, ...]:
        """The labels listed, else those of training, sorted."""
        if self.listed is not None:
            return self.listed
        return tuple(sorted({label for e in train for label in self.labels_in(e.answer)}))

    def labels_in(self, answer: str) -> tuple[str, ...]:
        """The labels of the set."""
        return tuple(json.loads(self.final(answer)))

    def finite_answers(self) -> tuple[str, ...] | None:
        """All sets of the labels, smallest first, where the experiment lists few labels."""
        labels = self.listed
        if labels is None or 2 ** len(labels) > MAX_CHOICES:
            return None
        sizes = range(len(labels) + 1)
        return tuple(set_text(some) for size in sizes for some in combinations(labels, size))

    def _why_not_chosen(self) -> str:
        """Sets of many labels are too many to score each."""
        if self.is_closed:
            return ""
        if self.listed is None:
            return "needs task.answer.labels, whose sets are scored; list them, or use generate"
        most = int(log2(MAX_CHOICES))
        return (
            f"scores every set of labels, of which {len(self.listed)} labels have too many "
            f"({most} labels have {MAX_CHOICES}); use answering: generate, or constrained"
        )

    def reply_schema(self) -> JsonObject | None:
        """A list of the labels, where the experiment lists them."""
        if self.listed is None:
            return None
        allowed = list(self.listed)
        return {"type": "array", "items": {"enum": allowed}, "maxItems": len(allowed)}

    def _why_not_constrained(self) -> str:
        """What is lacking is the list of labels."""
        if self.listed is not None:
            return ""
        return "needs task.answer.labels, the labels to keep to; list them, or use generate"

    def _why_not_classified(self) -> str:
        """Each label is a class of its own, which applies or does not."""
        return ""

    def as_classes(self, answer: str) -> dict[str, str]:
        """The labels of the set."""
        return {label: label for label in self.labels_in(answer)}

    def of_classes(self, classes: Mapping[str, str]) -> str:
        """The set, in the order of the labels."""
        order = {label: rank for rank, label in enumerate(self.listed or sorted(classes))}
        return set_text(sorted(classes, key=order.__getitem__))

    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        known = self.listed or tuple(labels)
        replies = LabelSetReader(known, self.separator)

        def read(target: str, reply: str) -> Reading:
            right = frozenset(json.loads(target))
            replied = replies.read(reply)
            named = frozenset[str]() if replied is None else replied.labels
            # An empty reply names no label, which is another thing than that none applies.
            surplus = 1 if replied is None else replied.unlisted
            both, either = len(right & named), len(right | named) + surplus
            return Reading(
                {
                    SET_F1.name: 2 * both / (both + either) if either else 1.0,
                    EXACT_MATCH.name: float(right == named and not surplus),
                    JACCARD.name: both / either if either else 1.0,
                    VALID.name: float(not surplus),
                },
                {
                    label: (_presence(label, right), _presence(label, named))
                    for label in {*known, *right}
                },
            )

        return read

    @classmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """Lists of texts that repeat, texts with such parts, or several columns of 0 and 1."""
        column = columns[0]
        if len(columns) > 1:
            if not all(map(says_whether, columns)):
                return None
            return Guess(cls.of_columns(columns), "columns of 0 and 1, each for a label")
        separator = None if column.lists else separator_of(column)
        parts = parts_of(column, separator)
        if column.objects or not parts or not repeats(parts):
            return None
        why = "lists of labels that repeat"
        if separator:
            why = f"labels that repeat, with {separator!r} between them"
        elif not column.lists:
            return None
        answer = cls.of_columns(columns)
        empty = "; empty cells, which are many, are taken for none" if answer.empty else ""
        return Guess(answer, f"{why}{empty}")

    @classmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """The labels of the one column, most frequent first; or a label for each column."""
        if len(columns) > 1:
            wrong = [column.name for column in columns if not says_whether(column)]
            if wrong:
                raise DataError(
                    f"column {wrong[0]!r} holds other things than 0 and 1, true and false; several "
                    "columns of labels say each whether it applies"
                )
            return cls(kind="labels", columns={column.name: column.name for column in columns})
        column = columns[0]
        separator = None if column.lists else separator_of(column)
        counts = Counter(
            part for parts in parts_of(column, separator) for part in dict.fromkeys(parts)
        )
        if not 0 < len(counts) <= MAX_CHOICES:
            raise DataError(
                f"column {column.name!r} holds {len(counts)} different labels, and a closed list "
                f"has 1 to {MAX_CHOICES}; use another --kind, or another --answer"
            )
        rows = len(column.values) + column.missing
        return cls(
            kind="labels",
            column=column.name,
            separator=separator,
            labels=tuple(label for label, _ in counts.most_common()),
            empty=column.missing > _OFTEN * rows,
        )

    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """Lists the labels, where that is short enough."""
        labels = self.listed or ()
        which = f": {'; '.join(labels)}" if sum(map(len, labels)) <= _LISTED_CHARACTERS else ""
        what = "labels" if is_reply or self.columns else subject
        return (
            f"Say which {what} apply to the text{which}. Reply with a JSON list of those that "
            "apply, and [] where none does."
        )

    def without_examples(self, instruction: str) -> str | None:
        """With the labels that the task's instruction is too short to hold."""
        labels = self.listed or ()
        if sum(map(len, labels)) <= _LISTED_CHARACTERS:
            return None
        return f"{instruction} The labels are: {'; '.join(labels)}"


def _presence(label: str, labels: frozenset[str]) -> str:
    return label if label in labels else ABSENT
