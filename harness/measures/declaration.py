"""What a function says of its values as a metric: a decorator, and what it leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])
ATTRIBUTE = "__harness_metric__"


@dataclass(frozen=True, slots=True)
class MetricDeclaration:
    """What :func:`metric` was told; None is what was left out."""

    names: tuple[str, ...] | None = None
    """Names of the numbers that the function gives, where it gives a mapping."""
    higher_is_better: bool | None = None
    """Whether greater values are better."""
    lowest: float | None = None
    """The least value that there can be; minus infinity where there is none."""
    highest: float | None = None
    """The greatest value that there can be; infinity where there is none."""
    label: str | None = None
    """The metric as a reader sees it."""
    meaning: str | None = None
    """A sentence's end, as in "share of prices within a cent; 1 is best"."""
    version: str | None = None
    """A word for the function's state, shown in the report."""


def metric(
    *,
    names: Sequence[str] | None = None,
    higher_is_better: bool | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    label: str | None = None,
    meaning: str | None = None,
    version: str | None = None,
) -> Callable[[Function], Function]:
    """Say of a function what an experiment has to know of its values.

    What is left out is: one number, higher is better, from 0 to 1, called like the function. The
    function is returned as it is.

    Args:
        names: names of the numbers, where the function gives a mapping of names to numbers.
        higher_is_better: whether greater values are better.
        lowest: the least value; ``-math.inf`` where there is none.
        highest: the greatest value; ``math.inf`` where there is none.
        label: the metric as a reader sees it.
        meaning: a sentence's end for the reader, such as ``euros off; lower is better``.
        version: a word for the function's state, shown in the report.

    Raises:
        ValueError: a bound is not a number, or the bounds leave no room.
    """
    low, high = 0.0 if lowest is None else lowest, 1.0 if highest is None else highest
    if math.isnan(low) or math.isnan(high) or not low < high:
        raise ValueError(f"harness.metric: lowest ({low:g}) must be less than highest ({high:g})")
    declared = MetricDeclaration(
        None if names is None else tuple(names),
        higher_is_better,
        lowest,
        highest,
        label,
        meaning,
        version,
    )

    def mark(function: Function) -> Function:
        setattr(function, ATTRIBUTE, declared)
        return function

    return mark


def declaration_of(function: object) -> MetricDeclaration:
    """What a function says of itself; nothing where it was not decorated."""
    declared = getattr(function, ATTRIBUTE, None)
    return declared if isinstance(declared, MetricDeclaration) else MetricDeclaration()


__all__ = ["MetricDeclaration", "declaration_of", "metric"]
