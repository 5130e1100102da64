"""Checks of what a user types."""

from __future__ import annotations

from collections.abc import Callable

from harness.answers import KINDS
from harness.data.read import content_of
from harness.drafting.answers import NONE
from harness.errors import DataError
from harness.spec import data as spec
from harness.spec.task import template_fields


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
