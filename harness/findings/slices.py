"""How two arms compare on parts of the test items."""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings.contrast import Contrast


@dataclass(frozen=True, slots=True)
class Slice:
    """The primary contrast on those test items that have something in common."""

    by: str
    """What the items are divided by: ``length``, ``class``, ``class of FIELD``, or a column."""
    value: str
    """What they have in common."""
    contrast: Contrast
    """The contrast on them; p-values are Holm-corrected over all slices of the study."""
    declared: bool = False
    """Whether the experiment asks for the division; else it is made of every study."""


@dataclass(frozen=True, slots=True)
class ValiditySlice:
    """Test items by whose replies are valid. That is no cause: the replies decide it."""

    valid_a: bool
    """Whether every reply of the first arm is valid."""
    valid_b: bool
    """Whether every reply of the second arm is."""
    items: int
    """Number of items."""
    mean_a: float
    """Mean primary score of the first arm on them."""
    mean_b: float
    """Mean primary score of the second arm on them."""


@dataclass(frozen=True, slots=True)
class Slicing:
    """The two arms of the primary contrast on parts of the test."""

    a: str
    """Name of the first arm."""
    b: str
    """Name of the second arm."""
    slices: tuple[Slice, ...]
    """The parts that are large enough, by what divides them, in the order of the reports."""
    validity: tuple[ValiditySlice, ...] = ()
    """The items by validity of the replies; empty where it was not judged, or all are valid."""
    too_small: int = 0
    """Number of values, of all divisions, with too few items to be compared."""


__all__ = ["Slice", "Slicing", "ValiditySlice"]
