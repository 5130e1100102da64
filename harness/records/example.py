"""Rows of the user's task."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.records.plain import JsonValue


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the user's task."""

    id: str
    """Name of the row, unique within the data set."""
    inputs: dict[str, str]
    """Template field -> text."""
    answer: str
    """The canonical text of a right reply (for JSON: compact, keys in schema order)."""
    group: str
    """Name of the row's cluster; examples of one group share a split and are resampled together."""
    line: int = 0
    """Line of the source file, from 1, for error messages."""
    columns: dict[str, JsonValue] = field(default_factory=dict)
    """Column -> value of the whole row, for metrics that read it; empty where none does."""
    slices: dict[str, str] = field(default_factory=dict)
    """Column of ``data.slices`` -> the row's value, trimmed, empty where there is none. It only
    divides a report, so it is in no file of examples and in no hash."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The audited partition. The search is only ever handed ``train`` and ``validation``."""

    train: tuple[Example, ...]
    """Examples to train on, and the pool of few-shot examples."""
    validation: tuple[Example, ...]
    """Examples that the search is judged on."""
    test: tuple[Example, ...]
    """Examples that only the finalists are judged on."""
    out_of_domain: dict[str, tuple[Example, ...]] = field(default_factory=dict)
    """Name of an out-of-domain set -> its examples; empty where none is declared."""


__all__ = [
    "Example",
    "Splits",
]
