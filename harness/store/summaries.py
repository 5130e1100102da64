"""Trials without their items, out of the tables."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import duckdb

from harness.records import (
    Aggregate,
    Artifact,
    Canaries,
    Checkpoint,
    Measuring,
    StepReport,
    Stopped,
    TrialCost,
    TrialSummary,
    WayScore,
    Writing,
    from_json,
)
from harness.store.connection import named_rows

_TRIALS = """
SELECT entry, trial_id, arm, kind, phase, number, seed, status, params, started_at, ended_at,
       failure_kind, failure_message, canary_before_max_difference, canary_after_max_difference,
       canary_prompt_tokens_equal, load_seconds, train_seconds, score_seconds, train_tokens,
       peak_memory_mib, peak_device_mib, total_parameters, trainable_parameters, artifact_bytes,
       measure_seconds, measure_tokens, measure_money,
       CAST(spec ->> '$.train_items' AS INTEGER) AS train_items, stopped, checkpoint,
       writing, environment
FROM named_trial
WHERE experiment_id = $experiment_id AND ($trial_id IS NULL OR trial_id = $trial_id)
  AND ($searched IS NULL OR phase <> 'search' OR trial_id = $searched)
ORDER BY arm, phase, number, seed, trial_id
"""

# Several short questions take a fraction of the time of one long one, which takes longer to plan
# than to answer.

_ADDITIONS = """
SELECT trial_id, coalesce(sum(load_seconds + train_seconds + score_seconds), 0) AS added_seconds,
       coalesce(sum(measure_seconds), 0) AS seconds, coalesce(sum(measure_tokens), 0) AS tokens,
       coalesce(sum(measure_money), 0) AS money
FROM trial_addition WHERE trial_id IN $trials GROUP BY trial_id
"""

# Of trials that have ended for the study: ``named_score`` would look for them once more.
_AGGREGATES = """
SELECT w.entry, w.suite, w.task, w.split, w.score_key, s.form, m.metric, m.value, s.seconds,
       s.scored_by <> w.trial_id AS reused, m.higher_is_better, m.moved, s.chance,
       s.latencies, s.items, s.prompt_tokens / nullif(s.items, 0) AS prompt_tokens,
       s.completion_tokens / nullif(s.items, 0) AS completion_tokens,
       m.low, m.high, m.unscored AS note
FROM asked_score w
JOIN score s USING (score_key)
JOIN score_metric m USING (score_key)
WHERE w.entry IN $entries
ORDER BY w.entry, w.suite, w.task, w.split, m.metric
"""

_UNSCORED = """
SELECT i.score_key, i.metric, count(*) - count(i.value) AS unscored,
       CASE WHEN any_value(m.higher_is_better) THEN min(i.value) ELSE max(i.value) END AS worst
FROM score_metric m JOIN item_score i ON i.score_key = m.score_key AND i.metric = m.metric
WHERE m.unscored IS NOT NULL AND i.filter_rank = 0 AND m.score_key IN (SELECT unnest($keys))
GROUP BY i.score_key, i.metric
"""

# In the order of the fields of StepReport.
_STEPS = """
SELECT trial_id, step, steps, epoch, loss, learning_rate, grad_norm, tokens, seconds,
       validation_loss, validation_score
FROM training_step WHERE trial_id IN $trials
ORDER BY trial_id, step
"""

_ARTIFACTS = """
SELECT trial_id, path, sha256, bytes
FROM artifact WHERE trial_id IN $trials
ORDER BY trial_id, path
"""


def summaries_of(
    connection: duckdb.DuckDBPyConnection,
    experiment_id: str,
    trial_id: str | None = None,
    *,
    searched: str | None = None,
    with_steps: bool = True,
) -> tuple[TrialSummary, ...]:
    """Every trial of the experiment, or the one called ``trial_id``; by arm, phase, number, seed.

    With ``searched``, of all search trials the one of that id.

    A metric whose value over all items is missing has no aggregate; other missing numbers of an
    aggregate or a step are NaN.
    """
    asked = {"experiment_id": experiment_id, "trial_id": trial_id, "searched": searched}
    ended = list(named_rows(connection, _TRIALS, asked))
    if not ended:
        return ()
    trials = {"trials": [row["trial_id"] for row in ended]}
    aggregates: defaultdict[int, list[Aggregate]] = defaultdict(list)
    unscored: defaultdict[int, list[str]] = defaultdict(list)
    for row in _scored(connection, [row["entry"] for row in ended]):
        entry, note = row.pop("entry"), row.pop("note")
        if note is not None:
            unscored[entry].append(f"{row['task']}, {row['split']}: {note}")
        if row["value"] is not None:
            aggregates[entry].append(_aggregate(row))
    steps: defaultdict[str, list[StepReport]] = defaultdict(list)
    for trial, *step in connection.execute(_STEPS, trials).fetchall() if with_steps else ():
        steps[trial].append(StepReport(*step))
    artifacts: defaultdict[str, list[Artifact]] = defaultdict(list)
    for row in named_rows(connection, _ARTIFACTS, trials):
        artifacts[row.pop("trial_id")].append(Artifact(**row))
    added = {row.pop("trial_id"): row for row in named_rows(connection, _ADDITIONS, trials)}
    return tuple(
        _summary(
            row,
            added=added.get(row["trial_id"]),
            aggregates=tuple(aggregates[row["entry"]]),
            unscored=tuple(unscored[row["entry"]]),
            steps=tuple(steps[row["trial_id"]]),
            artifacts=tuple(artifacts[row["trial_id"]]),
        )
        for row in ended
    )


def _scored(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """A row per metric of what the study asks of trials that have ended for it."""
    rows = list(named_rows(connection, _AGGREGATES, {"entries": list(entries)}))
    gaps: dict[tuple[str, str], dict[str, Any]] = {}
    if any(row["note"] is not None for row in rows):
        keys = list({row["score_key"] for row in rows})
        found = named_rows(connection, _UNSCORED, {"keys": keys})
        gaps = {(row.pop("score_key"), row.pop("metric")): row for row in found}
    for row in rows:
        key = row.pop("score_key")
        yield {**row, **gaps.get((key, row["metric"]), {"unscored": 0, "worst": None})}


# Notes of a trial with these beginnings are sentences that a report shows.
_TOLD = ("cut_", "told_")


def _summary(
    row: Mapping[str, Any],
    added: Mapping[str, Any] | None,
    aggregates: tuple[Aggregate, ...],
    unscored: tuple[str, ...],
    steps: tuple[StepReport, ...],
    artifacts: tuple[Artifact, ...],
) -> TrialSummary:
    """The trial of a row of table ``trial``, named by a study, and what other tables have of it."""
    environment: dict[str, str] = json.loads(row["environment"])
    examples = environment.get("train_examples")
    stopped: str | None = row["stopped"]
    checkpoint: str | None = row["checkpoint"]
    writing: str | None = row["writing"]
    return TrialSummary(
        trial_id=row["trial_id"],
        arm=row["arm"],
        kind=row["kind"],
        phase=row["phase"],
        number=row["number"],
        seed=row["seed"],
        status=row["status"],
        params=json.loads(row["params"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        failure_kind=row["failure_kind"],
        failure_message=row["failure_message"],
        canaries=canaries_of(row),
        cost=_cost(row),
        added_seconds=added["added_seconds"] if added else 0.0,
        measuring=_measuring(row, added),
        aggregates=aggregates,
        steps=steps,
        train_items=row["train_items"],
        stopped=None if stopped is None else from_json(Stopped, stopped),
        training_memory=environment.get("training_memory", ""),
        train_examples=None if examples is None else int(examples),
        cut=tuple(what for name, what in environment.items() if name.startswith(_TOLD)),
        unscored=unscored,
        artifacts=artifacts,
        checkpoint=None if checkpoint is None else from_json(Checkpoint, checkpoint),
        writing=None if writing is None else from_json(Writing, writing),
        ways=tuple(WayScore(**way) for way in json.loads(environment.get("ways", "[]"))),
    )


def steps_of(connection: duckdb.DuckDBPyConnection, trial_id: str) -> tuple[StepReport, ...]:
    """The optimiser steps of one trial, in order."""
    rows = connection.execute(_STEPS, {"trials": [trial_id]}).fetchall()
    return tuple(StepReport(*step) for _, *step in rows)


def canaries_of(row: Mapping[str, Any]) -> Canaries | None:
    """None where no canaries ran."""
    if row["canary_prompt_tokens_equal"] is None:
        return None
    return Canaries(**{field.name: row[f"canary_{field.name}"] for field in fields(Canaries)})


def _measuring(row: Mapping[str, Any], added: Mapping[str, Any] | None) -> Measuring:
    """What judges took for a trial: when it ran, and of it later."""
    parts = ("seconds", "tokens", "money")
    then = Measuring(*(row[f"measure_{part}"] or 0 for part in parts))
    return then + Measuring(*(float(added[part]) for part in parts)) if added else then


def _cost(row: Mapping[str, Any]) -> TrialCost | None:
    """None where the trial failed before it was known."""
    if row["artifact_bytes"] is None:
        return None
    return TrialCost(**{field.name: row[field.name] for field in fields(TrialCost)})


def _aggregate(row: Mapping[str, Any]) -> Aggregate:
    """An aggregate of a row whose columns are its fields; numbers that are missing are NaN."""
    missing = dict.fromkeys(
        (name for name in ("prompt_tokens", "completion_tokens", "seconds") if row[name] is None),
        math.nan,
    )
    return Aggregate(**{**row, **missing, "latencies": tuple(row["latencies"])})
