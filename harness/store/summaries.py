"""Trials without their items, out of the tables."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

import duckdb

from harness.records import (
    Aggregate,
    Artifact,
    Canaries,
    StepReport,
    Stopped,
    TrialCost,
    TrialSummary,
    from_json,
)

_TRIALS = """
SELECT trial_id, arm, kind, phase, number, seed, status, params, started_at, ended_at,
       failure_kind, failure_message, canary_before_max_difference, canary_after_max_difference,
       canary_prompt_tokens_equal, load_seconds, train_seconds, score_seconds, train_tokens,
       peak_memory_mib, peak_device_mib, total_parameters, trainable_parameters, artifact_bytes,
       CAST(spec ->> '$.train_items' AS INTEGER), stopped,
       environment
FROM trial
WHERE experiment_id = $experiment_id AND ($trial_id IS NULL OR trial_id = $trial_id)
ORDER BY arm, phase, number, seed, trial_id
"""

_AGGREGATES = """
WITH wanted AS (
    SELECT l.trial_id, l.suite, l.task, l.split, l.score_key
    FROM trial t JOIN trial_score l USING (trial_id)
    WHERE t.experiment_id = $experiment_id AND ($trial_id IS NULL OR t.trial_id = $trial_id)
), tokens AS (
    SELECT score_key, count(*) AS items, avg(prompt_tokens) AS prompt_tokens,
           avg(completion_tokens) AS completion_tokens
    FROM item_output WHERE score_key IN (SELECT score_key FROM wanted) GROUP BY score_key
)
SELECT w.trial_id, w.suite, w.task, w.split, s.form, m.metric, m.value, coalesce(k.items, 0),
       k.prompt_tokens, k.completion_tokens, s.seconds, s.scored_by <> w.trial_id,
       m.higher_is_better, s.chance, s.latencies
FROM wanted w
JOIN score s USING (score_key)
JOIN score_metric m USING (score_key)
LEFT JOIN tokens k USING (score_key)
WHERE m.value IS NOT NULL
ORDER BY w.trial_id, w.suite, w.task, w.split, m.metric
"""

_STEPS = """
SELECT s.trial_id, s.step, s.steps, s.epoch, s.loss, s.learning_rate, s.grad_norm, s.tokens,
       s.seconds, s.validation_loss
FROM trial t JOIN training_step s USING (trial_id)
WHERE t.experiment_id = $experiment_id AND ($trial_id IS NULL OR t.trial_id = $trial_id)
ORDER BY s.trial_id, s.step
"""

_ARTIFACTS = """
SELECT a.trial_id, a.path, a.sha256, a.bytes
FROM trial t JOIN artifact a USING (trial_id)
WHERE t.experiment_id = $experiment_id AND ($trial_id IS NULL OR t.trial_id = $trial_id)
ORDER BY a.trial_id, a.path
"""


def summaries_of(
    connection: duckdb.DuckDBPyConnection, experiment_id: str, trial_id: str | None = None
) -> tuple[TrialSummary, ...]:
    """Every trial of the experiment, or the one called ``trial_id``; by arm, phase, number, seed.

    A metric whose value over all items is missing has no aggregate; other missing numbers of an
    aggregate or a step are NaN.
    """
    asked = {"experiment_id": experiment_id, "trial_id": trial_id}
    aggregates: defaultdict[str, list[Aggregate]] = defaultdict(list)
    for row in connection.execute(_AGGREGATES, asked).fetchall():
        aggregates[row[0]].append(_aggregate(row[1:]))
    steps: defaultdict[str, list[StepReport]] = defaultdict(list)
    for row in connection.execute(_STEPS, asked).fetchall():
        numbers = [*map(_or_nan, row[1:-1]), row[-1]]
        steps[row[0]].append(StepReport(*numbers))
    artifacts: defaultdict[str, list[Artifact]] = defaultdict(list)
    for row in connection.execute(_ARTIFACTS, asked).fetchall():
        artifacts[row[0]].append(Artifact(*row[1:]))
    rows = connection.execute(_TRIALS, asked).fetchall()
    return tuple(
        _summary(row, tuple(aggregates[row[0]]), tuple(steps[row[0]]), tuple(artifacts[row[0]]))
        for row in rows
    )


def _summary(
    row: tuple[Any, ...],
    aggregates: tuple[Aggregate, ...],
    steps: tuple[StepReport, ...],
    artifacts: tuple[Artifact, ...],
) -> TrialSummary:
    (trial_id, arm, kind, phase, number, seed, status, params, started_at, ended_at) = row[:10]
    failure_kind, failure_message = row[10:12]
    canaries, cost, (train_items, stopped, told) = row[12:15], row[15:-3], row[-3:]
    environment: dict[str, str] = json.loads(told)
    examples = environment.get("train_examples")
    return TrialSummary(
        trial_id=trial_id,
        arm=arm,
        kind=kind,
        phase=phase,
        number=number,
        seed=seed,
        status=status,
        params=json.loads(params),
        started_at=started_at,
        ended_at=ended_at,
        failure_kind=failure_kind,
        failure_message=failure_message,
        canaries=None if canaries[-1] is None else Canaries(*canaries),
        cost=None if cost[-1] is None else TrialCost(*cost),
        aggregates=aggregates,
        steps=steps,
        train_items=train_items,
        stopped=None if stopped is None else from_json(Stopped, stopped),
        training_memory=environment.get("training_memory", ""),
        train_examples=None if examples is None else int(examples),
        cut=tuple(what for name, what in environment.items() if name.startswith("cut_")),
        artifacts=artifacts,
    )


def _aggregate(row: tuple[Any, ...]) -> Aggregate:
    suite, task, split, form, metric, value, items, prompt, completion, seconds = row[:10]
    reused, higher_is_better, chance, latencies = row[10:]
    return Aggregate(
        suite=suite,
        task=task,
        split=split,
        form=form,
        metric=metric,
        value=value,
        items=items,
        prompt_tokens=_or_nan(prompt),
        completion_tokens=_or_nan(completion),
        seconds=_or_nan(seconds),
        reused=reused,
        higher_is_better=higher_is_better,
        chance=chance,
        latencies=tuple(latencies),
    )


def _or_nan(number: Any) -> Any:
    return math.nan if number is None else number
