"""A trial without its items, out of the record that was just stored.

It is what :func:`~harness.store.summaries.summaries_of` would find, which has to ask all tables.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from harness.records import (
    Aggregate,
    ScoreRecord,
    ScoreRequest,
    StepReport,
    TrialRecord,
    TrialSummary,
    unscored_notes,
)
from harness.store.ingest import trial_row
from harness.store.summaries import aggregate_from, summary_from, told_unscored


def says_all(record: TrialRecord, fresh: Collection[str]) -> bool:
    """Whether the record alone says what its study has of the trial: all that was asked is in it.

    Args:
        fresh: keys of its scores that the store took.
    """
    return (
        record.status == "complete"
        and not record.spec.adds
        and {request.key for request in _asked(record)} <= set(fresh)
    )


def summary_of(record: TrialRecord) -> TrialSummary:
    """The trial of a record that says all."""
    spec = record.spec
    row = trial_row(record, content_hash="", ingested_at="")
    row |= {"arm": spec.arm, "phase": spec.phase, "number": spec.number}
    row["train_items"] = spec.train_items
    scores = {score.key: score for score in record.scores}
    asked = sorted(_asked(record), key=lambda one: (one.suite, one.task, one.split))
    return summary_from(
        row,
        added=None,
        aggregates=tuple(
            aggregate for one in asked for aggregate in _aggregates(one, scores[one.key])
        ),
        unscored=tuple(
            told_unscored(one.task, one.split, note)
            for one in asked
            for metric, note in sorted(_notes(scores[one.key]).items())
            if metric in scores[one.key].higher_is_better
        ),
        steps=tuple(map(_stored, sorted(record.steps, key=lambda step: step.step))),
        artifacts=tuple(sorted(record.artifacts, key=lambda artifact: artifact.path)),
    )


def _asked(record: TrialRecord) -> tuple[ScoreRequest, ...]:
    """What the study asks, in the way of answering that the trial found best."""
    answering = record.spec.params.get("answering")
    return tuple(one for one in record.spec.scores if one.answering in ("", answering))


def _notes(score: ScoreRecord) -> dict[str, str]:
    return unscored_notes(score.unscored, len(score.outputs))


def _aggregates(request: ScoreRequest, score: ScoreRecord) -> Iterator[Aggregate]:
    """One of each metric that has a value over all items."""
    items, notes = len(score.outputs), _notes(score)
    for metric, higher_is_better in sorted(score.higher_is_better.items()):
        value = score.aggregates.get(metric, math.nan)
        if math.isnan(value):
            continue
        low, high = score.intervals.get(metric, (None, None))
        unscored, worst = 0, None
        if metric in notes:
            counted = score.item_scores[0].filter if score.item_scores else ""
            mine = [
                one for one in score.item_scores if (one.filter, one.metric) == (counted, metric)
            ]
            values = [known for one in mine if (known := _known(one.value)) is not None]
            unscored = len(mine) - len(values)
            worst = (min if higher_is_better else max)(values, default=None)
        yield aggregate_from(
            {
                "suite": request.suite,
                "task": request.task,
                "split": request.split,
                "form": score.form,
                "metric": metric,
                "value": value,
                "items": items,
                "prompt_tokens": _mean([one.prompt_tokens for one in score.outputs]),
                "completion_tokens": _mean([one.completion_tokens for one in score.outputs]),
                "seconds": score.seconds,
                "reused": False,
                "higher_is_better": higher_is_better,
                "chance": score.chance,
                "moved": score.moved.get(metric),
                "latencies": score.latencies,
                "low": low,
                "high": high,
                "unscored": unscored,
                "worst": worst,
            }
        )


def _mean(counts: list[int]) -> float | None:
    return sum(counts) / len(counts) if counts else None


def _known(value: float | None) -> float | None:
    """The value as the store has it, where what is no number is missing."""
    return None if value is None or math.isnan(value) else value


def _stored(step: StepReport) -> StepReport:
    """The step as the store has it, which keeps nothing of its work."""
    return StepReport(
        step.step,
        step.steps,
        _known(step.epoch),
        _known(step.loss),
        _known(step.learning_rate),
        _known(step.grad_norm),
        step.tokens,
        step.seconds,
        _known(step.validation_loss),
        _known(step.validation_score),
    )
