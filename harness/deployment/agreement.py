"""Replies of what is deployed against those that were scored, item by item."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.analysis.statistics.bootstrap import named_generator
from harness.analysis.statistics.paired import Comparison, compare, conclude_primary
from harness.data import read_examples_file
from harness.errors import InputError
from harness.export.final_run import FinalRun
from harness.findings import Contrast, Interval
from harness.records import Example, ScoreVector, even_sample
from harness.store import STORE_FILE, StoreReader

DEPLOYED = "deployed"
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """A test item as the final run answered it."""

    item: Example
    """The item."""
    reply: str
    """The reply that was scored."""
    prompt_tokens: int
    """Tokens of its prompt; 0 where a server did not count them."""


@dataclass(frozen=True, slots=True)
class ReplyPair:
    """What was scored of an item and what is deployed replies to it."""

    item: Example
    """The item."""
    scored: str
    """The reply that was scored."""
    deployed: str
    """The reply of what is deployed."""

    @property
    def equal(self) -> bool:
        """Whether they are the same, letter by letter."""
        return self.scored == self.deployed


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far what is deployed answers as what was scored."""

    pairs: tuple[ReplyPair, ...]
    """Every item that was asked."""
    metric: str
    """The study's primary metric."""
    contrast: Contrast | None
    """What is deployed against what was scored, paired item by item; None where the metric has no
    value of single replies here, or of too few."""
    worst_case: Interval | None = None
    """The contrast's interval with the worst value for each reply that could not be scored; None
    where all were."""
    unscored: int = 0
    """Number of replies of what is deployed that the metric could not score."""

    @property
    def equal(self) -> int:
        """Number of items with the same reply, letter by letter."""
        return sum(pair.equal for pair in self.pairs)

    @property
    def apart(self) -> tuple[ReplyPair, ...]:
        """Items with another reply."""
        return tuple(pair for pair in self.pairs if not pair.equal)

    @property
    def non_inferior(self) -> bool:
        """Whether the interval's lower bound lies above minus the margin, or nothing differs.

        Replies that cannot be scored are no reason to pass: the bound holds with the worst value
        for them too.
        """
        if self.contrast is None or self.equal == len(self.pairs):
            return self.equal == len(self.pairs)
        intervals = (self.contrast.interval, self.worst_case or self.contrast.interval)
        return all(interval.low > -self.contrast.margin for interval in intervals)


def scored_items(run: FinalRun, limit: int | None = None) -> tuple[ScoredItem, ...]:
    """The test items with the replies that the store holds.

    Args:
        limit: number of items, spread evenly over the test set; None for all.

    Raises:
        InputError: the run was not scored on test, or the file of items is not that one.
    """
    if not run.spec.scores:
        raise InputError(f"{run.title}: the trial was not scored on the test set")
    (request,) = run.spec.scores
    items = read_examples_file(Path(request.items_path))
    rows = StoreReader(run.analysed.results / STORE_FILE).query(
        "SELECT item_id, output, prompt_tokens FROM item_output WHERE score_key = ?",
        [request.key],
    )
    stored = {row["item_id"]: row for row in rows.named}
    if unknown := [item.id for item in items if item.id not in stored]:
        raise InputError(
            f"{len(unknown)} of {len(items)} test items, {unknown[0]} among them, are not those "
            "that the trial answered; the file of test items was changed: run the experiment again"
        )
    return tuple(
        ScoredItem(item, stored[item.id]["output"], stored[item.id]["prompt_tokens"])
        for item in even_sample(items, limit)
    )


def agreement(run: FinalRun, scored: Sequence[ScoredItem], replies: Sequence[str]) -> Agreement:
    """Hold replies against those that were scored.

    Args:
        replies: what is deployed replies to the items, in their order.
    """
    pairs = tuple(
        ReplyPair(one.item, one.reply, reply) for one, reply in zip(scored, replies, strict=True)
    )
    metric = run.metric
    values = _values(run, pairs)
    unscored = sum(math.isnan(value) for value in values.values())
    comparison = _comparison(run, metric, values)
    if comparison is None:
        return Agreement(pairs, metric, None, unscored=unscored)
    worst = comparison.as_worst
    return Agreement(
        pairs,
        metric,
        conclude_primary(comparison),
        worst.sampling.interval(worst.level) if worst else None,
        unscored,
    )


def _values(run: FinalRun, pairs: Sequence[ReplyPair]) -> dict[str, float]:
    """Item id -> value of the primary metric of what is deployed, NaN where it could not be scored.

    Empty where the metric has no value of single replies, or is a judge's.
    """
    from harness.evaluation.domain_task import build_domain_task

    task = run.analysed.experiment.task
    judged = any(run.metric in judge.metric_names for judge in task.judged)
    if judged or not task.primary.per_item:
        return {}
    split = read_examples_file(Path(run.spec.train_path))
    built = build_domain_task(
        DEPLOYED,
        task,
        [pair.item for pair in pairs],
        lambda item: "",
        end="",
        max_new_tokens=1,
        labels=task.answer.known_from(split),
    )
    values = {}
    for pair in pairs:
        value = built.process_results({"id": pair.item.id}, [pair.deployed]).get(run.metric)
        scored = isinstance(value, int | float) and math.isfinite(value)
        values[pair.item.id] = float(value) if scored else math.nan
    return values


def _comparison(run: FinalRun, metric: str, values: Mapping[str, float]) -> Comparison | None:
    """The deployed form against the scored one, on the items that were asked."""
    mine = [
        vector
        for vector in run.analysed.study.vectors
        if (vector.trial_id, vector.suite, vector.split, vector.metric)
        == (run.trial.trial_id, "domain", "test", metric)
    ]
    if not mine or not values:
        return None
    spec = run.analysed.experiment.contrast
    scored = _on_items(mine[0], values)
    found = np.array([values[item] for item in scored.item_ids], dtype=np.float64)
    return compare(
        [replace(scored, arm=DEPLOYED, trial_id=DEPLOYED, values=found)],
        [scored],
        margin=spec.margin,
        level=spec.level,
        resamples=RESAMPLES,
        generator=named_generator(0, DEPLOYED, metric),
        worst=run.analysed.experiment.task.primary.worst,
    )


def _on_items(vector: ScoreVector, items: Mapping[str, float]) -> ScoreVector:
    """The vector with some of its items only."""
    rows = [row for row, item in enumerate(vector.item_ids) if item in items]
    return replace(
        vector,
        doc_hashes=tuple(vector.doc_hashes[row] for row in rows),
        clusters=tuple(vector.clusters[row] for row in rows),
        item_ids=tuple(vector.item_ids[row] for row in rows),
        values=vector.values[rows],
    )


__all__ = ["Agreement", "ReplyPair", "ScoredItem", "agreement", "scored_items"]
