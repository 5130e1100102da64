"""Checks of what a user types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from harness.answers import KINDS
from harness.data.columns import Column
from harness.data.read import content_of
from harness.drafting.answers import NONE, Answers
from harness.errors import DataError
from harness.spec import data as spec
from harness.spec.task import template_fields

# Of rows that repeat an id more are no oversight: the column names something else.
_MOST_REPEATED = 0.1
_SHOWN = 3


def check_filled(given: Answers) -> None:
    """See that no option that names something is empty.

    Raises:
        DataError: one is.
    """
    for option in ("model", "test", "validation", "encoding"):
        value = getattr(given, option)
        if value is not None and not value.strip():
            raise DataError(f"--{option} is empty: write what it names, or leave the option out")


def given_instruction(given: Answers, *, may_be_empty: bool) -> str | None:
    """The instruction that was given; None where none was.

    Raises:
        DataError: it is empty, and may not be.
    """
    said = given.instruction
    if said is not None and not said.strip() and not may_be_empty:
        raise DataError(
            "--instruction is empty: say what the model is asked to do, or leave the option out "
            "for a draft"
        )
    return said


def given_id(given: Answers, columns: Mapping[str, Column]) -> str | None:
    """The column that was said to name each row; None where line numbers are to.

    Raises:
        DataError: its values repeat in more than a few rows, and bad rows are not to be dropped.
    """
    if given.id is None or given.id == NONE:
        return None
    column = columns[given.id]
    times = {text: n for text, n in Counter(column.texts).most_common() if n > 1}
    repeated = sum(times.values()) - len(times)
    if repeated <= _MOST_REPEATED * column.rows or given.bad_rows == "drop":
        return given.id
    shown = ", ".join(f"{text!r:.40} in {n} rows" for text, n in list(times.items())[:_SHOWN])
    more = f" and {len(times) - _SHOWN} more" if len(times) > _SHOWN else ""
    raise DataError(
        f"--id {given.id}: ids repeat, {shown}{more}, and an id names one row alone: name another "
        "column, or --id none to use line numbers. If rows of one value belong together, that is "
        f"--group {given.id}"
    )


def existing_file(name: str) -> str:
    """A file's name, or none.

    Raises:
        DataError: it cannot be read.
    """
    if name != NONE:
        content_of(name)
    return name


def known_encoding(name: str) -> str:
    """The name of an encoding of text.

    Raises:
        DataError: there is none of this name.
    """
    try:
        return spec.known_encoding(name)
    except ValueError:
        raise DataError(
            f"no encoding of text is called {name!r}; try utf-8, windows-1252 or utf-16"
        ) from None


def answer_kind(typed: str) -> str:
    """The name of a kind of answer.

    Raises:
        DataError: there is none of this name.
    """
    if typed not in KINDS:
        *names, last = KINDS
        raise DataError(f"{typed!r} is none of {', '.join(names)} and {last}")
    return typed


def filled(typed: str) -> str:
    """Any text.

    Raises:
        DataError: there is none.
    """
    if not typed.strip():
        raise DataError("write a sentence")
    return typed


def shown_by_templates(column: str) -> None:
    """Check that a template can show a column.

    Raises:
        DataError: its name is not plain.
    """
    try:
        plain = template_fields("{" + column + "}") == (column,) and "\n" not in column
    except ValueError:
        plain = False
    if not plain:
        raise DataError(
            f"column {column!r} cannot stand in a template, where names are plain: rename it in "
            "the file, without . [ ] { } ! and : and no number alone, or name another with --text"
        )


def number_between(low: float, high: float) -> Callable[[str], float]:
    """What reads a number of that range, and raises a DataError at anything else."""

    def parse(typed: str) -> float:
        try:
            value = float(typed)
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise DataError(f"{typed!r} is no number from {low:g} to {high:g}")
        return value

    return parse
