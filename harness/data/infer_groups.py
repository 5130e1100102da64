"""Guess which column names a row, and which one says what rows belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from harness.data.columns import Column
from harness.data.guess import Guess
from harness.data.name_words import GROUPS
from harness.data.overlap import Texts, overlaps
from harness.records import Example

# A group key with fewer values cannot fill three splits in a way that says anything.
FEWEST_GROUPS = 6
# Above this share of distinct values, nearly every row is alone.
_MOST_DISTINCT = 0.9
# Pairs of texts that are nearly alike, from which on they say what belongs together.
_PAIRS = 8
_PAIRED_ROWS = 3000


def guess_id(columns: Mapping[str, Column], taken: Collection[str]) -> Guess[str | None]:
    """A column whose values are a name of their own for each row."""
    for name, column in columns.items():
        named = column.name_parts & {"id", "key", "uuid", "guid"}
        if name not in taken and name and named and column.is_identifier:
            return Guess(name, "each row has a value of its own")
    return Guess(None, "no column names each row; line numbers do")


def guess_group(
    columns: Mapping[str, Column], texts: Sequence[str], taken: Collection[str]
) -> Guess[str | None]:
    """The column whose equal values belong together: by its name, or since alike texts share it.

    Args:
        texts: columns shown to the model. taken: these and all with another part.
    """
    known = [c for name, c in columns.items() if name not in taken and name and not c.missing]
    repeated = [
        c
        for c in known
        if len(c.texts) == c.rows and 1 < c.distinct < _MOST_DISTINCT * c.rows and not c.is_date
    ]
    large = [c for c in repeated if c.distinct >= FEWEST_GROUPS and _largest(c) <= 0.5]
    for column in large:
        if column.name_parts & GROUPS:
            why = f"its name says so, and its {column.distinct} values repeat"
            return Guess(column.name, why)
    alike = _alike_rows(columns, texts) if large else []
    for column in large if len(alike) >= _PAIRS else []:
        shared = sum(column.texts[a] == column.texts[b] for a, b in alike) / len(alike)
        by_chance = sum((n / column.rows) ** 2 for n in Counter(column.texts).values())
        if shared >= 0.8 and by_chance <= 0.3:
            return Guess(column.name, f"{shared:.0%} of the texts that are nearly alike share it")
    few = [c.name for c in repeated if c.name_parts & GROUPS and c not in large]
    if few:
        column = columns[few[0]]
        return Guess(
            None,
            f"`{column.name}` may be what rows share, but its {column.distinct} values are too few "
            "or too uneven to divide by",
        )
    return Guess(None, "no column looks like a customer, document or conversation that rows share")


def _largest(column: Column) -> float:
    return max(Counter(column.texts).values()) / column.rows


def _alike_rows(columns: Mapping[str, Column], texts: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of rows with nearly equal texts; none where a row lacks its text."""
    shown = [columns[name] for name in texts]
    if any(len(column.texts) != column.rows for column in shown):
        return []
    rows = list(zip(*(column.texts for column in shown), strict=True))[:_PAIRED_ROWS]
    examples = [
        Example(str(n), dict(zip(texts, row, strict=True)), "", str(n))
        for n, row in enumerate(rows)
    ]
    mine = Texts(examples)
    return [(o.a, o.b) for o in overlaps(mine, mine) if o.kind != "ngram" and o.a < o.b]
