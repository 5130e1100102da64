"""Experiments and their events, out of the tables."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from harness.records import Event, ExperimentRecord, from_json
from harness.store.earlier import current_form

_EXPERIMENTS = """
SELECT e.experiment_id, e.name, e.created_at, e.spec, e.data, e.model, e.environment,
       e.general_tasks,
       (SELECT CAST(json_group_object(s.split, s.examples) AS VARCHAR)
        FROM experiment_split s WHERE s.experiment_id = e.experiment_id)
FROM experiment e
"""
_BY_ID = _EXPERIMENTS + "WHERE e.experiment_id = ?"
# Times are to the second; events are numbered, so they settle ties.
_ORDER = """ORDER BY e.declared_at,
    (SELECT max(v.event_id) FROM event v WHERE v.experiment_id = e.experiment_id) NULLS FIRST,
    e.experiment_id
"""
_ALL = _EXPERIMENTS + _ORDER

_EVENTS = (
    "SELECT recorded_at, kind, who, detail FROM event WHERE experiment_id = ? ORDER BY event_id"
)


def experiment_by_id(
    connection: duckdb.DuckDBPyConnection, experiment_id: str
) -> ExperimentRecord | None:
    """The experiment as last declared; None if the store does not have it."""
    row = connection.execute(_BY_ID, [experiment_id]).fetchone()
    return None if row is None else _experiment(row)


def all_experiments(connection: duckdb.DuckDBPyConnection) -> tuple[ExperimentRecord, ...]:
    """Every experiment, the one declared last at the end."""
    return tuple(_experiment(row) for row in connection.execute(_ALL).fetchall())


def events_of(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> tuple[Event, ...]:
    """The experiment's events, in the order in which they were recorded."""
    return tuple(
        Event(at=at, kind=kind, who=who, detail=json.loads(detail))
        for at, kind, who, detail in connection.execute(_EVENTS, [experiment_id]).fetchall()
    )


def _experiment(row: tuple[Any, ...]) -> ExperimentRecord:
    experiment_id, name, created_at, spec, data, model, environment, general_tasks, splits = row
    return from_json(
        ExperimentRecord,
        json.dumps(
            {
                "experiment_id": experiment_id,
                "name": name,
                "created_at": created_at,
                "spec": current_form(json.loads(spec)),
                "splits": json.loads(splits or "{}"),
                "data": json.loads(data),
                "model": json.loads(model),
                "environment": json.loads(environment),
                "general_tasks": json.loads(general_tasks),
            }
        ),
    )
