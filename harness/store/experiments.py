"""Experiments and their events, out of the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb

from harness.records import Event, ExperimentRecord, from_json
from harness.store.connection import named_rows

_EXPERIMENTS = """
SELECT e.experiment_id, e.name, e.created_at, e.spec, e.data, e.model, e.environment,
       e.general_tasks,
       (SELECT CAST(json_group_object(s.split, s.examples) AS VARCHAR)
        FROM experiment_split s WHERE s.experiment_id = e.experiment_id) AS splits
FROM experiment e
"""
_BY_ID = _EXPERIMENTS + "WHERE e.experiment_id = ?"
# Times are to the second; events are numbered, so they settle ties.
_ORDER = """ORDER BY e.declared_at,
    (SELECT max(v.event_id) FROM event v WHERE v.experiment_id = e.experiment_id) NULLS FIRST,
    e.experiment_id
"""
_ALL = _EXPERIMENTS + _ORDER

_EVENTS = """
SELECT recorded_at AS "at", kind, who, detail FROM event
WHERE experiment_id = ? ORDER BY event_id
"""


def experiment_by_id(
    connection: duckdb.DuckDBPyConnection, experiment_id: str
) -> ExperimentRecord | None:
    """The experiment as last declared; None if the store does not have it."""
    experiments = map(_experiment, named_rows(connection, _BY_ID, [experiment_id]))
    return next(experiments, None)


def all_experiments(connection: duckdb.DuckDBPyConnection) -> tuple[ExperimentRecord, ...]:
    """Every experiment, the one declared last at the end."""
    return tuple(map(_experiment, named_rows(connection, _ALL)))


def events_of(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> tuple[Event, ...]:
    """The experiment's events, in the order in which they were recorded."""
    return tuple(
        Event(**{**row, "detail": json.loads(row["detail"])})
        for row in named_rows(connection, _EVENTS, [experiment_id])
    )


def _experiment(row: Mapping[str, Any]) -> ExperimentRecord:
    documents = ("spec", "data", "model", "environment", "general_tasks", "splits")
    plain = {**row, **{name: json.loads(row[name] or "{}") for name in documents}}
    return from_json(ExperimentRecord, json.dumps(plain))
