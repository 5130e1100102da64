"""Which label of a closed list a reply means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

import regex

from harness.answers.characters import folded, plain, trimmed

# Between two letters, digits or symbols one of these is as good as another.
_JOINTS = regex.compile(r"(?<=[\w\p{S}--_])[ _\p{Pd}]+(?=[\w\p{S}--_])", regex.V1)
# Signs that mean something where they touch what follows (.5, -1) or precedes (A-, C#, 5%).
_LEADING = regex.compile(r"\A(?:[\s\p{P}`\u00b4--\p{Pd}.,]|[\p{Pd}.,]+(?![\p{Pd}.,\d]))+", regex.V1)
_TRAILING = regex.compile(
    r"(?:[\s\p{P}`\u00b4--\-\u2010\u2011#%\u2030]|(?<=\s)[\-\u2010\u2011#%\u2030])+\Z", regex.V1
)
# Of a list, a heading or a quotation.
_BULLET = regex.compile(r"\A([\p{Pd}*•‣◦·>]|#{1,6}(?!#))\s+(?=\S)")
_QUOTED = regex.compile(
    r"\A((?P<first>[\p{Ps}\p{Pi}\"'`*_”’»›❛❝´<])\2*)(?P<inner>.+?)"
    r"((?P<last>[\p{Pe}\p{Pf}\"'`*_“‘«‹❜❞´>])\5*)\Z",
    regex.S,
)
# These stand on both sides of what they mark.
_TWINS = set("\"'*_")
# Signs that are written in several ways, and replies choose among them.
_APOSTROPHES, _QUOTES, _DASHES = (
    regex.compile(signs) for signs in ("[‘’‛ʼ′`´]", "[“”„‟″]", r"\p{Pd}")
)
_STOP = regex.compile(r"[\p{Terminal_Punctuation}…]\s*\Z")
_WORDLIKE = regex.compile(r"[\w\p{So}--_]", regex.V1)
_FENCED = regex.compile(r"\A\s*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:\n[^\S\n]*\1|\Z)", regex.S)
_NUMBER = regex.compile(r"-?(?:0|[1-9]\d*)(?:\.\d*)?|-?\.\d+")
_WHOLE = regex.compile(r"([+-]?\d{1,100})(?:\.0*)?")


class LabelReader:
    """Reads replies as labels of a closed list; two labels are never read as one.

    A reply is compared in ever more lenient forms: as it is; without zero-width characters and
    differences of width; without case; with a space for dashes and underscores, and one kind of
    apostrophes, quotes and dashes; without quotes, list marks and punctuation around it; as a
    whole number, where all labels are numbers. A form counts only where it belongs to one label
    of the list: what tells two labels apart counts.

    Args:
        labels: all different.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self.labels = dict.fromkeys(labels).keys()
        forms: list[Callable[[str], str]] = [trimmed, plain, folded, _joined]
        self._exact = [_index(self.labels, form) for form in forms]
        self._forms = forms
        numbers = all(_NUMBER.fullmatch(label) for label in self.labels)
        around = [_bare, _bare_number] if numbers else [_bare]
        self._around = [(form, _index(self.labels, form)) for form in around]
        self._unspaced = _index(self.labels, _unspaced)
        # A stop that ends a label may belong to it.
        self._endings = {label[-1] for label in self.labels if label}
        # After a sign only a full stop is punctuation, and only where no label has one.
        self._full_stops = set(".。．।۔").difference(*self.labels)
        # A line far longer than any label is none, and need not be undressed.
        self._longest = 100 + 4 * max(map(len, self.labels), default=0)

    def read(self, reply: str) -> str | None:
        """The label that the reply means; None where it means none, or several.

        A reply of several lines is read by the first that is not blank, a code fence taken off,
        unless it is a label as a whole.
        """
        if reply in self.labels:
            return reply
        if not trimmed(reply):
            return None
        line = _first_line(reply)
        return self._same(reply) or (self._decorated(line) if len(line) < self._longest else None)

    def alike(self) -> list[tuple[str, ...]]:
        """Groups of labels that leniency would make one, so that less of it applies to them.

        Among them are numbers written in two ways (1 and 1.0), whatever the others are.
        """
        return [group for group in _index(self.labels, _bare_number).values() if len(group) > 1]

    def _decorated(self, line: str) -> str | None:
        for text in self._undressed(line):
            if (label := self._same(text)) is not None:
                before, _, after = line.partition(text)
                is_clear = self._clear(label, line, before + text, text + after)
                return label if text == line or is_clear else None
        for form, index in self._around:
            group = index.get(bare, ()) if (bare := form(line)) else ()
            halves = _LEADING.sub("", line), _TRAILING.sub("", line)
            if len(group) == 1 and self._clear(group[0], line, *halves):
                return group[0]
        return None

    def _same(self, text: str) -> str | None:
        for form, index in zip(self._forms, self._exact, strict=True):
            group = index.get(written, ()) if (written := form(text)) else ()
            if len(group) == 1:
                return group[0]
        return None

    def _clear(self, label: str, line: str, *halves: str) -> bool:
        """Whether what was read as signs around the label is no label, alone or with it.

        Args:
            halves: the line with the signs on one side only.
        """
        signs = {part for part in line.split() if not _WORDLIKE.search(part)}
        meant = {label, *(signs & self.labels)}
        for text in (line, *halves):
            meant.update(self._unspaced.get(_unspaced(text), ()))
        return meant == {label}

    def _undressed(self, line: str) -> Iterator[str]:
        """The line, then without a list mark, pairs of quotes or stops, one after the other."""
        before = None
        while line and line != before:
            yield line
            before = line
            line = trimmed(self._without_mark(line))

    def _without_mark(self, line: str) -> str:
        if (mark := _BULLET.match(line)) and mark[1] not in self._exact[0]:
            rest = line[mark.end() :]
            return rest if _WORDLIKE.search(rest) or mark[1] not in rest else line
        if quoted := _QUOTED.fullmatch(line):
            opening, closing = quoted["first"], quoted["last"]
            alike = opening == closing or not {opening, closing} & _TWINS
            if not alike or {opening, closing} & set(quoted["inner"]):
                return line
            # As many as stand on both sides; another may belong to the label.
            pairs = min(len(quoted[1]), len(quoted[4]))
            return line[pairs:-pairs]
        shorter = _STOP.sub("", line)
        if _WORDLIKE.search(shorter):
            return line if line[-1] in self._endings else shorter
        return shorter if line[-1] in self._full_stops else line


def one_notation(labels: Iterable[str]) -> dict[str, str]:
    """Labels to be written otherwise: 1.0 as 1, where the labels are numbers throughout.

    All are written without decimals if all are whole. Otherwise only those are that occur both
    with and without; and none where numbers differ in closing zeros (1.1 and 1.10), which are
    versions then.
    """
    distinct = sorted(set(labels))
    if not all(_NUMBER.fullmatch(label) for label in distinct):
        return {}
    whole = {label: str(int(n[1])) for label in distinct if (n := _WHOLE.fullmatch(label))}
    broken = [label for label in distinct if label not in whole]
    if len({Decimal(label) for label in broken}) < len(broken):
        return {}
    spelt = list(whole.values())
    return {
        label: number
        for label, number in whole.items()
        if label != number and (not broken or spelt.count(number) > 1)
    }


def as_listed(label: str, listed: Sequence[str]) -> str | None:
    """The listed label that a label of the data is: the same, or the same whole number.

    Returns:
        None where it is none of them.
    """
    if label in listed:
        return label
    if not all(_NUMBER.fullmatch(candidate) for candidate in (label, *listed)):
        return None
    same = [candidate for candidate in listed if _bare_number(candidate) == _bare_number(label)]
    return same[0] if len(same) == 1 else None


def _index(labels: Iterable[str], form: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Form -> the labels that have it. An empty form tells nothing apart."""
    labels_of: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for label in labels:
        labels_of[form(label)] += (label,)
    return dict(labels_of)


def _joined(text: str) -> str:
    return _one_kind(_JOINTS.sub(" ", folded(text)))


def _one_kind(text: str) -> str:
    """With one kind of apostrophes, quotes and dashes."""
    return str(_DASHES.sub("-", _QUOTES.sub('"', _APOSTROPHES.sub("'", text))))


def _bare(text: str) -> str:
    """Without punctuation around it; empty for what is only punctuation."""
    return str(_TRAILING.sub("", _LEADING.sub("", _joined(text))))


def _bare_number(text: str) -> str:
    number = _WHOLE.fullmatch(bare := _bare(text))
    return str(int(number[1])) if number else bare


def _unspaced(text: str) -> str:
    return "".join(_one_kind(folded(text)).split())


def _first_line(reply: str) -> str:
    text = trimmed(reply)
    fenced = _FENCED.match(text)
    if fenced and trimmed(fenced[2]):
        text = fenced[2]
    return next(line for line in map(trimmed, text.splitlines()) if line)
