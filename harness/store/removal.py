"""A study out of the tables. What was read of test sets stays on record."""

from __future__ import annotations

from dataclasses import asdict

import duckdb

from harness.errors import InputError
from harness.records import JsonValue, RemovedStudy
from harness.store.experiments import experiment_by_id

_TRIALS = "SELECT count(*) FROM study_trial WHERE experiment_id = $experiment_id"
# The untouched base is no arm: what it scored decides nothing.
_TESTED = """
SELECT count(*) > 0 FROM event WHERE experiment_id = $experiment_id AND kind = 'test_access'
AND detail ->> '$.phase' IS DISTINCT FROM 'baseline'
"""
_DELETIONS = (
    "DELETE FROM study_score WHERE entry IN "
    "(SELECT entry FROM study_trial WHERE experiment_id = $experiment_id)",
    "DELETE FROM study_trial WHERE experiment_id = $experiment_id",
    "DELETE FROM experiment_split WHERE experiment_id = $experiment_id",
    "DELETE FROM experiment WHERE experiment_id = $experiment_id",
    "DELETE FROM event WHERE experiment_id = $experiment_id AND kind <> 'test_access'",
)


def delete_study(connection: duckdb.DuckDBPyConnection, experiment_id: str) -> RemovedStudy:
    """Delete the study, inside the caller's transaction.

    Its trials stay, named by it no more, and so do its accesses to test sets.

    Raises:
        InputError: there is no such study.
    """
    study = {"experiment_id": experiment_id}
    experiment = experiment_by_id(connection, experiment_id)
    if experiment is None:
        raise InputError(f"no experiment has the id {experiment_id!r}: it was removed already")
    ((trials,),) = connection.execute(_TRIALS, study).fetchall()
    tested = connection.execute(_TESTED, study).fetchone()
    for statement in _DELETIONS:
        connection.execute(statement, study)
    return RemovedStudy(
        experiment_id=experiment_id,
        name=experiment.name,
        trials=trials,
        test_fingerprint=experiment.data.test_fingerprint,
        tested=bool(tested and tested[0]),
    )


def removal_detail(removed: RemovedStudy) -> dict[str, JsonValue]:
    """What the event ``removed`` holds of it."""
    detail = asdict(removed)
    detail.pop("experiment_id")
    return detail
