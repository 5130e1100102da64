"""What studies have in common."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from harness.store.connection import named_rows

# Other studies, and how many trials they name that one study names too.
_SHARED = """
SELECT e.name, e.experiment_id, count(DISTINCT mine.trial_id) AS trials
FROM study_trial mine
JOIN study_trial other USING (trial_id)
JOIN experiment e ON e.experiment_id = other.experiment_id
WHERE mine.experiment_id = $experiment_id AND other.experiment_id <> $experiment_id
GROUP BY ALL ORDER BY e.name, e.experiment_id
"""


@dataclass(frozen=True, slots=True)
class SharedTrials:
    """What another study has in common with one that is to go."""

    name: str
    """The other study's name."""
    experiment_id: str
    """Its id."""
    trials: int
    """Number of trials of the one that is to go that the other names too."""


def shared_trials(
    connection: duckdb.DuckDBPyConnection, experiment_id: str
) -> tuple[SharedTrials, ...]:
    """The other studies that name trials of this one."""
    rows = named_rows(connection, _SHARED, {"experiment_id": experiment_id})
    return tuple(SharedTrials(**row) for row in rows)
