"""Signs that a search should go on: a winner at the edge of its range, a score still rising."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from harness.analysis.searches.selection import Candidate
from harness.findings import EdgeSetting, RisingSearch
from harness.spec import Arm, FloatRange, IntRange, Space

# Share of a range, from either end, that counts as its edge.
EDGE = 0.05
# How often the step beyond an end is halved to find a value that the field allows.
HALVINGS = 4
LARGER = 10.0
DOUBLE = 2.0


def edges(arm: Arm, winner: Candidate, tried: Sequence[Candidate]) -> Iterator[EdgeSetting]:
    """Numbers of the selected setting at an end of what was searched, with what to try beyond.

    The outer 5 % of a range (of its logarithm where it is logarithmic), or the least or greatest
    of several numbers to choose from. Not where no other value was tried, nor where the field
    allows nothing beyond: no share of dropout is below 0.
    """
    for name, space in arm.search_space().items():
        value = winner.trial.params.get(name)
        low, high = _ends(space)
        if not _is_number(value) or low >= high:
            continue
        if len({repr(candidate.trial.params.get(name)) for candidate in tried}) < 2:
            continue
        for upper, end in ((False, low), (True, high)):
            if abs(_place(space, value, low, high) - upper) > EDGE:
                continue
            beyond = _beyond(arm, name, space, end, upper=upper)
            if beyond is not None:
                yield EdgeSetting(name, value, low, high, upper=upper, beyond=beyond)


def rising(
    scored: Sequence[Candidate], asked: int, settings: int | None, margin: float
) -> RisingSearch | None:
    """Whether the last third of a search brought more than ``margin`` over the best before it.

    As many trials again are worth their cost then, or as many as there are settings left.

    Args:
        scored: the trials that may be selected.
        asked: trials of the search, whatever became of them; numbers are below it.
        settings: distinct settings of the space; None where they are infinitely many.
        margin: smallest difference of scores that matters.
    """
    late = asked - asked // 3
    before = [candidate.worth.value for candidate in scored if candidate.trial.number < late]
    after = [candidate.worth.value for candidate in scored if candidate.trial.number >= late]
    left = asked if settings is None else min(asked, settings - asked)
    if not before or not after or left <= 0:
        return None
    gain = max(after) - max(before)
    return RisingSearch(gain, asked // 3, left) if round(gain - margin, 12) > 0 else None


def _ends(space: Space) -> tuple[float, float]:
    """The least and the greatest of the numbers searched; alike where there are none."""
    if isinstance(space, FloatRange | IntRange):
        return space.low, space.high
    numbers = [value for value in space.choices if _is_number(value)]
    return (min(numbers), max(numbers)) if len(numbers) == len(space.choices) else (0, 0)


def _place(space: Space, value: float, low: float, high: float) -> float:
    """Where the value lies, 0 to 1; of a list to choose from, only its ends are at its ends."""
    if not isinstance(space, FloatRange | IntRange):
        return 0.0 if value == low else 1.0 if value == high else 0.5
    if space.log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def _beyond(arm: Arm, name: str, space: Space, end: float, *, upper: bool) -> float | None:
    """A value beyond an end: ten times as far where the range is logarithmic, else twice.

    Nearer where the field does not allow that; None where it allows nothing.
    """
    whole = isinstance(space, IntRange) or isinstance(end, int)
    log = isinstance(space, FloatRange) and space.log
    factor = LARGER if log else DOUBLE
    far = end * factor if upper == (end > 0) else end / factor
    for _ in range(HALVINGS):
        value = math.floor(far) if whole else float(f"{far:.2g}")
        if value != end and (value > end) == upper and arm.allows(name, value):
            return value
        far = (far + end) / 2
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


__all__ = ["edges", "rising"]
