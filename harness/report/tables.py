"""Tables told column by column: a heading together with how its cells are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from harness import wording
from harness.findings import Interval
from harness.report.document import Column, Table
from harness.wording import Scale

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
            cls("Interval", lambda row: scale.difference_interval(interval(row))),
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
    """One row a value, one cell a field."""
    return Table(
        caption,
        tuple(Column(field.heading, field.numeric, field.brief) for field in fields),
        tuple(tuple(field.cell(row) for field in fields) for row in rows),
        notes,
        strong,
        folded,
    )


__all__ = ["ARM", "Field", "OfArm", "table"]
