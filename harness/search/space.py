"""An arm's search space in Optuna's terms, and the settings of a finite one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from harness.spec import FloatRange, IntRange, Space

ENUMERATED_SETTINGS = 2000


def distributions(space: Mapping[str, Space]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched hyperparameter."""
    return {name: _distribution(searched) for name, searched in space.items()}


def stored(params: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of ``params`` that are searched, as Optuna keeps them: its categories are scalars."""
    return {name: _stored(params[name]) for name in names}


def restored(space: Mapping[str, Space], params: Mapping[str, Any]) -> dict[str, Any]:
    """A setting as the experiment has it, from what :func:`stored` made of it."""
    return {name: _restored(searched, params[name]) for name, searched in space.items()}


def untried(
    space: Mapping[str, BaseDistribution], asked: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]] | None:
    """Settings of a small finite space that nobody asked for yet; None for any other.

    An arm with nothing to search has one setting.
    """
    axes: list[Sequence[Any]] = []
    for distribution in space.values():
        if isinstance(distribution, CategoricalDistribution):
            axes.append(distribution.choices)
        elif isinstance(distribution, IntDistribution):
            axes.append(range(distribution.low, distribution.high + 1))
        else:
            return None
    if math.prod(map(len, axes)) > ENUMERATED_SETTINGS:
        return None
    every = (dict(zip(space, values, strict=True)) for values in itertools.product(*axes))
    return [params for params in every if params not in asked]


def _distribution(space: Space) -> BaseDistribution:
    if isinstance(space, FloatRange):
        return FloatDistribution(space.low, space.high, log=space.log)
    if isinstance(space, IntRange):
        return IntDistribution(space.low, space.high, log=space.log)
    return CategoricalDistribution([_stored(value) for value in space.choices])


def _stored(value: Any) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _restored(space: Space, value: Any) -> Any:
    if isinstance(space, FloatRange | IntRange):
        return value
    return next(choice for choice in space.choices if _stored(choice) == value)
