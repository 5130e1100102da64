"""Guess which columns the model is shown, with the reason."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from harness.data.chat import PROMPT, RESPONSE, SYSTEM
from harness.data.columns import Column
from harness.data.infer import instructions_of, is_rejected, unusable, varies
from harness.data.instructions import INSTRUCTION
from harness.data.name_words import OPTIONS, TEXTS, TITLES
from harness.errors import DataError
from harness.records.guess import Guess
from harness.wording import agreeing, listed

_OPTION = re.compile(r"(?i)(?P<stem>.*?)[ _-]?(?P<mark>[a-h]|[0-8])")
# Columns of two letters may be anything; of three and more they are options.
_FEWEST_LETTERS = 3


def options_of(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Columns that each hold one of the answers to choose from: A to D, ``option1``, ``choice_b``.

    Args:
        columns: columns that do not hold the right answer, by name.
    """
    by_stem: defaultdict[str, list[str]] = defaultdict(list)
    for name, column in columns.items():
        found = _OPTION.fullmatch(name)
        if found and column.is_mostly_filled and column.mean_length:
            stem = found["stem"].lower()
            if stem in OPTIONS | {"answer"} or (not stem and found["mark"].isalpha()):
                by_stem[stem].append(name)
    return tuple(
        name
        for stem, names in by_stem.items()
        if len(names) >= (2 if stem else _FEWEST_LETTERS)
        for name in names
    )


def may_be_text(column: Column) -> bool:
    """Whether a column may be what a model is asked about, as numbers, dates and codes are not."""
    return column.is_prose or not (
        column.is_identifier
        or column.is_date
        or column.is_number
        or column.is_measure
        or column.is_closed
    )


def guess_texts(columns: Mapping[str, Column], answers: Collection[str]) -> Guess[tuple[str, ...]]:
    """The columns that the model is shown, in their order.

    Raises:
        DataError: no column of texts is left.
    """
    open_to = [
        c
        for name, c in columns.items()
        if name not in answers and c.mean_length and name and not is_rejected(c)
    ]
    if not open_to and any(map(is_rejected, columns.values())):
        raise DataError(
            "the rows are preference pairs, and no column holds what was asked: write it into a "
            "column of its own, and leave it out of the answers"
        )
    if not open_to:
        raise DataError(
            "no column is left for the text; name it with --text, or other answers with --answer"
            + unusable(columns)
        )
    return _asked(columns, answers, open_to) or _instructed(columns, answers, open_to)


def _asked(
    columns: Mapping[str, Column], answers: Collection[str], open_to: Sequence[Column]
) -> Guess[tuple[str, ...]] | None:
    """What is asked in conversations; None where there are none."""
    asked = [column for column in open_to if column.part == "prompt"]
    if not asked:
        return None
    bases = [name.removesuffix(RESPONSE) for name in answers]
    prompt = next((c for c in asked if c.name.removesuffix(PROMPT) in bases), asked[0])
    response = columns.get(prompt.name.removesuffix(PROMPT) + RESPONSE)
    if response is not None and response.name not in answers and not response.missing:
        return Guess((prompt.name, response.name), "the whole of each conversation")
    system = columns.get(prompt.name.removesuffix(PROMPT) + SYSTEM)
    if system is not None and varies(system):
        return Guess((system.name, prompt.name), "the system message and what was asked")
    return Guess((prompt.name,), "what stands before the last answer of each conversation")


def _instructed(
    columns: Mapping[str, Column], answers: Collection[str], open_to: Sequence[Column]
) -> Guess[tuple[str, ...]]:
    """The texts, with the instruction of each row where rows have different ones."""
    instructions = instructions_of(columns, answers)
    joined = [c for c in open_to if c.name.startswith(f"{INSTRUCTION}_")]
    left = [c for c in open_to if c not in instructions and c not in joined]
    varied = [c.name for c in instructions if varies(c)]
    if not varied:
        return _texts(columns, left or open_to)
    input_column = columns.get(joined[0].name.removeprefix(f"{INSTRUCTION}_")) if joined else None
    if input_column is not None and input_column.missing and INSTRUCTION in varied:
        names = [joined[0].name if name == INSTRUCTION else name for name in varied]
        why = "the instruction of each row, and below it the input where there is one"
        return Guess(tuple(names), why)
    if not any(column.is_prose for column in left):
        return Guess(tuple(varied), "it says in each row what to do")
    guess = _texts(columns, left)
    shown = listed(f"`{name}`" for name in varied)
    return Guess(
        tuple(name for name in columns if name in (*varied, *guess.value)),
        f"{shown} says in each row what to do; the other is {guess.why}",
    )


def _texts(columns: Mapping[str, Column], open_to: Sequence[Column]) -> Guess[tuple[str, ...]]:
    options = options_of({c.name: c for c in open_to})
    asked = [c for c in open_to if c.name not in options] or open_to
    named = [c for c in asked if c.name_parts & TEXTS and c.is_prose]
    candidates = named or [c for c in asked if may_be_text(c)] or asked
    main = max(candidates, key=lambda column: column.mean_length)
    why = "the column with the longest texts" + (" that is named like one" if named else "")
    stem = _numbered(main.name)
    beside = [
        c.name
        for c in asked
        if stem and c is not main and _numbered(c.name) == stem and c.is_prose and not c.missing
    ]
    titles = [
        c.name
        for c in asked
        if c is not main
        and c.name not in beside
        and c.name_parts & TITLES
        and c.is_prose
        and not c.missing
        and c.distinct > len(c.values) / 2
    ]
    reasons = []
    if beside:
        what = agreeing(len(beside), "has", "have")
        reasons.append(f"{listed(f'`{name}`' for name in beside)} {what} its name and another mark")
    if titles:
        shown = listed(f"`{name}`" for name in titles)
        reasons.append(f"{shown} is named like a heading, question or claim")
    if options and main.name not in options:
        reasons.append(f"{listed(f'`{name}`' for name in options)} are what may be answered")
    else:
        options = ()
    if not reasons:
        return Guess((main.name,), why)
    chosen = tuple(name for name in columns if name in (main.name, *beside, *titles, *options))
    return Guess(chosen, "; ".join([f"`{main.name}` is {why}", *reasons]))


def _numbered(name: str) -> str:
    """The name of one of several texts without its mark: sentence2, ``text_b``; else empty."""
    found = _OPTION.fullmatch(name)
    return found["stem"].lower() if found else ""


__all__ = ["guess_texts", "may_be_text", "options_of"]
