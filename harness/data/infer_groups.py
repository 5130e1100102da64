"""Guess which column names a row, and which one says what rows belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from harness.data.columns import Column
from harness.data.name_words import GROUPS
from harness.data.overlap import Texts, overlaps
from harness.data.rows import lines_named
from harness.records import Example
from harness.records.guess import Guess
from harness.wording import per_cent

# A group key with fewer values cannot fill three splits in a way that says anything.
FEWEST_GROUPS = 6
# Above this share of distinct values, nearly every row is alone.
_MOST_DISTINCT = 0.9
# Pairs of texts that are nearly alike, from which on they say what belongs together.
_PAIRS = 8
_PAIRED_ROWS = 3000
# Share of repeated values up to which a column named like an id was meant to be one.
_FEW_REPEATED = 0.1


def guess_id(columns: Mapping[str, Column], taken: Collection[str]) -> Guess[str | None]:
    """A column whose values are a name of their own for each row."""
    why = "no column names each row; line numbers do"
    for name, column in columns.items():
        if name in taken or not name or not column.name_parts & {"id", "key", "uuid", "guid"}:
            continue
        if column.is_identifier and not column.missing:
            return Guess(name, "each row has a value of its own")
        repeated = len(column.texts) - len(set(column.texts))
        if column.is_identifier:
            why = f"`{name}` is empty in {_lacking(column)}; line numbers name the rows"
        elif 0 < repeated <= _FEW_REPEATED * column.rows:
            twice = next(text for text, n in Counter(column.texts).items() if n > 1)
            why = f"`{name}` holds {twice!r:.40} and others twice; line numbers name the rows"
            why = why if repeated > 1 else why.replace(" and others", "")
    codes = [c for name, c in columns.items() if name and name not in taken and _holds_codes(c)]
    return Guess(codes[0].name, "each row has a code of its own") if codes else Guess(None, why)


def _holds_codes(column: Column) -> bool:
    """Whether each row has a code of its own, such as T001 or scan-17.pdf."""
    return (
        column.is_identifier
        and not (column.missing or column.is_number or column.is_date)
        and all(any(map(str.isdigit, text)) for text in column.texts)
    )


def guess_group(
    columns: Mapping[str, Column], texts: Sequence[str], taken: Collection[str]
) -> Guess[str | None]:
    """The column whose equal values belong together: by its name, or since alike texts share it.

    Args:
        texts: names of the columns shown to the model.
        taken: names of these and of all columns with another part.
    """
    known = [
        c for name, c in columns.items() if name not in taken and name and c.values and not c.part
    ]
    repeated = [
        c
        for c in known
        if len(c.texts) == len(c.values)
        and 1 < c.distinct < _MOST_DISTINCT * len(c.values)
        and not c.is_date
    ]
    gappy = [c for c in repeated if not c.is_mostly_filled and c.name_parts & GROUPS]
    repeated = [c for c in repeated if c.is_mostly_filled]
    large = [c for c in repeated if c.distinct >= FEWEST_GROUPS and _largest(c) <= 0.5]
    for column in large:
        if column.name_parts & GROUPS:
            why = f"its name says so, and its {column.distinct} values repeat"
            if column.missing:
                why += f"; it is empty in {_lacking(column)}, which are left out"
            return Guess(column.name, why)
    alike = _alike_rows(columns, texts) if large else []
    for column in large if len(alike) >= _PAIRS else []:
        keys = column.texts_by_row
        shared = sum(keys[a] == keys[b] is not None for a, b in alike) / len(alike)
        by_chance = sum((n / column.rows) ** 2 for n in Counter(column.texts).values())
        if shared >= 0.8 and by_chance <= 0.3:
            return Guess(
                column.name, f"{per_cent(shared)} of the texts that are nearly alike share it"
            )
    few = [c.name for c in repeated if c.name_parts & GROUPS and c not in large]
    if few:
        column = columns[few[0]]
        return Guess(
            None,
            f"`{column.name}` may be what rows share, but its {column.distinct} values are too few "
            "or too uneven to divide by",
        )
    named = next((c for c in known if c.name_parts & GROUPS and c not in repeated), None)
    if named is None:
        why = "no column looks like a customer, document or conversation that rows share"
        return Guess(None, why)
    if named in gappy:
        why = (
            f"it is empty in {_lacking(named)} of {named.rows}: fill it in there, "
            "or name it with --group, and leave those out with --bad-rows drop"
        )
    elif named.distinct == 1:
        why = "it has the same value in every row"
    elif len(named.texts) < len(named.values):
        why = "it holds lists or objects"
    elif named.is_date:
        why = "it holds dates"
    else:
        why = "nearly every row has a value of its own"
    return Guess(None, f"`{named.name}` may be what rows share, but {why}")


def _lacking(column: Column) -> str:
    return f"{column.missing} row(s) ({lines_named(column.missing_places)})"


def _largest(column: Column) -> float:
    return max(Counter(column.texts).values()) / column.rows


def _alike_rows(columns: Mapping[str, Column], texts: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of rows with nearly equal texts; rows that lack one are left out."""
    shown = zip(*(columns[name].texts_by_row for name in texts), strict=True)
    whole = [(n, row) for n, row in enumerate(shown) if None not in row][:_PAIRED_ROWS]
    examples = [
        Example(
            str(n), {name: str(text) for name, text in zip(texts, row, strict=True)}, "", str(n)
        )
        for n, row in whole
    ]
    mine = Texts(examples)
    numbers = [n for n, _ in whole]
    pairs = (o for o in overlaps(mine, mine) if o.kind != "ngram" and o.a < o.b)
    return [(numbers[o.a], numbers[o.b]) for o in pairs]
