"""Tables told column by column: a heading together with how its cells are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from harness import wording
from harness.findings import Interval
from harness.report.document import Column, Table
from harness.wording import Scale

INTERVAL = "Interval"
MOST_ROWS = 5  # of a table of comparisons; of a longer one those that show something come first
FEWEST_ROWS = 3
Row = TypeVar("Row")
Row_contra = TypeVar("Row_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Field(Generic[Row_contra]):
    """One column and how its cells are written."""

    heading: str
    """Heading of the column."""
    cell: Callable[[Row_contra], str]
    """Writes what the column holds of a row."""
    numeric: bool = True
    """Cells are numbers, set to the right."""
    brief: bool = True
    """The column is shown where space is short, as in a terminal, too."""

    @classmethod
    def change(
        cls,
        heading: str,
        scale: Scale,
        value: Callable[[Row_contra], float | None],
        interval: Callable[[Row_contra], Interval | None],
    ) -> tuple[Field[Row_contra], Field[Row_contra]]:
        """A signed difference, and beside it the interval of it."""
        return (
            cls(heading, lambda row: scale.difference(value(row))),
            cls(INTERVAL, lambda row: scale.difference_interval(interval(row))),
        )


class OfArm(Protocol):
    """Whatever belongs to one arm."""

    @property
    def arm(self) -> str:
        """Name of the arm."""


ARM: Field[OfArm] = Field("Arm", lambda row: wording.cell(row.arm), numeric=False)


def table(
    caption: str,
    fields: Sequence[Field[Row]],
    rows: Iterable[Row],
    *,
    notes: tuple[str, ...] = (),
    strong: tuple[int, ...] = (),
    folded: bool = False,
) -> Table:
    """One row a value, one cell a field; outside the appendix as :func:`lean` has it."""
    return lean(
        Table(
            caption,
            tuple(Column(field.heading, field.numeric, field.brief) for field in fields),
            tuple(tuple(field.cell(row) for field in fields) for row in rows),
            notes,
            strong,
            folded,
        )
    )


def lean(shown: Table) -> Table:
    """The table without columns that tell no two rows apart; a note says what they held.

    The first column names the rows and stays. A value and the interval beside it stay or go
    together. A column that applies to no row says nothing. The appendix keeps all, and so does a
    table of two rows, which may be alike by chance.
    """
    if shown.folded or len(shown.rows) < FEWEST_ROWS:
        return shown
    kept, alike = [0], dict[str, list[str]]()
    for places in _units(shown.columns):
        held = {tuple(row[place] for place in places) for row in shown.rows}
        if len(held) > 1:
            kept += places
            continue
        told = ", ".join(dict.fromkeys(held.pop()))
        if told != wording.NOT_APPLICABLE:
            alike.setdefault(told, []).append(shown.columns[places[0]].heading)
    same = "; ".join(f"{wording.listed(headings)}: {told}" for told, headings in alike.items())
    return replace(
        shown,
        columns=tuple(shown.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in shown.rows),
        notes=(*shown.notes, *((f"In every row: {same}.",) if same else ())),
        links=tuple(shown.links[place] for place in kept) if shown.links else (),
    )


def shortened(
    every: Table, places: Sequence[int], note: str, notes: tuple[str, ...] | None = None
) -> list[Table]:
    """These rows alone, with a note on what they are, and the whole table for the appendix.

    Args:
        notes: what else is noted of these rows; by default what is noted of all.
    """
    more = every.notes if notes is None else notes
    first = replace(
        every,
        rows=tuple(every.rows[place] for place in places),
        strong=tuple(n for n, place in enumerate(places) if place in every.strong),
        notes=(f"{note} The appendix has all {len(every.rows):,}.", *more),
    )
    return [*([first] if places else []), replace(every, folded=True)]


def _units(columns: Sequence[Column]) -> Iterable[list[int]]:
    """Places of the columns after the first, an interval's with that of its value."""
    unit: list[int] = []
    for place, column in enumerate(columns[1:], 1):
        if unit and column.heading != INTERVAL:
            yield unit
            unit = []
        unit.append(place)
    if unit:
        yield unit


__all__ = ["ARM", "INTERVAL", "MOST_ROWS", "Field", "OfArm", "lean", "shortened", "table"]
