"""The first settings of a search cover its kinds before the sampler digs.

A search of few trials that draws at random may see one kind of selection and one half of a range.
Here every choice, and each third of every range, is tried once before anything is tried twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

POOL = 256
PARTS = 3
# Ways to pick the examples that are nearest to an item, the likelier to help first.
NEAREST = ("nearest", "bm25")
# Hyperparameters that say nothing where there are no shots.
OF_SHOTS = frozenset({"selection", "order"})


@dataclass(frozen=True, slots=True)
class _Axis:
    """One hyperparameter, cut into the parts that are to be tried once each.

    A choice's parts are its values; so are those of a range of up to three whole numbers; any
    other range has a low, a middle and a high third, on the logarithm where it is logarithmic.
    """

    distribution: BaseDistribution
    """What Optuna knows of the hyperparameter."""
    values: tuple[Any, ...]
    """Its values, where each is a part of its own; empty where its range is cut into thirds."""
    low: float = 0.0
    """The lower end of a range, its logarithm where that is logarithmic."""
    high: float = 1.0
    """The upper end, as the lower one."""
    log: bool = False
    """Whether the range is logarithmic."""

    @property
    def parts(self) -> range:
        return range(len(self.values) or PARTS)

    def part(self, value: Any) -> int:
        if self.values:
            return self.values.index(value)
        return min(int(PARTS * self.place(value)), PARTS - 1)

    def place(self, value: Any) -> float:
        """Where the value lies in its range, 0 to 1."""
        scaled = math.log(value) if self.log else float(value)
        return (scaled - self.low) / (self.high - self.low)

    def value(self, part: int, within: float) -> Any:
        """A value of the part; ``within``, 0 to 1, says which where it has several.

        The inner half of a third: the ends of a range are the least likely to be any good.
        """
        if self.values:
            return self.values[part]
        scaled = self.low + (self.high - self.low) * (part + 0.25 + within / 2) / PARTS
        value = math.exp(scaled) if self.log else scaled
        return value if isinstance(self.distribution, FloatDistribution) else round(value)

    def compared(self, value: Any) -> Any:
        """What distances are made from: the choice itself, or the place of a number."""
        choice = isinstance(self.distribution, CategoricalDistribution)
        return value if choice else self.place(value)

    def distance(self, one: Any, other: Any) -> float:
        """How far two compared values are apart, 0 to 1; two choices are alike or not."""
        if isinstance(self.distribution, CategoricalDistribution):
            return float(one != other)
        return float(abs(one - other))

    @property
    def least(self) -> Any:
        """The smallest value, of numbers."""
        return min(self.values) if self.values else _range(self.distribution).low

    @property
    def most(self) -> Any:
        """The largest value, of numbers."""
        return max(self.values) if self.values else _range(self.distribution).high


def covering(
    space: Mapping[str, BaseDistribution],
    before: Sequence[Mapping[str, Any]],
    seed: int,
    labels: int | None = None,
) -> dict[str, Any] | None:
    """The setting that brings most that was not tried; None once every part was tried.

    Of several it is the one farthest from its nearest neighbour among those tried. The second
    trial picks the nearest examples where that can be chosen and the first did not, and has a shot
    for each label where that is offered.

    Args:
        space: the searched hyperparameters.
        before: the settings of all earlier trials, the default first.
        seed: seed of the pool of candidates, a scrambled Sobol sequence.
        labels: number of labels of the task; None for other answers.
    """
    axes = {name: _axis(distribution) for name, distribution in space.items()}
    tried = {name: set[int]() for name in axes}
    for setting in before:
        for name, part in _brought(axes, setting).items():
            tried[name].add(part)
    open_parts = {
        name: [part for part in axis.parts if part not in tried[name]]
        for name, axis in axes.items()
    }
    if not any(open_parts.values()):
        return None
    allowed, least = _second(axes, before[0], labels) if len(before) == 1 else ({}, 0)
    drawn = {
        name: [part for part in open_parts[name] if part in allowed.get(name, axis.parts)]
        or allowed.get(name, axis.parts)
        for name, axis in axes.items()
    }
    # It takes longer to load than most plans take.
    from scipy.stats import qmc

    pool = qmc.Sobol(len(axes), scramble=True, rng=np.random.default_rng(seed)).random(POOL)
    compared = [_compared(axes, other) for other in before]
    best: tuple[float, float] = (0.0, 0.0)
    farthest: dict[str, Any] | None = None
    for point in pool:
        setting = {
            name: _at(axis, drawn[name], float(share))
            for (name, axis), share in zip(axes.items(), point, strict=True)
        }
        if least:
            setting["shots"] = max(setting["shots"], least)
        new = sum(part not in tried[n] for n, part in _brought(axes, setting).items())
        if not new or new < best[0]:
            continue
        own = _compared(axes, setting)
        apart = min(_distance(axes, own, other) for other in compared)
        if (new, apart) > best:
            best, farthest = (new, apart), setting
    return farthest


def _axis(distribution: BaseDistribution) -> _Axis:
    if isinstance(distribution, CategoricalDistribution):
        return _Axis(distribution, tuple(distribution.choices))
    if isinstance(distribution, IntDistribution):
        numbers = range(distribution.low, distribution.high + 1)
        values = tuple(numbers) if len(numbers) <= PARTS else ()
    else:
        values = ()
    whole = _range(distribution)
    low, high = (math.log(end) if whole.log else float(end) for end in (whole.low, whole.high))
    return _Axis(distribution, values, low, high, whole.log)


def _range(distribution: BaseDistribution) -> FloatDistribution | IntDistribution:
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return distribution
    raise TypeError("a choice has no ends")


def _at(axis: _Axis, parts: Sequence[int], share: float) -> Any:
    """The value at a share, 0 to 1, of the parts laid side by side."""
    place = share * len(parts)
    index = min(int(place), len(parts) - 1)
    return axis.value(parts[index], place - index)


def _brought(axes: Mapping[str, _Axis], setting: Mapping[str, Any]) -> dict[str, int]:
    """The parts that a setting tries."""
    idle = OF_SHOTS if setting.get("shots") == 0 else frozenset()
    return {name: axis.part(setting[name]) for name, axis in axes.items() if name not in idle}


def _compared(axes: Mapping[str, _Axis], setting: Mapping[str, Any]) -> list[Any]:
    return [axis.compared(setting[name]) for name, axis in axes.items()]


def _distance(axes: Mapping[str, _Axis], one: Sequence[Any], other: Sequence[Any]) -> float:
    pairs = zip(axes.values(), one, other, strict=True)
    return sum(axis.distance(mine, theirs) for axis, mine, theirs in pairs)


def _second(
    axes: Mapping[str, _Axis], default: Mapping[str, Any], labels: int | None
) -> tuple[dict[str, Sequence[int]], int]:
    """Parts that the second trial is to keep to, and the fewest shots it is to have.

    Where no count of shots reaches the labels it has the most that are offered.
    """
    allowed: dict[str, Sequence[int]] = {}
    selection, shots = axes.get("selection"), axes.get("shots")
    offered = [way for way in NEAREST if selection and way in selection.values]
    idle = default.get("shots") == 0
    if selection and offered and (idle or default["selection"] not in NEAREST):
        allowed["selection"] = [selection.part(offered[0])]
    if shots is None:
        return allowed, 0
    least = min(labels or bool(allowed), shots.most)
    if shots.values:
        allowed["shots"] = [n for n, count in enumerate(shots.values) if count >= least]
    else:
        allowed["shots"] = shots.parts[shots.part(max(least, shots.least)) :]
    return allowed, least


__all__ = ["covering"]
