"""Guess which column holds the answers and which ones the model is shown, with the reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from harness.data.chat import PROMPT, RESPONSE, SYSTEM
from harness.data.columns import Column
from harness.data.guess import Guess
from harness.data.name_words import ANSWERS, GROUPS, TEXTS, TITLES
from harness.errors import DataError


def guess_answer(columns: Mapping[str, Column], texts: Collection[str] = ()) -> Guess[str]:
    """The column that holds the right answers.

    Args:
        texts: columns that are known to be shown to the model.

    Raises:
        DataError: no column is left to be one.
    """
    open_to = [c for name, c in columns.items() if name not in texts and c.values and name]
    if not open_to or len(columns) - (not texts) < 1:
        raise DataError(
            "a text and an answer need two columns; name them with --text and --answer"
            + _empty(columns)
        )
    longest = max(open_to, key=lambda column: column.mean_length)
    ranked = {c.name: _answer_rank(c, longest) for c in open_to}
    best = max(open_to, key=lambda c: (ranked[c.name][0], 1 - c.distinct / len(c.values)))
    rank, why = ranked[best.name]
    if rank <= 0:
        why = "though no column stands out as the answer: say it with --answer if it is another"
    return Guess(best.name, why)


def _empty(columns: Mapping[str, Column]) -> str:
    names = [f"`{name}`" for name, column in columns.items() if not column.values]
    return f" (without any value: {', '.join(names)})" if names else ""


def _answer_rank(column: Column, longest: Column) -> tuple[float, str]:
    """How much a column looks like the answers, and why."""
    if column.is_conversation or column.name.endswith((PROMPT, SYSTEM)):
        return -9.0, ""
    if column.name.endswith(RESPONSE):
        return 8.0, "the last answer of each conversation"
    rank, reasons = 0.0, list[str]()
    if column.objects:
        rank, reasons = 5.0, ["it holds JSON objects"]
    elif column.lists:
        rank, reasons = 1.5, ["it holds lists"]
    elif column.is_date or column.is_identifier:
        rank = -3.0
    elif column.distinct == 1:
        rank = -4.0
    elif column.is_closed:
        rank, reasons = 2.0, [f"it has {column.distinct} values that repeat"]
    elif column is longest:
        rank = -1.0
    if column.name.lower() in ANSWERS:
        rank, reasons = rank + 3, [*reasons, "its name says so"]
    elif column.name_parts & ANSWERS:
        rank, reasons = rank + 2, [*reasons, "its name says so"]
    elif column.name_parts & GROUPS or column.name_parts & {"id", "date", "time"}:
        rank -= 1.5
    return rank, " and ".join(reasons)


def guess_texts(columns: Mapping[str, Column], answers: Collection[str]) -> Guess[tuple[str, ...]]:
    """The columns that the model is shown, in their order.

    Raises:
        DataError: no column of texts is left.
    """
    open_to = [c for name, c in columns.items() if name not in answers and c.mean_length and name]
    if not open_to:
        raise DataError(
            "no column is left for the text; name it with --text, or other answers with --answer"
            + _empty(columns)
        )
    asked = [c for c in open_to if c.name.endswith(PROMPT)]
    if asked:
        system = columns.get(asked[0].name.removesuffix(PROMPT) + SYSTEM)
        if system is not None and system.distinct > 1 and not system.missing:
            return Guess((system.name, asked[0].name), "the system message and what was asked")
        return Guess((asked[0].name,), "what stands before the last answer of each conversation")
    named = [c for c in open_to if c.name_parts & TEXTS and c.is_prose]
    main = max(named or open_to, key=lambda column: column.mean_length)
    why = "the column with the longest texts" + (" that is named like one" if named else "")
    titles = [
        c.name
        for c in open_to
        if c is not main
        and c.name_parts & TITLES
        and c.is_prose
        and not c.missing
        and c.distinct > len(c.values) / 2
    ]
    if not titles:
        return Guess((main.name,), why)
    chosen = tuple(name for name in columns if name in (main.name, *titles))
    shown = " and ".join(f"`{name}`" for name in titles)
    return Guess(chosen, f"`{main.name}` is {why}; {shown} is named like a heading or question")


def gives_away(columns: Mapping[str, Column], answer: Column) -> dict[str, str]:
    """Column -> how it tells the answer, for those that do: to be kept from the model."""
    if not answer.texts or len(answer.texts) != answer.rows or answer.distinct < 2:
        return {}
    told: dict[str, str] = {}
    for name, column in columns.items():
        if name == answer.name or len(column.texts) != column.rows:
            continue
        held = sum(
            len(label) > 2 and label.casefold() in text.casefold()
            for label, text in zip(answer.texts, column.texts, strict=True)
        )
        if column.texts == answer.texts:
            told[name] = "is a copy of it"
        elif held >= 0.9 * answer.rows:
            told[name] = f"holds it word for word in {held} of {answer.rows} rows"
        elif column.is_closed:
            labels = defaultdict(set)
            for value, label in zip(column.texts, answer.texts, strict=True):
                labels[value].add(label)
            if len(labels) >= answer.distinct and all(len(one) == 1 for one in labels.values()):
                told[name] = "has values that each go with one answer only"
    return told
