"""Tunable values: a plain value, or a range or choice that the search explores.

Every range and choice has a ``default``: the setting of trial 0.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import Field, model_validator

from harness.records.frozen_spec import FrozenSpec

V = TypeVar("V")


class FloatRange(FrozenSpec):
    """Real numbers from ``low`` to ``high``, both included."""

    low: float = Field(description="Least value.")
    high: float = Field(description="Greatest value.")
    log: bool = Field(False, description="Sample the logarithm uniformly.")
    default: float | None = Field(None, description="Value of trial 0; the middle if not given.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.default, self.log)
        return self

    @property
    def start(self) -> float:
        """The value of trial 0."""
        if self.default is not None:
            return self.default
        return math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2


class IntRange(FrozenSpec):
    """Whole numbers from ``low`` to ``high``, both included."""

    low: int = Field(description="Least value.")
    high: int = Field(description="Greatest value.")
    log: bool = Field(False, description="Sample the logarithm uniformly.")
    default: int | None = Field(None, description="Value of trial 0; the middle if not given.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.default, self.log)
        return self

    @property
    def start(self) -> int:
        """The value of trial 0."""
        if self.default is not None:
            return self.default
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return round(middle)


class Choice(FrozenSpec, Generic[V]):
    """One of a list of values."""

    choices: tuple[V, ...] = Field(min_length=1, description="The values.")
    default: V | None = Field(None, description="Value of trial 0; the first if not given.")

    @model_validator(mode="after")
    def _listed(self) -> Self:
        if self.default is not None and self.default not in self.choices:
            raise ValueError(f"default {self.default!r} is not one of the choices {self.choices}")
        if len(set(map(repr, self.choices))) != len(self.choices):
            raise ValueError(f"choices {self.choices} hold a value twice")
        return self

    @property
    def start(self) -> V:
        """The value of trial 0."""
        return self.choices[0] if self.default is None else self.default


Space = FloatRange | IntRange | Choice[Any]

PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


def _check_range(low: float, high: float, default: float | None, log: bool) -> None:
    if low >= high:
        raise ValueError(f"low {low} must be below high {high}; for one value write it plainly")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range needs low above 0, not {low}")
    if default is not None and not low <= default <= high:
        raise ValueError(f"default {default} lies outside {low} to {high}")


def greatest(value: Space | float) -> Any:
    """The greatest of the numbers that a hyperparameter may have."""
    match value:
        case Choice():
            return max(value.choices)
        case FloatRange() | IntRange():
            return value.high
    return value
