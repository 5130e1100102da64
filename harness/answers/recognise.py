"""Which answer the columns of a file hold."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from harness.answers import KINDS, Answer
from harness.answers.answer import AnswerColumn
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
        if kind is not None:
            return Guess(KINDS[kind].of_columns(columns), "as you said")
        guesses = (known.recognise(columns) for known in KINDS.values())
        return next(guess for guess in guesses if guess is not None)
    except ValidationError as error:
        names = ", ".join(repr(column.name) for column in columns)
        why = "; ".join(
            str(detail["msg"]).removeprefix("Value error, ") for detail in error.errors()
        )
        raise DataError(
            f"the answers in {names} cannot be asked for: {why}; mend them in the file, or name "
            "another with --answer"
        ) from error
