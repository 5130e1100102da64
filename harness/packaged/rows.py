"""A row of a packaged data set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackagedRow:
    """One row: a sentence with its rating, or an address with its parts."""

    line: int
    """Line of the published file, or place among its addresses, from 1."""
    values: dict[str, str]
    """Column -> text."""


__all__ = ["PackagedRow"]
