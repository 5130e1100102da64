"""A number that is not known yet, with the range that it may well fall into."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Estimate:
    """``expected``, with ``low`` and ``high`` around it; none is below 0."""

    expected: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Self:
        """What is known."""
        return cls(value, value, value)

    @classmethod
    def among(cls, values: Iterable[float]) -> Self:
        """One of several equally likely values: their mean, least and greatest.

        Raises:
            ValueError: there is none.
        """
        found = list(values)
        if not found:
            raise ValueError("an estimate among no values")
        return cls(math.fsum(found) / len(found), min(found), max(found))

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
    total = NOTHING
    for estimate in estimates:
        total = total + estimate
    return total


def independent(estimates: Iterable[Estimate]) -> Estimate:
    """The sum where each is high or low for reasons of its own: deviations add as squares."""
    found = list(estimates)
    expected = math.fsum(one.expected for one in found)
    below = math.sqrt(math.fsum((one.expected - one.low) ** 2 for one in found))
    above = math.sqrt(math.fsum((one.high - one.expected) ** 2 for one in found))
    return Estimate(expected, max(0.0, expected - below), expected + above)


def either(estimates: Iterable[Estimate]) -> Estimate:
    """One of several equally likely: the mean of what is expected, and the widest range.

    Raises:
        ValueError: there is none.
    """
    found = list(estimates)
    if not found:
        raise ValueError("an estimate among no values")
    return Estimate(
        math.fsum(one.expected for one in found) / len(found),
        min(one.low for one in found),
        max(one.high for one in found),
    )
