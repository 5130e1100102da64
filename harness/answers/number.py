"""Answers that are a number, right where they are near enough."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Literal, Self

from pydantic import Field

from harness.answers.answer import SCALE, Answer, Reading, ReplyReader, only_column
from harness.answers.answer_column import AnswerColumn
from harness.answers.cells import AnswerError, scalar_text
from harness.answers.characters import trimmed
from harness.answers.label_reader import one_notation
from harness.answers.metrics import ABSOLUTE_ERROR, EXACT_MATCH, RELATIVE_ERROR, VALID
from harness.answers.number_reader import DecimalMark, Number, cell_number, reply_number
from harness.answers.row_reader import RowReader
from harness.errors import DataError
from harness.records import Example, JsonValue
from harness.records.guess import Guess
from harness.wording import listed

# A few cells that hold no number do not change what a column is; they are reported as bad rows.
_MOST = 0.9
_MOST_UNITS = 3
_SHOWN = 5


class NumberAnswer(Answer):
    """The answer is a number, right where it is near enough."""

    kind: Literal["number"]
    column: str = Field(description="Column that holds the number.")
    tolerance: float = Field(
        0.0, ge=0, description="How far a right reply may be off, in the column's unit."
    )
    relative_tolerance: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="How far a right reply may be off, as a share of the right number: 0.01 is 1 "
        "per cent. It is right where one of the two tolerances allows it.",
    )
    decimal: Literal[".", ","] | None = Field(
        None,
        description="Decimal mark of the column; told by each number if not given, and a point "
        "where that leaves it open, as in 1,234.",
    )

    metrics = (EXACT_MATCH, RELATIVE_ERROR, ABSOLUTE_ERROR, VALID)
    metrics_reason: ClassVar[str] = (
        "exact_match, the share of numbers that are near enough, decides; put relative_error first "
        "where how far off a number is counts."
    )
    form_metric = VALID
    only_score = frozenset({"tolerance", "relative_tolerance"})
    draft_notes: ClassVar[Mapping[str, str]] = {
        "tolerance": "How far a reply may be off and still be right, in the column's unit.",
        "relative_tolerance": "Likewise, as a share of the right number.",
        "decimal": "The mark before decimals, as the column has it.",
    }

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def _row_reader(self) -> RowReader:
        """Reads numbers in the notations of people, and leaves them as they stand."""
        return _NumberRows(self)

    def meaning(self, answer: str) -> str:
        """The value, however it is written."""
        number = self._number(self.final(answer))
        return f"{number.value}{' %' if number.is_percent else ''}"

    def _respelt(self, answers: Iterable[str]) -> dict[str, str]:
        """Whole numbers lose the .0 that a column with a gap gives them.

        Raises:
            DataError: some have decimals after a comma, and others could be read in both ways.
        """
        distinct = sorted(set(answers))
        if self.decimal is None:
            by_mark: dict[str, str] = {}
            for answer in distinct:
                by_mark.setdefault(self._number(answer).mark, answer)
            if "," in by_mark and "either" in by_mark:
                raise DataError(
                    f"column {self.column!r} holds {by_mark[',']!r}, with a decimal comma, and "
                    f"{by_mark['either']!r}, whose mark may divide thousands or decimals: say "
                    'which with task.answer.decimal: "," or "."'
                )
        return one_notation(distinct)

    def notes(self, answers: Iterable[str]) -> Iterator[str]:
        """Whether units or percent signs differ: they are not converted."""
        numbers = [self._number(self.final(answer)) for answer in answers]
        units = Counter(number.unit for number in numbers if number.unit)
        if len(units) > 1:
            shown = listed([f"{u!r} ({n} rows)" for u, n in units.most_common(_SHOWN)])
            more = f" and {len(units) - _SHOWN} more" if len(units) > _SHOWN else ""
            yield (
                f"numbers in `{self.column}` stand beside different words, {shown}{more}: units "
                "are neither compared nor converted, so write all in one"
            )
        percent = sum(number.is_percent for number in numbers)
        if 0 < percent < len(numbers):
            yield (
                f"{percent} of {len(numbers)} numbers in `{self.column}` have a percent sign and "
                "the others have none: errors of 50 % count as 50 and of 0.5 as 0.5, so write all "
                "in one way"
            )

    def known_from(self, train: Iterable[Example]) -> tuple[str, ...]:
        """The least and the greatest number, from which the farthest is told."""
        finals = {self.final(example.answer) for example in train}
        ranked = sorted(finals, key=lambda final: self._number(final).value)
        return (ranked[0], ranked[-1]) if ranked else ()

    def _number(self, final: str) -> Number:
        number = _cell_number(final, self.decimal)
        if number is None:
            raise ValueError(f"{final!r:.80} is no number")
        return number

    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        ends = [self._number(label).value for label in labels]
        # As they are written: 0.1 is not the nearest binary fraction.
        near, share = (Fraction(str(n)) for n in (self.tolerance, self.relative_tolerance))

        def read(target: str, reply: str) -> Reading:
            right, replied = self._number(target), reply_number(reply, self.decimal)
            size = abs(right.value)
            if replied is None:
                farthest = max((abs(right.value - end) for end in ends), default=None)
                # Where training knows one number only, no reply is as far off as nothing.
                unread = math.inf if farthest is None else float(farthest or max(size, Fraction(1)))
                return Reading(_metrics(exact=False, valid=False, off=unread, share=1.0), {})
            off = min(abs(value - right.value) for value in _values(replied, right))
            of_size = min(off / size, Fraction(1)) if size else Fraction(off > 0)
            exact = off <= near or off <= share * size
            return Reading(
                _metrics(exact=exact, valid=True, off=float(off), share=float(of_size)), {}
            )

        return read

    @classmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """One column of numbers that are neither few, as on a scale, nor codes with zeros."""
        column = columns[0]
        if len(columns) > 1 or column.objects or column.lists or not column.texts:
            return None
        if column.is_closed and len(set(column.texts)) <= SCALE:
            return None
        numbers = [number for text in column.texts if (number := _cell_number(text, None))]
        units = {number.unit for number in numbers}
        codes = any(text[:1] == "0" and text[1:2].isdigit() for text in column.texts)
        if len(numbers) < _MOST * len(column.values) or len(units) > _MOST_UNITS or codes:
            return None
        return Guess(cls.of_columns(columns), "numbers: say how far off a reply may be (tolerance)")

    @classmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """The one column, whose texts are numbers, with the decimal mark that they show."""
        column = only_column(cls, columns)
        numbers = [number for text in column.texts if (number := _cell_number(text, None))]
        if not numbers:
            raise DataError(
                f"column {column.name!r} holds no numbers; use another --kind, or another --answer"
            )
        marks = {number.mark for number in numbers}
        decimal: DecimalMark | None = "," if "," in marks and "." not in marks else None
        return cls(kind="number", column=column.name, decimal=decimal)

    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """Asks for the number alone."""
        what = "number" if is_reply else subject
        return f"Say the {what} that the text asks for. Reply with a number and nothing else."


@lru_cache(maxsize=100_000)
def _cell_number(text: str, decimal: DecimalMark | None) -> Number | None:
    return cell_number(text, decimal)


def _values(replied: Number, right: Number) -> tuple[Fraction, ...]:
    """What a reply may mean: where one of both has a percent sign, it is a unit or a hundredth."""
    if replied.is_percent == right.is_percent:
        return (replied.value,)
    return replied.value, replied.value / 100 if replied.is_percent else replied.value * 100


def _metrics(*, exact: bool, valid: bool, off: float, share: float) -> dict[str, float]:
    return {
        EXACT_MATCH.name: float(exact),
        RELATIVE_ERROR.name: share,
        ABSOLUTE_ERROR.name: off,
        VALID.name: float(valid),
    }


class _NumberRows(RowReader):
    def __init__(self, answer: NumberAnswer) -> None:
        super().__init__()
        self._column, self._decimal = answer.column, answer.decimal

    def read(self, values: Mapping[str, JsonValue]) -> str:
        value = values.get(self._column)
        if isinstance(value, bool):
            raise AnswerError(f"{self._column}: {value} is a truth value and no number")
        text = trimmed(scalar_text(value, self._column))
        if isinstance(value, float) and self._decimal == ",":
            # No text that leaves its mark open: files write numbers with a point.
            text = text.replace(".", ",")
        number = _cell_number(text, self._decimal)
        if number is None:
            raise AnswerError(
                f"{self._column}: {text!r:.60} is not one number, with a sign, a currency and a "
                "unit at most; correct the row"
            )
        if self._decimal is not None and number.mark not in ("", "either", self._decimal):
            raise AnswerError(
                f"{self._column}: {text!r:.60} has another decimal mark than task.answer.decimal, "
                f"{self._decimal!r}; write it as the others are"
            )
        return text
