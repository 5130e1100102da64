"""The metrics that a user brings, asked item by item: what one cannot score has no value."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from harness.answers.answer import answer_part
from harness.answers.metrics import mean_of_scored
from harness.errors import TrialError
from harness.measures import Compute, EvaluateMetric, Measure, Scorer, UnscoredError
from harness.records import Example, Unscored
from harness.spec import TaskSpec

T = TypeVar("T")
# A metric may be slow, and an interval's ends need no more digits than these give.
RESAMPLES = 200
REASONS = 100


@dataclass(frozen=True, slots=True)
class _Pair:
    """One item, as metrics of all items together take it."""

    reply: str
    """What of the reply counts."""
    target: str
    """What of the right answer does."""
    cluster: str
    """Cluster of the item."""


class BroughtMetrics:
    """Values of the metrics that a task's user brings, for the items of one set.

    Attributes:
        unscored: items without a value, each with the reason, in the order of asking.
        intervals: metric of all items together -> its 95 % interval over items (clusters).
    """

    def __init__(self, task: TaskSpec, items: Sequence[Example]) -> None:
        self._task = task
        self._items = {item.id: item for item in items}
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self.unscored: list[Unscored] = []
        self.intervals: dict[str, tuple[float, float]] = {}

    @property
    def names(self) -> frozenset[str]:
        """Names of all metrics that it computes."""
        return frozenset(name for measure in self._task.computed for name in measure.metric_names)

    @property
    def per_item(self) -> frozenset[str]:
        """Names of those with a value for each item."""
        return self.names - self._of_all.keys()

    def values(self, item_id: str, reply: str) -> dict[str, Any]:
        """Name of each metric -> its value for a reply; NaN where it has none.

        Of a metric of all items together it is what :meth:`aggregation` takes.

        Of target and reply counts what follows a thought, as for the product's own metrics.
        """
        if not self._task.computed:
            return {}
        asked = (item_id, reply)
        if asked not in self._known:
            item = self._items[item_id]
            target = answer_part(item.answer) or item.answer
            self._known[asked] = {
                name: value
                for measure, score in self._scorers
                for name, value in self._asked(measure, score, item, reply).items()
            } | dict.fromkeys(self._of_all, _Pair(answer_part(reply), target, item.group))
        return self._known[asked]

    def aggregation(self, name: str) -> Callable[[Any], float]:
        """What makes one value of those of all items; NaN where there is none."""
        measure = self._of_all.get(name)
        return mean_of_scored if measure is None else partial(self._together, measure)

    def _together(self, measure: EvaluateMetric, pairs: Sequence[_Pair]) -> float:
        compute, name = _usable(measure.computer), measure.metric_names[0]
        try:
            value = _computed(compute, pairs)
        except UnscoredError as error:
            self.unscored.append(Unscored(name, "", 0, str(error)))
            return math.nan
        if bounds := _bootstrap(compute, pairs):
            self.intervals[name] = bounds
        return value

    @cached_property
    def _of_all(self) -> dict[str, EvaluateMetric]:
        """Name -> metric of all items together."""
        return {
            name: measure
            for measure in self._task.computed
            if isinstance(measure, EvaluateMetric) and not measure.per_item
            for name in measure.metric_names
        }

    def _asked(
        self, measure: Measure, score: Scorer, item: Example, reply: str
    ) -> dict[str, float]:
        target = answer_part(item.answer) or item.answer
        try:
            return dict(score(item.columns, answer_part(reply), target))
        except UnscoredError as error:
            # One reason is told; many are much the same.
            why = str(error) if len(self.unscored) < REASONS else ""
            self.unscored.append(Unscored(measure.metric_names[0], item.id, item.line, why))
            return dict.fromkeys(measure.metric_names, math.nan)

    @cached_property
    def _scorers(self) -> list[tuple[Measure, Scorer]]:
        return [
            (measure, _usable(measure.scorer))
            for measure in self._task.computed
            if measure.is_per_item
        ]


def _computed(compute: Compute, pairs: Sequence[_Pair]) -> float:
    return compute([pair.reply for pair in pairs], [pair.target for pair in pairs])


def _bootstrap(compute: Compute, pairs: Sequence[_Pair]) -> tuple[float, float] | None:
    """Percentile interval over clusters drawn anew; None where it cannot be told."""
    clusters: defaultdict[str, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        clusters[pair.cluster].append(pair)
    members = list(clusters.values())
    if len(members) < 2:
        return None
    generator = np.random.default_rng(0)
    values = []
    for _ in range(RESAMPLES):
        drawn = generator.integers(len(members), size=len(members)).tolist()
        # Some samples have no value, as where all of them are of one class.
        with suppress(UnscoredError):
            values.append(_computed(compute, [pair for n in drawn for pair in members[n]]))
    if len(values) < RESAMPLES // 2:
        return None
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return low, high


def _usable(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        # It was usable where the study was planned.
        raise TrialError("metric", f"a metric cannot be used on this machine: {error}") from error


__all__ = ["BroughtMetrics"]
