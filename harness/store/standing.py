"""How far each study is: what its events and the numbers of its trials say."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from harness.records import (
    JUDGING_FIELDS,
    Event,
    ExperimentRecord,
    JsonValue,
    StoredStudy,
    StoredVerdict,
)
from harness.spec.endpoint import TERMS
from harness.store.connection import named_rows
from harness.store.experiments import all_experiments

_TRIALS = """
SELECT experiment_id, status, count(*) AS trials, max(ended_at) AS ended FROM trials GROUP BY ALL
"""
_DECLARED = "SELECT experiment_id, declared_at FROM experiment"
_EVENTS = """
SELECT experiment_id, recorded_at AS "at", kind, who, detail FROM event
WHERE kind IN ('declared', 'planned', 'finished', 'verdict', 'trial_replaced') ORDER BY event_id
"""
# Where things lie: fields of the file, and facts found at its declaration. Within one study their
# contents are the same, since these are part of its identity.
_PLACES = frozenset(
    {
        "data.source", "data.encoding", "data.splits.test", "data.splits.validation",
        "general.suite", "general.replay.source", "model.reference", "model.path",
    }
)  # fmt: skip
_PLACES_BELOW = "data.out_of_domain."
# Terms that tell what an answer costs.
_PRICES = ("prompt_price", "completion_price")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a study's events say of how far it is. None where none says it, or none any more."""

    planned: Event | None = None
    """The latest event ``planned``: its detail has the number of ``trials``."""
    finished: Event | None = None
    """The latest event ``finished``: a run came to its end."""
    verdict: Event | None = None
    """The latest event ``verdict``, unless what it judged was declared otherwise since."""


def standing(events: Iterable[Event]) -> Standing:
    """What a study's events, in order, say of how far it is.

    A declaration after which other trials may have to run takes back that the study is finished,
    until a run comes to its end again; one after which the same trials may be judged otherwise
    takes back the verdict alone. Where data, model and suites lie does neither, nor does how
    processes are limited and a server is asked.
    """
    latest: dict[str, Event] = {}
    for event in events:
        latest[event.kind] = event
        if event.kind == "trial_replaced":
            latest.pop("verdict", None)
        if event.kind == "declared":
            for kind in _taken_back(event.detail):
                latest.pop(kind, None)
    return Standing(*(latest.get(kind) for kind in ("planned", "finished", "verdict")))


def _taken_back(detail: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The kinds of events that hold no more after a declaration."""
    # What lies at another place is the same where its fingerprint has not changed beside it.
    if detail.get("first") or set(detail.get("facts") or ()) - _PLACES:
        return ("planned", "finished", "verdict")
    changed = [key for key in detail.get("changes") or () if not _changes_nothing(key)]
    if not all(_only_judges(key) for key in changed):
        return ("planned", "finished", "verdict")
    return ("verdict",) if changed else ()


def _changes_nothing(key: str) -> bool:
    """Whether a field of the file, by its dotted key, neither runs nor judges anything."""
    if _is_term(key):
        return not _only_judges(key)
    return key in _PLACES or key.startswith(_PLACES_BELOW) or key.startswith("execution.")


def _only_judges(key: str) -> bool:
    """Whether a field of the file, by its dotted key, judges what was run and no more."""
    # A margin that the search heeds is part of the study's identity: here it only judges.
    if key == "general.margin" or key.partition(".")[0] in JUDGING_FIELDS:
        return True
    return _is_term(key) and key.endswith(_PRICES)


def _is_term(key: str) -> bool:
    """Whether it is a term on which an arm's server is asked."""
    field, _, rest = key.partition(".")
    _, endpoint, term = rest.rpartition(".endpoint.")
    return field == "arms" and bool(endpoint) and term in TERMS


def stored_studies(connection: duckdb.DuckDBPyConnection) -> tuple[StoredStudy, ...]:
    """Every study, the one declared last at the end."""
    declared = {
        row["experiment_id"]: row["declared_at"] for row in named_rows(connection, _DECLARED)
    }
    trials: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in named_rows(connection, _TRIALS):
        trials[row["experiment_id"]].append(row)
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for row in named_rows(connection, _EVENTS):
        identity = row.pop("experiment_id")
        events[identity].append(Event(**{**row, "detail": json.loads(row["detail"])}))
    return tuple(
        _study(
            experiment,
            declared[experiment.experiment_id],
            trials[experiment.experiment_id],
            standing(events[experiment.experiment_id]),
        )
        for experiment in all_experiments(connection)
    )


def _study(
    experiment: ExperimentRecord, declared: str, trials: list[dict[str, Any]], found: Standing
) -> StoredStudy:
    numbers = {row["status"]: row["trials"] for row in trials}
    noted = found.verdict.detail if found.verdict else None
    return StoredStudy(
        experiment=experiment,
        declared_at=declared,
        trials=numbers,
        worked_at=max((row["ended"] for row in trials), default=""),
        planned=found.planned.detail["trials"] if found.planned else None,
        finished_at=found.finished.at if found.finished else None,
        # Of other trials than are stored it says nothing.
        verdict=_verdict(noted) if noted and noted["trials"] == numbers else None,
    )


def _verdict(noted: Mapping[str, JsonValue]) -> StoredVerdict:
    return StoredVerdict(noted["outcome"], noted["winner"], noted["sentence"], noted["harness"])
