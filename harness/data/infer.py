"""Guess which column holds the answers, and which ones give them away, with the reason."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from harness.answers.calls import is_of_tools
from harness.answers.extract_marks import recognise_extract
from harness.answers.words import words
from harness.data.columns import MOST, Column
from harness.data.instructions import INSTRUCTION
from harness.data.name_words import (
    ANSWERS,
    GROUPS,
    INSTRUCTIONS,
    OPTIONS,
    REPLIES,
    SETTLED,
    TASKS,
    TEXTS,
    WRITTEN,
)
from harness.errors import DataError
from harness.records.guess import Guess
from harness.wording import agreeing, listed

_SQL = re.compile(r"(?is)\s*(select|with|insert|update|delete)\b.*\b(from|into|set)\b")
# What a row is to look like.
ROW = '{"text": "...", "answer": "..."}'
# Words that chat templates may put after an answer.
_END_MARKS = 3


def guess_answer(columns: Mapping[str, Column], texts: Collection[str] = ()) -> Guess[str]:
    """The column that holds the right answers.

    Args:
        texts: columns that are known to be shown to the model.

    Raises:
        DataError: no column is left to be one.
    """
    open_to = [
        c
        for name, c in columns.items()
        if name not in texts
        and c.values
        and name
        and c.part in (None, "response")
        and not is_rejected(c)
    ]
    if not open_to or len(columns) - (not texts) < 1:
        raise DataError(
            "a text and an answer need two columns; name them with --text and --answer"
            + unusable(columns)
        )
    longest = max(open_to, key=lambda column: column.mean_length)
    replied = bool(instructions_of(columns, texts)) or any(map(is_rejected, columns.values()))
    ranked = {c.name: _answer_rank(c, longest, is_replied=replied) for c in open_to}

    def order(column: Column) -> tuple[float, float]:
        return ranked[column.name][0], 1 - column.distinct / len(column.values)

    best = max(open_to, key=order)
    if best is longest and best.is_prose and ranked[best.name][0] <= 0:
        # Of a date or a number and the only prose, the prose is the text.
        others = [c for c in open_to if c is not best and _may_be_answer(c)]
        best = max(others, key=order, default=best)
    if (path := _rows_in(best)) and not any(c.is_prose for c in columns.values()):
        raise DataError(
            f"rows stand within rows: each row has a list `{path}`, and no column beside it holds "
            f"texts. Write a row for each element of it, such as {ROW}, with what is needed of "
            "the objects around it (docs/how-to/nested-data.md)"
        )
    rank, why = ranked[best.name]
    if rank <= 0:
        why = "though no column stands out as the answer: say it with --answer if it is another"
    elif alike := [f"`{c.name}`" for c in open_to if c is not best and ranked[c.name][0] == rank]:
        what = agreeing(len(alike), "it is", "one of them is")
        why += f"; so might {listed(alike)}: if {what} the answer, say so with --answer"
    return Guess(best.name, why)


def unusable(columns: Mapping[str, Column]) -> str:
    """What columns there are: those without any value, with lists or objects, and the others."""
    names: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, column in columns.items():
        if column.part == "messages":
            continue
        what, why = "with texts", ""
        if not column.values:
            what, why = "without any value", f"since {column.lacking[0]}" if column.lacking else ""
        elif not column.texts:
            what = "with lists or objects"
            why = "which are neither texts nor messages with a role and a content"
        names[what, why].append(f"`{name:.40}`")
    parts = [
        f"{what}: {', '.join(quoted)}" + (f", {why}" if why else "")
        for (what, why), quoted in names.items()
    ]
    nested = any(what.startswith("with lists") for what, _ in names)
    remedy = f"; write rows such as {ROW} (docs/how-to/nested-data.md)" if nested else ""
    return f" ({'; '.join(parts)}){remedy}" if parts else ""


def _rows_in(column: Column) -> str:
    """Where a column's lists of objects hold lists of objects, as a path; else empty."""
    for element in itertools.chain.from_iterable(column.lists):
        for name, inner in element.items() if isinstance(element, dict) else ():
            if isinstance(inner, list) and inner and all(isinstance(one, dict) for one in inner):
                return f"{column.name}[].{name}[]"
    return ""


def is_rejected(column: Column) -> bool:
    """Whether a column holds the worse answers of preference pairs."""
    return column.name.split("_")[0].lower() == "rejected"


def instructions_of(columns: Mapping[str, Column], taken: Collection[str] = ()) -> list[Column]:
    """The columns that say what is to be done, in each row the same or not.

    Args:
        taken: columns that are something else.
    """
    conversation = any(column.part for column in columns.values())
    return [
        column
        for name, column in columns.items()
        if name not in taken
        and column.mean_length
        and not name.startswith(f"{INSTRUCTION}_")
        and (column.part == "system" if conversation else _is_instruction(column))
    ]


def varies(column: Column) -> bool:
    """Whether rows differ in a column; what is the same in all can be said once."""
    return bool(column.values) and (column.distinct > 1 or column.missing > 0)


def _is_instruction(column: Column) -> bool:
    parts = column.name_parts
    repeats = column.distinct <= len(column.values) / 2
    return bool(parts & INSTRUCTIONS) or bool(parts & TASKS and column.is_prose and repeats)


def _may_be_answer(column: Column) -> bool:
    """Whether a column that nothing speaks for may hold answers, as one that counts rows cannot."""
    names_rows = column.is_identifier and (
        bool(column.name_parts & {"id", "index", "key", "no", "nr", "number", "uuid"})
        or column.is_running
    )
    return not (
        names_rows
        or column.distinct == 1
        or column.part
        or _is_instruction(column)
        or is_of_tools(column)
        or is_of_options(column)
    )


def is_of_options(column: Column) -> bool:
    """Whether a column lists what may be answered in each row."""
    nested = column.objects or column.lists
    return bool(nested and column.name_parts & OPTIONS)


def _answer_rank(column: Column, longest: Column, *, is_replied: bool) -> tuple[float, str]:
    """How much a column looks like the answers, and why."""
    if column.part == "response":
        return 8.0, "the last answer of each conversation"
    if _is_instruction(column):
        return -9.0, ""
    rank, reasons = 0.0, list[str]()
    if column.distinct == 1:
        rank = 0.0 if column.objects or column.lists else -4.0
    elif is_of_tools(column) or is_of_options(column):
        rank = -4.0
    elif column.objects:
        rank, reasons = 5.0, ["it holds JSON objects"]
    elif column.lists:
        rank, reasons = 1.5, ["it holds lists"]
    elif column.is_date or column.is_identifier:
        rank = -3.0
    elif column.is_closed:
        rank, reasons = 2.0, [f"it has {column.distinct} values that repeat"]
    elif column.is_measure or column.is_number:
        rank, reasons = 0.5, ["it holds numbers"]
    elif column is longest:
        rank = -1.0
    by_name = _name_rank(column)
    if by_name > 0:
        reasons.append("it holds SQL" if _is_sql(column) else "its name says so")
    if is_replied and column.name.lower() in REPLIES:
        by_name += 4
    return rank + by_name, listed(reasons)


def _is_sql(column: Column) -> bool:
    texts = column.texts
    return bool(texts) and sum(bool(_SQL.match(text)) for text in texts) >= MOST * len(texts)


def _name_rank(column: Column) -> float:
    """How much a column is named like the answers; below 0 where it is named like another part."""
    if _is_sql(column):
        return 2.5
    if column.name_parts & ANSWERS:
        if column.name_parts & SETTLED:
            return 3.5
        return 3 if column.name.lower() in ANSWERS else 2
    if column.is_prose and column.name_parts & WRITTEN:
        return 1.5
    if column.is_prose and column.name_parts & TEXTS:
        return -2.5
    return -1.5 if column.name_parts & (GROUPS | {"id", "date", "time"}) else 0


def gives_away(columns: Mapping[str, Column], answer: Column) -> dict[str, str]:
    """Column -> how it tells the answer, for those that do: to be kept from the model."""
    if place := recognise_extract(answer):
        # The words around an answer are not what other columns tell.
        answer = answer.mapped(place.value.of)
    if not answer.is_mostly_filled or not answer.texts or answer.distinct < 2:
        return {}
    ways: dict[str, str] = {}
    for name, column in columns.items():
        if name == answer.name:
            continue
        pairs = [
            (label, text)
            for label, text in zip(answer.texts_by_row, column.texts_by_row, strict=True)
            if label is not None and text is not None
        ]
        if len(pairs) < MOST * answer.rows:
            continue
        held = _rows_that_name(pairs, answer.is_closed)
        if all(label == text for label, text in pairs):
            ways[name] = "is a copy of it"
        elif held >= 0.9 * len(pairs):
            others = ", and no other answer" if answer.is_closed else ""
            ways[name] = f"holds it word for word in {held} of {len(pairs)} rows{others}"
        elif column.is_closed:
            labels = defaultdict(set)
            for label, text in pairs:
                labels[text].add(label)
            if len(labels) >= answer.distinct and all(len(label) == 1 for label in labels.values()):
                ways[name] = "has values that each go with one answer only"
    return ways


def _rows_that_name(pairs: Sequence[tuple[str, str]], is_closed: bool) -> int:
    """Number of rows whose text holds its answer; of a closed list, and none of the others.

    A text that lists what may be answered, or weighs two answers, tells nothing. Of free answers
    only those count that a text begins or ends with: others may be found in it, as is asked.
    """
    if not is_closed:
        return sum(_ends_with(words(text), words(answer)) for answer, text in pairs)
    spoken = {answer: " ".join(words(answer)) for answer, _ in pairs}
    # The longest first: `not happy` does not name `happy`.
    listed = sorted({phrase for phrase in spoken.values() if phrase}, key=len, reverse=True)
    if not listed:
        return 0
    names = re.compile(f"(?<= )(?:{'|'.join(map(re.escape, listed))})(?= )")
    return sum(
        _says_much(answer) and set(names.findall(f" {' '.join(words(text))} ")) == {spoken[answer]}
        for answer, text in pairs
    )


def _ends_with(text: list[str], answer: list[str]) -> bool:
    """Whether a text begins or ends with an answer, up to a mark of its end."""
    last = [text[-len(answer) - more : len(text) - more] for more in range(_END_MARKS + 1)]
    return _says_much(" ".join(answer)) and answer in (text[: len(answer)], *last)


def _says_much(answer: str) -> bool:
    """Whether an answer stands in few texts by chance; one character may be a word of Chinese."""
    return len(answer) > 2 or not answer.isascii()
