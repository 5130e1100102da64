"""What goes in, once, and comes out again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings

from harness.errors import StoreError
from harness.records import Checkpoint, ScoreRequest, StepReport, TrialRecord, Unscored
from harness.store import StoreReader, StoreWriter, read_record, write_record
from tests.data_records import audit_record, by_kind

from .example_records import NOW, example_store, experiment, failed, pruned, score, trial
from .test_trial_folder import records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "harness.duckdb"


@pytest.fixture
def writer(path: Path) -> StoreWriter:
    writer = StoreWriter(path, now=lambda: NOW)
    writer.declare(experiment())
    return writer


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {
            name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in tables
        }


def test_an_experiment_comes_back_as_it_was(path: Path, writer: StoreWriter) -> None:
    assert StoreReader(path).experiments() == (experiment(),)


def test_declaring_again_changes_nothing(path: Path, writer: StoreWriter) -> None:
    before = contents(path)
    later = replace(experiment(), created_at="2030-01-01T00:00:00+00:00")
    assert writer.declare(later) is False
    assert contents(path) == before


def test_declaring_differently_says_what_changed(path: Path, writer: StoreWriter) -> None:
    first = experiment()
    spec = {**first.spec, "contrast": {"margin": 0.1}, "seeds": [1]}
    del spec["cost"]
    assert writer.declare(replace(first, spec=spec, splits={"train": 9, "test": 4})) is True
    study = StoreReader(path).study("e1")
    assert study.experiment.spec == spec
    assert study.experiment.splits == {"train": 9, "test": 4}
    assert study.experiment.created_at == NOW
    assert [event.kind for event in study.events] == ["declared", "declared"]
    assert study.events[0].detail["first"] is True
    assert study.events[1].detail == {
        "first": False,
        "changes": {
            "contrast.margin": {"before": 0.02, "after": 0.1},
            "cost.currency": {"before": "EUR"},
            "cost.machine_per_hour": {"before": 3.6},
            "seeds": {"after": [1]},
        },
        "facts": {
            "splits.train": {"before": 8, "after": 9},
            "splits.validation": {"before": 4},
        },
        "search_seen": False,
        "test_accessed": False,
    }


def test_what_the_audit_could_read_is_no_change_of_the_declaration(
    path: Path, writer: StoreWriter
) -> None:
    audit = audit_record(general={"facts": by_kind(exact=["f1"])}, general_not_audited=("far",))
    first = experiment()
    again = replace(first, data=replace(first.data, audit=audit))
    assert writer.declare(again) is False
    stored = StoreReader(path).study("e1")
    assert stored.experiment.data.audit == audit
    assert [event.kind for event in stored.events] == ["declared"]


def test_a_change_after_a_look_at_the_test_items_is_marked(tmp_path: Path) -> None:
    writer = example_store(tmp_path / "s.duckdb")
    writer.declare(replace(experiment(), spec=experiment().spec | {"question": "other"}))
    last = StoreReader(tmp_path / "s.duckdb").study("e1").events[-1]
    assert last.detail["test_accessed"] is True


def test_the_same_record_is_stored_once(path: Path, writer: StoreWriter) -> None:
    record = trial(scores=[score("k")])
    assert writer.ingest(record) is True
    before = contents(path)
    write_record(path.parent / "t1", record)
    assert writer.ingest(record) is False
    assert writer.ingest(read_record(path.parent / "t1")) is False
    assert contents(path) == before


def test_other_content_under_one_id_is_refused(path: Path, writer: StoreWriter) -> None:
    record = trial(scores=[score("k")])
    writer.ingest(record)
    before = contents(path)
    others = (replace(record, ended_at="2027"), replace(record, scores=()), failed(record))
    for other in others:
        with pytest.raises(StoreError, match="other content"):
            writer.ingest(other)
    assert contents(path) == before


def test_a_retry_replaces_a_failure(path: Path, writer: StoreWriter) -> None:
    record = trial(scores=[score("k"), score("k2", "other")])
    writer.ingest(failed(replace(record, scores=record.scores[:1])))
    assert StoreReader(path).known_scores(["k", "k2"]) == frozenset()
    with pytest.raises(StoreError, match="other content"):
        writer.ingest(failed(record, message="again"))
    assert writer.ingest(record) is True
    study = StoreReader(path).study("e1")
    assert [one.status for one in study.trials] == ["complete"]
    assert len(study.vectors) == 2
    event = study.events[-1]
    assert event.kind == "trial_replaced"
    assert event.detail["failure_message"] == "signal 9"
    assert StoreReader(path).known_scores(["k", "k2", "k3"]) == {"k", "k2"}


def test_a_failed_retry_replaces_a_failure_where_asked(path: Path, writer: StoreWriter) -> None:
    writer.ingest(failed(trial(scores=[score("k")]), "hung", "silent"))
    again = failed(trial(scores=[score("k2")]), "killed", "signal 9")
    assert writer.ingest(again, replace_failed=True) is True
    assert writer.ingest(again, replace_failed=True) is False
    study = StoreReader(path).study("e1")
    assert [one.failure_kind for one in study.trials] == ["killed"]
    assert [(one.kind, one.detail.get("failure_kind")) for one in study.events] == [
        ("declared", None),
        ("trial_replaced", "hung"),
    ]
    done = trial(scores=[score("k")])
    assert writer.ingest(done, replace_failed=True) is True
    with pytest.raises(StoreError, match="stored as complete with other content"):
        writer.ingest(failed(done), replace_failed=True)


def test_a_pruned_trial_has_no_scores(path: Path, writer: StoreWriter) -> None:
    request = ScoreRequest("k", "feedback-validation", "domain", "validation")
    stopped = pruned(trial("t1", phase="search", known=[request]))
    stopped = replace(stopped, spec=replace(stopped.spec, known_scores=()))
    write_record(path.parent / "t1", stopped)
    assert read_record(path.parent / "t1") == stopped
    writer.ingest(read_record(path.parent / "t1"))
    assert StoreReader(path).known_scores(["k"]) == frozenset()
    # Another trial computes what this one gave up on: that is no score of this one.
    held = score("k", "feedback-validation", split="validation")
    writer.ingest(trial("t2", [held], phase="search", seed=2))
    assert StoreReader(path).known_scores(["k"]) == {"k"}
    first, second = StoreReader(path).trials("e1")
    assert (first.status, first.stopped, first.aggregates) == ("pruned", stopped.stopped, ())
    assert second.stopped is None
    assert len(second.aggregates) == 2
    query = StoreReader(path).query
    assert query("SELECT trial_id FROM named_score").rows == (("t2",),)
    assert query("SELECT stopped ->> '$.done' FROM trial WHERE trial_id = 't1'").rows == (("8",),)
    # Nor may it bring any, or be silent about where it was stopped.
    for wrong in (replace(stopped, scores=(score("k9"),)), replace(stopped, stopped=None)):
        with pytest.raises(StoreError, match="says where it was stopped and has no scores"):
            writer.ingest(replace(wrong, spec=replace(wrong.spec, trial_id="t3")))


@pytest.mark.parametrize("trained", [True, False])
def test_a_trial_that_was_trained_again_says_which_weights_it_kept(
    path: Path, writer: StoreWriter, trained: bool
) -> None:
    first = trial("t1")
    writer.ingest(first)
    other = Checkpoint(2, 2, 1.0, 0.7, 0.7)
    added = replace(first, spec=replace(first.spec, adds=True), steps=(), checkpoint=other)
    # Where it was scored alone, its files and what is said of them are the earlier ones.
    writer.ingest(added if trained else replace(added, artifacts=(), checkpoint=None))
    (stored,) = StoreReader(path).trials("e1")
    assert stored.checkpoint == (other if trained else first.checkpoint)


def test_a_failed_trials_score_gives_way_to_a_fresh_one(path: Path, writer: StoreWriter) -> None:
    writer.ingest(failed(trial("t1", [score("k", values=(0.0, 0.0))]), "canary"))
    writer.ingest(trial("t2", [score("k", values=(1.0, 1.0))]))
    writer.ingest(trial("t1", [score("k1")]))
    rows = (
        StoreReader(path)
        .query(
            "SELECT trial_id, value FROM scores WHERE score_key = 'k' AND metric = 'exact_match'"
        )
        .rows
    )
    assert rows == (("t2", 1.0),)


def test_a_score_is_stored_once_and_shared(path: Path, writer: StoreWriter) -> None:
    writer.ingest(trial("t1", [score("k")]))
    request = ScoreRequest("k", "feedback-test", "domain", "test")
    writer.ingest(trial("t2", known=[request], seed=2))
    writer.ingest(trial("t3", [score("k", values=(1.0, 1.0, 1.0, 1.0))], seed=3))
    reader = StoreReader(path)
    reused = {one.trial_id: one.aggregates[0].reused for one in reader.trials("e1")}
    assert reused == {"t1": False, "t2": True, "t3": True}
    study = reader.study("e1")
    assert [vector.trial_id for vector in study.vectors] == ["t1", "t2", "t3"]
    assert all(vector.values[1] == 0.0 for vector in study.vectors)
    assert study.events[-1].kind == "score_differs"
    differing = study.events[-1].detail["metrics"]
    assert differing == {"exact_match": {"stored": pytest.approx(2 / 3), "fresh": 1.0}}


def test_trials_may_come_in_before_the_one_that_scored_for_them(
    path: Path, writer: StoreWriter
) -> None:
    request = ScoreRequest("k", "feedback-test", "domain", "test")
    writer.ingest(trial("t2", known=[request], seed=2))
    unscored = "SELECT unscored FROM trials WHERE trial_id = 't2'"
    # For its study it has not ended.
    assert StoreReader(path).query(unscored).rows == ()
    assert StoreReader(path).trials("e1") == ()
    writer.ingest(trial("t1", [score("k")]))
    assert StoreReader(path).query(unscored).rows == ((0,),)
    assert len(StoreReader(path).study("e1").vectors) == 2


@pytest.mark.parametrize(("higher", "worst"), [(True, 0.25), (False, 0.75)])
def test_a_metric_comes_back_with_what_it_could_not_score(
    path: Path, writer: StoreWriter, higher: bool, worst: float
) -> None:
    values = (0.75, None, 0.25, None)
    gap = Unscored("exact_match", "item-1", 2, "no number")
    record = replace(
        score("k", values=values),
        unscored=(gap,),
        higher_is_better={"exact_match": higher, "macro_f1": True},
    )
    writer.ingest(trial(scores=[record]))
    (summary,) = StoreReader(path).trials("e1")
    exact, f1 = summary.aggregates
    assert (exact.items, exact.unscored, exact.worst) == (4, 2, worst)
    assert (f1.unscored, f1.worst) == (0, None)


def test_a_trial_comes_back_without_its_items(path: Path, writer: StoreWriter) -> None:
    record = trial(scores=[score("k")])
    writer.ingest(record)
    (summary,) = StoreReader(path).trials("e1")
    for name in ("trial_id", "arm", "kind", "phase", "number", "seed", "params"):
        assert getattr(summary, name) == getattr(record.spec, name)
    for name in ("status", "started_at", "ended_at", "canaries", "cost", "steps", "checkpoint"):
        assert getattr(summary, name) == getattr(record, name)
    exact, f1 = summary.aggregates
    assert (exact.metric, exact.items, exact.prompt_tokens) == ("exact_match", 4, 10.0)
    assert (f1.metric, f1.value, f1.latencies) == ("macro_f1", 0.4, (0.1, 0.2, 0.3))


def test_numbers_that_are_not_are_null(path: Path, writer: StoreWriter) -> None:
    step = StepReport(1, 2, 0.5, math.nan, 1e-3, math.inf, 8, 1.0)
    one = replace(score("k", values=(math.nan, 1.0)), aggregates={"exact_match": math.nan})
    writer.ingest(replace(trial(scores=[one]), steps=(step,)))
    query = StoreReader(path).query
    assert query("SELECT loss, grad_norm FROM training_step").rows == ((None, math.inf),)
    assert query("SELECT value FROM items ORDER BY item_id").rows == ((None,), (1.0,))
    assert query("SELECT DISTINCT value FROM score_metric").rows == ((None,),)
    (summary,) = StoreReader(path).trials("e1")
    assert summary.aggregates == ()
    assert summary.steps[0].loss is None


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(record=records())
def test_any_record_can_be_stored(tmp_path: Path, record: TrialRecord) -> None:
    path = tmp_path / "any.duckdb"
    path.unlink(missing_ok=True)
    writer = StoreWriter(path)
    writer.declare(experiment())
    directed = tuple(
        replace(one, higher_is_better={"exact_match": True} | dict.fromkeys(one.aggregates, True))
        for one in record.scores
    )
    record = replace(record, scores=directed)
    taken = writer.take_in(record)
    assert writer.ingest(record) is False
    assert StoreReader(path).trials("e1") == (taken,)
    study = StoreReader(path).study("e1")
    assert study.trials[0].params == record.spec.params
    assert study.trials[0].steps == record.steps
    stored = {vector.doc_hashes for vector in study.vectors}
    assert stored == {
        tuple(item.doc_hash for item in one.outputs) for one in record.scores if one.outputs
    }


def test_ambiguous_records_are_refused(writer: StoreWriter) -> None:
    one = score("k")
    wrong = {
        "score key": [one, one],
        "doc_hash\\) ": [replace(one, outputs=one.outputs * 2)],
        "filter, metric": [replace(one, item_scores=one.item_scores * 2)],
        "no output": [replace(one, outputs=one.outputs[1:])],
        "direction": [replace(one, higher_is_better={})],
    }
    for message, scores in wrong.items():
        with pytest.raises(StoreError, match=message):
            writer.ingest(trial(scores=scores))


def test_names_and_events_need_a_declared_experiment(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s.duckdb")
    # A trial is no study's own: it may have been run for one that is gone.
    writer.ingest(trial())
    reader = StoreReader(tmp_path / "s.duckdb")
    assert (reader.status("t1"), reader.trials("e1")) == ("complete", ())
    with pytest.raises(StoreError, match="declare it"):
        writer.name_trial(trial().spec, {})
    with pytest.raises(StoreError, match="declare it"):
        writer.record_event("e1", "resumed", {})


def test_a_failing_ingestion_leaves_nothing(
    path: Path, writer: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    before = contents(path)
    with monkeypatch.context() as patch:
        patch.setattr("harness.store.ingest.insert_scores", killed)
        with pytest.raises(KeyboardInterrupt):
            writer.ingest(trial(scores=[score("k")]))
    assert contents(path) == before
    assert writer.ingest(trial(scores=[score("k")])) is True
