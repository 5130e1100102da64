"""Sets of labels as rows hold them: a list, a text with separators, or a column for each label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from harness.answers.cells import AnswerError, is_missing, plain_text
from harness.answers.characters import folded, trimmed
from harness.answers.json_cells import may_be_json, read_json_text
from harness.answers.label_reader import as_listed
from harness.answers.row_reader import RowReader
from harness.records import JsonValue

_BRACKETED = re.compile(r"\[([^\[\]{}]*)\]|\{([^\[\]{}]*)\}")
_TRUE, _FALSE = {"1", "1.0", "true", "yes", "y", "x"}, {"0", "0.0", "false", "no", "n"}


class ListRows(RowReader):
    """Reads sets out of one column.

    Args:
        separator: what divides the labels of a text; None where cells are lists.
        listed: all valid labels in their order; None where the data say.
        empty: whether an empty cell means that no label applies.
    """

    def __init__(
        self, column: str, separator: str | None, listed: Sequence[str] | None, empty: bool
    ) -> None:
        super().__init__()
        self._column, self._separator = column, separator
        self._listed, self._empty = listed, empty

    def read(self, values: Mapping[str, JsonValue]) -> str:
        value = values.get(self._column)
        if is_missing(value) or (isinstance(value, str) and not trimmed(value)):
            if self._empty:
                return set_text(())
            raise AnswerError(
                f"{self._column}: the value is missing; fill it in, write [] where no label "
                "applies, or set task.answer.empty: true if that is what empty cells mean"
            )
        labels = set(map(self._label, self._elements(value)))
        return set_text(sorted(labels, key=self._listed.index if self._listed else None))

    def _elements(self, value: JsonValue) -> list[str]:
        separator = self._separator
        if isinstance(value, str) and may_be_json(value):
            try:
                value = read_json_text(value).value
            except ValueError as error:
                bracketed = divided(value, separator) if _BRACKETED.fullmatch(value.strip()) else []
                if not bracketed and separator is None:
                    raise AnswerError(f"{self._column}: {error}") from error
                if bracketed and trimmed(value) not in (self._listed or ()):
                    value = list[JsonValue](bracketed)
        if isinstance(value, list):
            if any(is_missing(part) or isinstance(part, dict | list) for part in value):
                raise AnswerError(
                    f"{self._column}: holds {value!r:.60}, whose elements are not all labels"
                )
            return list(map(plain_text, value))
        if isinstance(value, dict) or separator is None:
            raise AnswerError(
                f"{self._column}: holds {value!r:.60} where a list of labels is needed; say what "
                "divides labels with task.answer.separator"
            )
        parts = [part for part in plain_text(value).split(separator) if trimmed(part)]
        if self._listed is None and any(map(is_torn, parts)):
            raise AnswerError(
                f"{self._column}: {separator!r} divides {value!r:.60} within brackets or quotes; "
                "write a list, or name the labels in task.answer.labels"
            )
        return parts

    def _label(self, written: str) -> str:
        label = trimmed(written)
        if not label:
            raise AnswerError(f"{self._column}: a label is empty; fill it in, or leave it out")
        if self._listed is not None:
            known = as_listed(label, self._listed)
            if known is None:
                shown = ", ".join(self._listed[:20])
                raise AnswerError(
                    f"{self._column}: label {label!r} is not one of task.answer.labels ({shown}"
                    f"{', …' if self._listed[20:] else ''}); correct the row or add it"
                )
            label = known
        if written.strip() != label:
            self.spellings.setdefault(label, set()).add(written.strip())
        return label


def divided(text: str, separator: str | None) -> list[str]:
    """The labels of a text, one pair of brackets around it and of quotes around each taken off.

    Args:
        separator: what divides labels; None where only quotes tell where each ends.
    """
    bare = trimmed(text)
    if found := _BRACKETED.fullmatch(bare):
        bare = found[1] or found[2] or ""
        try:
            # Python writes sets in the brackets of objects.
            quoted = read_json_text(f"[{bare}]").value
        except ValueError:
            quoted = None
        if isinstance(quoted, list) and not any(map(is_missing, quoted)):
            return list(map(plain_text, quoted))
        if separator is None:
            return []
    parts = map(trimmed, bare.split(separator) if separator else [bare])
    return [_unquoted(part) if found else part for part in parts if part]


def _unquoted(part: str) -> str:
    return part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "\"'" else part


def is_torn(part: str) -> bool:
    """Whether brackets or a quote begin in a part that do not end there, or the reverse."""
    part = trimmed(part)
    return (
        any(part.count(opening) != part.count(closing) for opening, closing in ("[]", "{}"))
        # A list may be numbered a), b).
        or part.count("(") > part.count(")")
        or (part[:1] in ("'", '"') and (len(part) == 1 or part[-1] != part[0]))
    )


class FlagRows(RowReader):
    """Reads sets out of a column for each label."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        super().__init__()
        self._columns = columns

    def read(self, values: Mapping[str, JsonValue]) -> str:
        labels = []
        for label, column in self._columns.items():
            value = values.get(column)
            if is_missing(value) or value == "":
                raise AnswerError(f"{column}: the value is missing; fill in 1 or 0")
            applies = None if isinstance(value, dict | list) else flag_of(plain_text(value))
            if applies is None:
                raise AnswerError(f"{column}: {value!r:.40} is neither 1 nor 0, true nor false")
            if applies:
                labels.append(trimmed(label))
        return set_text(labels)


def flag_of(text: str) -> bool | None:
    """Whether a text says yes; None where it says neither."""
    said = folded(text).strip()
    return True if said in _TRUE else False if said in _FALSE else None


def set_text(labels: Iterable[str]) -> str:
    return json.dumps(list(labels), ensure_ascii=False)
