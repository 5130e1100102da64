"""Estimated numbers, each with the range that it may well fall into."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number with its range, never below 0."""

    expected: float
    """The value that is expected, in the unit of what is estimated."""
    low: float
    """As little as it may well be."""
    high: float
    """As much as it may well be."""

    @classmethod
    def exactly(cls, value: float) -> Self:
        """A number that is known."""
        return cls(value, value, value)

    @classmethod
    def among(cls, values: Iterable[float]) -> Estimate:
        """One of several equally likely values: their mean, least and greatest.

        Raises:
            ValueError: there is none.
        """
        return either(cls.exactly(value) for value in values)

    def __add__(self, other: Estimate) -> Estimate:
        """The sum where both are high, or both low, for the same reason."""
        return Estimate(
            self.expected + other.expected, self.low + other.low, self.high + other.high
        )

    def __mul__(self, other: Estimate | float) -> Estimate:
        """A number of things times what each takes."""
        if not isinstance(other, Estimate):
            other = Estimate.exactly(other)
        return Estimate(
            self.expected * other.expected, self.low * other.low, self.high * other.high
        )

    def widened(self, share: float) -> Estimate:
        """The range stretched by a share of the value: by division below, so it stays above 0."""
        return Estimate(self.expected, self.low / (1 + share), self.high * (1 + share))


NOTHING = Estimate(0.0, 0.0, 0.0)


def summed(estimates: Iterable[Estimate]) -> Estimate:
    """The sum where all are high, or all low, for the same reason."""
    return sum(estimates, NOTHING)


def either(estimates: Iterable[Estimate]) -> Estimate:
    """One of several equally likely: the mean of what is expected, and the widest range.

    Raises:
        ValueError: there is none.
    """
    return _combined(estimates, lambda values: math.fsum(values) / len(values))


def greatest(estimates: Iterable[Estimate]) -> Estimate:
    """The greatest of what is expected, and the widest range.

    Raises:
        ValueError: there is none.
    """
    return _combined(estimates, max)


def _combined(
    estimates: Iterable[Estimate], of_expected: Callable[[list[float]], float]
) -> Estimate:
    options = list(estimates)
    if not options:
        raise ValueError("an estimate among no values")
    return Estimate(
        of_expected([option.expected for option in options]),
        min(option.low for option in options),
        max(option.high for option in options),
    )
