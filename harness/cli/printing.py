"""Text for the terminal. Names, data and what a model wrote may hold commands to it."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import textwrap
from decimal import Decimal
from typing import Any, TextIO

import click

# Control characters but tab and line end, separators that some programs take for a line end,
# marks that turn the direction of writing (so that a line reads as another), halves of surrogate
# pairs (which no terminal can be sent).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with what a terminal would obey, or hide, written as ``\\x1b`` is here."""
    return _UNSAFE.sub(_escaped, text)


def in_one_line(text: str) -> str:
    """The visible text, with tabs and line ends written out as well."""
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")


def json_text(value: object, indent: int | None = None) -> str:
    """The value as JSON, made visible by JSON's own escapes; what has none there is a string."""
    text = json.dumps(
        _as_json(value), ensure_ascii=False, indent=indent, default=str, allow_nan=False
    )
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _as_json(value: Any) -> Any:
    """A value with what JSON has none of as a string, and decimals as numbers.

    A decimal is a string where a number would be less exact. Infinite numbers and those that are
    none (NaN) are strings too: null is what is not known.
    """
    match value:
        case dict():
            return {str(name): _as_json(one) for name, one in value.items()}
        case list() | tuple():
            return [_as_json(one) for one in value]
        case Decimal():
            number = int(value) if value == value.to_integral_value() else float(value)
            return number if Decimal(repr(number)) == value else str(value)
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def say(text: str, *, err: bool = False) -> None:
    """Print a line, made visible, to standard output or error."""
    click.echo(visible(text), err=err)


def tell(text: str, *, err: bool = False) -> None:
    """Print sentences; a terminal gets lines that are broken between words only."""
    click.echo(fitted(text, sys.stderr if err else sys.stdout), err=err)


def fitted(text: str, stream: TextIO) -> str:
    """Sentences, made visible, in the lines that ``stream`` is given of them."""
    shown = visible(text)
    return _broken(shown, shutil.get_terminal_size().columns) if stream.isatty() else shown


def _broken(text: str, columns: int) -> str:
    """The text in lines of at most so many columns, but for words that are longer."""
    lines = []
    for line in text.split("\n"):
        start = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line.strip(),
            columns,
            initial_indent=start,
            subsequent_indent=f"{start}  ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
