"""Which labels of a closed list a reply names, in whatever notation it lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import regex

from harness.answers.cells import plain_text
from harness.answers.characters import folded, trimmed
from harness.answers.json_cells import read_json_text
from harness.answers.label_reader import LabelReader

_FENCE = regex.compile(r"\A\s*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:\n[^\S\n]*\1.*|\Z)", regex.S)
_LIST = regex.compile(r"\[[^\[\]]*\]")
# What may stand between two labels of a line, the surest first.
_MARKS = ("; ", ";", "|", "\t", ", ", ",", " / ", "/", " and ", " & ", "&", " + ", "+")
_JOINING = regex.compile(r"\A(?:and|or|&)\s+", regex.I)
_NUMBERED = regex.compile(r"\A(?:[\p{Pd}*•]|\(?\d{1,2}[.)])\s+(?=\S)")
_LABELS = r"(?:labels?|tags?|categor(?:y|ies)|class(?:es)?|topics?|options?)"
_NOTHING = regex.compile(
    rf"""
    (?:
      (?:none|neither|nothing|nil|null|not\ any)(?:\ at\ all)?
        (?:\ of\ (?:them|these|those|the\ above|(?:the|these|those)\ (?:\w+\ )?{_LABELS}))?
      | (?:there\ (?:is|are)\ )?no\ (?:(?:applicable|matching|suitable|fitting|such)\ )?{_LABELS}
    )
    (?:
      (?:\ that)?\ (?:appl(?:y|ies)|fits?|match(?:es)?)
      | (?:\ (?:is|are|was|were))?\ (?:applicable|found|needed)
    )?
    (?:\ (?:here|at\ all|to\ (?:it|(?:this|the)\ \w+)))?
    | (?:an\ |the\ )?empty(?:\ (?:list|set))? | not\ applicable | n(?:\ ?/\ ?)?a | n\.\ ?a
    """,
    regex.VERBOSE,
)
# Quotes, brackets, marks and a full stop say nothing of what stands between them.
_AROUND = regex.compile(r"\A[\s\p{P}`´<>]+|[\s\p{P}`´<>]+\Z")
# As Python writes it.
_EMPTY_SET = "set()"


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What a reply lists."""

    labels: frozenset[str]
    """Listed labels that it names."""
    unlisted: int
    """Number of different things that it names and that are no label."""


class LabelSetReader:
    """Reads replies as sets of labels: JSON and Python lists, lines, and lists in a line.

    Each element is read as a single label is, so that two labels are never one. A label that
    holds a comma, or another mark of a list, is found whole.

    Args:
        labels: all different.
        separator: what divides labels in the data, which then divides them in replies too.
    """

    def __init__(self, labels: Iterable[str], separator: str | None = None) -> None:
        self._one = LabelReader(labels)
        self._marks = tuple(dict.fromkeys((*([separator] if separator else ()), *_MARKS)))

    def read(self, reply: str) -> LabelSet | None:
        """The labels of a reply; None for an empty one.

        Of several lines those count that list labels and nothing else, from the first that is not
        blank; where the first holds anything else it counts alone.
        """
        text = trimmed(reply)
        if not text:
            return None
        if (elements := _listed(text)) is not None:
            if len(elements) == 1 and self._is_nothing(elements[0]):
                return LabelSet(frozenset(), 0)
            return self._set(self._element(element) for element in elements)
        if fenced := _FENCE.match(text):
            text = fenced[2]
        lines = [line for line in map(trimmed, text.splitlines()) if line]
        if not lines:
            return None
        first, *more = lines
        found = self._line(first)
        if None in found and first.endswith((":", ":**")) and more:
            # It says that labels follow, and is none itself.
            first, *more = more
            found = self._line(first)
        for line in more if None not in found else ():
            others = self._line(line)
            if None in others or not others:
                break
            found += others
        # A list that breaks off may have named more.
        return self._set([*found, None] if text[0] == "[" and "]" not in text else found)

    def _set(self, found: Iterable[str | None]) -> LabelSet:
        names = list(found)
        return LabelSet(frozenset(name for name in names if name), names.count(None))

    def _element(self, element: object) -> str | None:
        if isinstance(element, str | bool | int | float):
            return self._one.read(plain_text(element))
        return None

    def _is_nothing(self, element: object) -> bool:
        """Whether what stands alone in a list says that no label applies."""
        if element is None:
            return True
        return (
            isinstance(element, str)
            and self._element(element) is None
            and (not element.strip() or _says_nothing(element))
        )

    def _line(self, line: str) -> list[str | None]:
        """The labels of a line; None in place of each part that is no label."""
        if (label := self._one.read(line)) is not None:
            return [label]
        if (numbered := _NUMBERED.match(line)) is not None:
            return self._line(line[numbered.end() :])
        bare = line.strip("[](){}").strip()
        if not bare or _says_nothing(line):
            return []
        return self._parts(bare, self._marks)

    def _parts(self, text: str, marks: Sequence[str]) -> list[str | None]:
        text = _JOINING.sub("", text.strip())
        if not text:
            return []
        if (label := self._one.read(text)) is not None:
            return [label]
        for place, mark in enumerate(marks):
            if mark in text:
                return list(self._joined(text.split(mark), mark, marks[place + 1 :]))
        return [None]

    def _joined(
        self, pieces: Sequence[str], mark: str, finer: Sequence[str]
    ) -> Iterator[str | None]:
        """The labels of pieces, of which several together may be one."""
        start = 0
        while start < len(pieces):
            for stop in range(min(len(pieces), start + 4), start + 1, -1):
                label = self._one.read(mark.join(pieces[start:stop]).strip())
                if label is not None:
                    yield label
                    start = stop
                    break
            else:
                yield from self._parts(pieces[start], finer)
                start += 1


def _says_nothing(text: str) -> bool:
    """Whether a text says that no label applies, whatever marks stand around it."""
    said = folded(text)
    if said.strip("` .") == _EMPTY_SET:
        return True
    return _NOTHING.fullmatch(_AROUND.sub("", said)) is not None


def _listed(text: str) -> list[object] | None:
    """The elements of the list that a text is, or that stands in it; None where there is none."""
    for written in (text, *(found[0] for found in _LIST.finditer(text))):
        try:
            value = read_json_text(written).value
        except ValueError:
            continue
        if isinstance(value, dict) and value and all(one in (0, 1) for one in value.values()):
            return [label for label, applies in value.items() if applies]
        if isinstance(value, dict) and len(value) == 1:
            (value,) = value.values()
            if value is None or (isinstance(value, str) and _says_nothing(value)):
                return [value]
        if isinstance(value, list):
            return list(value)
    return None
