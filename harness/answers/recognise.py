"""Which answer the columns of a file hold."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from harness.answers import KINDS, Answer
from harness.answers.answer_column import AnswerColumn
from harness.answers.extract_marks import is_mark, recognise_extract
from harness.errors import DataError
from harness.records.guess import Guess


def recognise_answer(columns: Sequence[AnswerColumn], kind: str | None = None) -> Guess[Answer]:
    """The answer that these columns hold.

    Args:
        kind: that the user wants; guessed if not given.

    Raises:
        DataError: a column is empty, or the answers are not of that kind.
    """
    for column in columns:
        if not column.values:
            raise DataError(f"column {column.name!r} holds no value; name another with --answer")
    try:
        return _extracted(columns, kind) or _recognised(columns, kind)
    except ValidationError as error:
        names = ", ".join(repr(column.name) for column in columns)
        why = "; ".join(
            str(detail["msg"]).removeprefix("Value error, ") for detail in error.errors()
        )
        raise DataError(
            f"the answers in {names} cannot be asked for: {why}; mend them in the file, or name "
            "another with --answer"
        ) from error


def _recognised(columns: Sequence[AnswerColumn], kind: str | None) -> Guess[Answer]:
    if kind is not None:
        return Guess(KINDS[kind].of_columns(columns), "as you said")
    guesses = (known.recognise(columns) for known in KINDS.values())
    return next(guess for guess in guesses if guess is not None)


def _extracted(columns: Sequence[AnswerColumn], kind: str | None) -> Guess[Answer] | None:
    """The answer that stands in longer texts behind a mark; None where there is no mark."""
    # Who calls a column text means all of it.
    if len(columns) > 1 or kind == "text":
        return None
    if (place := recognise_extract(columns[0])) is None:
        return None
    inner = _recognised([columns[0].mapped(place.value.of)], kind)
    if inner.value.kind == "text" and not is_mark(place.value):
        # What ends a text in prose is marked by nothing else than prose.
        return None
    answer = type(inner.value).model_validate(
        inner.value.model_dump(by_alias=True) | {"extract": place.value}
    )
    return Guess(answer, f"{inner.why}; {place.why} (extract)")
