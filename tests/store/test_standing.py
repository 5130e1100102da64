"""What events say of how far a study is."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.records import Event, StoredStudy
from harness.store import StoreReader, StoreWriter
from harness.store.standing import standing

from .example_records import NOW, example_store, experiment, failed, trial

VERDICT = {
    "outcome": "fine_tune", "winner": "lora", "sentence": "Fine-tune.", "harness": "0.1.0",
    "rules_hash": "abc",
}  # fmt: skip
RUN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("declared", {"first": True, "changes": {}, "facts": {}}),
    ("planned", {"trials": 9}),
    ("finished", {"trials": 9, "failed": 0}),
    ("verdict", VERDICT),
)


def left(*later: tuple[str, dict[str, Any]]) -> set[str]:
    """What holds of a study that was finished and judged, after more events."""
    events = [Event(NOW, kind, "ada", detail) for kind, detail in (*RUN, *later)]
    found = standing(events)
    return {name for name in ("planned", "finished", "verdict") if getattr(found, name)}


def declared(*fields: str, facts: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    """A declaration that changed these fields of the file, and these facts."""
    changes, found = ({key: {"before": 1, "after": 2} for key in keys} for keys in (fields, facts))
    return "declared", {"first": False, "changes": changes, "facts": found}


def test_a_run_that_came_to_its_end_is_finished_and_judged() -> None:
    assert left() == {"planned", "finished", "verdict"}
    assert standing([]).finished is None


@pytest.mark.parametrize(
    "field",
    ["contrast.margin", "cost.machine_per_hour", "constraints.latency", "question",
     "general.margin", "arms.served.endpoint.prompt_price"],
)  # fmt: skip
def test_what_is_only_judged_otherwise_stays_finished_but_not_judged(field: str) -> None:
    assert left(declared(field)) == {"planned", "finished"}


@pytest.mark.parametrize("field", ["budget.trials", "seeds", "general.limit", "costs"])
def test_what_is_declared_otherwise_is_finished_no_more(field: str) -> None:
    assert left(declared(field)) == set()
    assert left(declared(field, "question")) == set()
    assert left(declared(field), *RUN[1:3]) == {"planned", "finished"}


@pytest.mark.parametrize(
    "field",
    ["execution.workers", "execution.deadline_minutes", "arms.served.endpoint.concurrency",
     "arms.served.endpoint.spending_cap", "data.source", "data.splits.test", "general.suite",
     "data.out_of_domain.other", "model.reference"],
)  # fmt: skip
def test_what_neither_runs_nor_judges_takes_nothing_back(field: str) -> None:
    assert left(declared(field)) == {"planned", "finished", "verdict"}
    assert left(declared(field, "question")) == {"planned", "finished"}
    assert left(declared(field, "seeds")) == set()


@pytest.mark.parametrize("field", ["arms.served.endpoint.url", "arms.served.shots", "model.dtype"])
def test_an_arm_or_model_declared_otherwise_is_finished_no_more(field: str) -> None:
    assert left(declared(field)) == set()


def test_facts_that_changed_take_it_back_unless_they_are_places() -> None:
    assert left(declared(facts=("data.source", "model.path"))) == {"planned", "finished", "verdict"}
    assert left(declared("question", facts=("model.path",))) == {"planned", "finished"}
    assert left(declared(facts=("model.path", "model.fingerprint"))) == set()


def test_a_trial_that_ran_again_was_not_judged() -> None:
    assert left(("trial_replaced", {})) == {"planned", "finished"}


def study(writer: StoreWriter) -> StoredStudy:
    (found,) = StoreReader(writer.path).studies()
    return found


def test_a_stored_study_has_its_numbers_and_times(tmp_path: Path) -> None:
    days = count(1)
    writer = StoreWriter(tmp_path / "s.duckdb", now=lambda: f"2026-02-{next(days):02}")
    writer.declare(experiment())
    assert study(writer) == StoredStudy(experiment(), declared_at="2026-02-02")
    writer.ingest(trial("t1"))
    writer.ingest(failed(trial("t2", seed=2)))
    writer.record_event("e1", "planned", {"trials": 5})
    writer.record_event("e1", "planned", {"trials": 3})
    found = study(writer)
    assert (found.trials, found.ended, found.planned) == ({"complete": 1, "failed": 1}, 2, 3)
    assert (found.worked_at, found.finished) == ("2026-01-02T03:05:05+00:00", False)
    writer.record_event("e1", "finished", {"trials": 2, "failed": 1})
    assert study(writer).finished_at == "2026-02-07"


def test_a_verdict_on_other_trials_is_none_on_these(tmp_path: Path) -> None:
    writer = example_store(tmp_path / "s.duckdb")
    writer.record_event("e1", "verdict", {**VERDICT, "trials": {"complete": 4}})
    noted = study(writer).verdict
    assert noted is not None
    assert (noted.outcome, noted.winner, noted.harness) == ("fine_tune", "lora", "0.1.0")
    writer.ingest(trial("t9", seed=9))
    assert study(writer).verdict is None
