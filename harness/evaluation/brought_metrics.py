"""The metrics that a user brings, asked item by item: what one cannot score has no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from harness.answers.answer import answer_part
from harness.errors import TrialError
from harness.measures import Measure, Scorer, UnscoredError
from harness.records import Example, Unscored
from harness.spec import TaskSpec


class BroughtMetrics:
    """Values of the metrics that a task's user brings, for the items of one set.

    Attributes:
        unscored: items without a value, each with the reason, in the order of asking.
    """

    def __init__(self, task: TaskSpec, items: Sequence[Example]) -> None:
        self._task = task
        self._items = {item.id: item for item in items}
        self._known: dict[tuple[str, str], dict[str, float]] = {}
        self.unscored: list[Unscored] = []

    @property
    def names(self) -> frozenset[str]:
        """Names of all values."""
        return frozenset(name for measure in self._task.measures for name in measure.metric_names)

    def values(self, item_id: str, reply: str) -> dict[str, float]:
        """Name of each metric -> its value for a reply; NaN where it has none.

        Of target and reply counts what follows a thought, as for the product's own metrics.
        """
        if not self._task.measures:
            return {}
        asked = (item_id, reply)
        if asked not in self._known:
            item = self._items[item_id]
            self._known[asked] = {
                name: value
                for measure, score in self._scorers
                for name, value in self._asked(measure, score, item, reply).items()
            }
        return self._known[asked]

    def _asked(
        self, measure: Measure, score: Scorer, item: Example, reply: str
    ) -> dict[str, float]:
        target = answer_part(item.answer) or item.answer
        try:
            return dict(score(item.columns, answer_part(reply), target))
        except UnscoredError as error:
            first = measure.metric_names[0]
            self.unscored.append(Unscored(first, item.id, item.line, str(error)))
            return dict.fromkeys(measure.metric_names, math.nan)

    @cached_property
    def _scorers(self) -> list[tuple[Measure, Scorer]]:
        try:
            return [(measure, measure.scorer()) for measure in self._task.measures]
        except ValueError as error:
            # It was usable where the study was planned.
            raise TrialError(
                "metric", f"a metric cannot be used on this machine: {error}"
            ) from error


__all__ = ["BroughtMetrics"]
