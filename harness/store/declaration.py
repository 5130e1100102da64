"""Declarations of one experiment: how one is stored, and what changed since the one before."""

from __future__ import annotations

import json

import duckdb

from harness.records import ExperimentRecord, JsonValue, content_hash, flattened, to_plain

_FACTS = ("name", "splits", "data", "model", "general_tasks")


def spec_changes(
    before: ExperimentRecord, after: ExperimentRecord
) -> dict[str, dict[str, JsonValue]]:
    """Dotted key of the experiment file -> ``before`` and ``after``; a missing side is absent."""
    return _changes(flattened(before.spec), flattened(after.spec))


def fact_changes(
    before: ExperimentRecord, after: ExperimentRecord
) -> dict[str, dict[str, JsonValue]]:
    """What changed of facts found at declaration: split sizes, data, model, general tasks.

    Of the data, the leakage audit is left out: it follows from the rest, and differs only where a
    task of the general suite could not be read at one of the two times. Of people's marks, it is a
    hash that is compared.
    """
    return _changes(flattened(_facts(before)), flattened(_facts(after)))


def _facts(experiment: ExperimentRecord) -> dict[str, JsonValue]:
    plain = to_plain(experiment)
    calibration = plain["data"]["calibration"]
    data = {name: value for name, value in plain["data"].items() if name != "audit"}
    data["calibration"] = {judge: content_hash(marks) for judge, marks in calibration.items()}
    return {name: plain[name] for name in _FACTS} | {"data": data}


def _changes(
    before: dict[str, JsonValue], after: dict[str, JsonValue]
) -> dict[str, dict[str, JsonValue]]:
    changed: dict[str, dict[str, JsonValue]] = {}
    for key in sorted(before.keys() | after.keys()):
        sides = {
            side: values[key]
            for side, values in (("before", before), ("after", after))
            if key in values
        }
        if len(sides) < 2 or sides["before"] != sides["after"]:
            changed[key] = sides
    return changed


def put_experiment(
    connection: duckdb.DuckDBPyConnection, experiment: ExperimentRecord, now: str
) -> None:
    """Store the experiment in place of what was declared before."""
    plain = to_plain(experiment)
    documents = ("spec", "data", "model", "environment", "general_tasks")
    connection.execute(
        "INSERT OR REPLACE INTO experiment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            experiment.experiment_id,
            experiment.name,
            experiment.created_at,
            now,
            *(json.dumps(plain[name], ensure_ascii=False) for name in documents),
        ],
    )
    connection.execute(
        "DELETE FROM experiment_split WHERE experiment_id = ? AND split NOT IN (SELECT unnest(?))",
        [experiment.experiment_id, list(experiment.splits)],
    )
    connection.execute(
        "INSERT OR REPLACE INTO experiment_split SELECT ?, unnest(?), unnest(?)",
        [experiment.experiment_id, list(experiment.splits), list(experiment.splits.values())],
    )


def search_seen(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> bool:
    """Whether a search trial of it has ended."""
    row = connection.execute(
        "SELECT 1 FROM named_trial WHERE experiment_id = ? AND phase = 'search' LIMIT 1",
        [experiment_id],
    ).fetchone()
    return row is not None


def test_accessed(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> bool:
    """Whether test items have been scored for it."""
    row = connection.execute(
        "SELECT 1 FROM event WHERE experiment_id = ? AND kind = 'test_access' LIMIT 1",
        [experiment_id],
    ).fetchone()
    return row is not None
