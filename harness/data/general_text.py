"""General text to repeat during fine-tuning: read, and cleared of what a study judges by."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.answers.cells import AnswerError, scalar_text
from harness.data.overlap import Texts, overlaps
from harness.data.read import read_rows
from harness.data.rows import Rows
from harness.errors import DataError, Problem
from harness.records import Example

FIELD = "text"


@dataclass(frozen=True, slots=True)
class GeneralTexts:
    """General texts as examples with the one input ``text``."""

    source: str
    """The source as the experiment names it."""
    examples: tuple[Example, ...]
    """The texts that are kept, as examples."""
    read: int
    """Number of texts read, those left out included."""
    left_out: dict[str, int]
    """Split, out-of-domain set or general task -> number of texts that also stand there (equal,
    nearly equal, or with 8 words in a row in common), each counted once."""

    def sentence(self) -> str:
        """What was left out and why; empty where nothing was."""
        if not self.left_out:
            return ""
        places = ", ".join(f"{count} in {name}" for name, count in self.left_out.items())
        return (
            f"general.replay: {sum(self.left_out.values())} of {self.read} texts of {self.source} "
            f"left out, because they also stand in what is judged by: {places}"
        )


def read_general_texts(
    source: str, column: str, limit: int, judged: Mapping[str, Sequence[Example]]
) -> GeneralTexts:
    """The first ``limit`` texts of a column, without those that also stand in ``judged``.

    Rows without text, as corpora have between paragraphs, are passed over.

    Args:
        source: file, ``packaged:NAME`` or ``hub:DATASET[:SPLIT]``.
        judged: split, out-of-domain set or general task -> its examples.

    Raises:
        DataError: the source cannot be read, lacks the column, or no text is left.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    table = read_rows(source)
    if table.problems:
        raise DataError(table.problems)
    read = _texts(table, column, limit)
    mine = Texts(read)
    place: dict[int, str] = {}
    for name, examples in judged.items():
        for pair in overlaps(mine, Texts(examples)):
            place.setdefault(pair.a, name)
    kept = tuple(text for number, text in enumerate(read) if number not in place)
    if not kept:
        why = "they all stand in what is judged by" if read else f"column {column!r} holds none"
        raise DataError(
            Problem(source, f"no text is left for general.replay: {why}; name another source")
        )
    names = list(place.values())
    return GeneralTexts(
        source, kept, len(read), {name: names.count(name) for name in judged if name in names}
    )


def _texts(table: Rows, column: str, limit: int) -> list[Example]:
    if column not in table.columns:
        close = difflib.get_close_matches(column, table.columns, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DataError(
            Problem(
                table.source,
                f"has no column {column!r} (general.replay.column){hint}; it has "
                f"{', '.join(table.columns)}",
            )
        )
    examples: list[Example] = []
    for row in table.rows:
        if len(examples) == limit:
            break
        try:
            text = scalar_text(row.values.get(column), column)
        except AnswerError:
            continue
        name = f"text {row.line}"
        examples.append(Example(name, {FIELD: text}, "", name, row.line))
    return examples
