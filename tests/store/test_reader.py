"""Named questions, views, and the user's SQL."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError, StoreError
from harness.records import FoundStudy, ItemScore, TrialCost
from harness.store import StoreReader, StoreWriter
from harness.store.connection import transaction

from .example_records import NOW, example_store, experiment, failed, score, trial


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "harness.duckdb"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example store, which each test copies."""
    path = tmp_path_factory.mktemp("example") / "harness.duckdb"
    example_store(path)
    return path


@pytest.fixture
def reader(path: Path, example: Path) -> StoreReader:
    shutil.copyfile(example, path)
    return StoreReader(path)


def test_no_store_says_to_run_first(path: Path) -> None:
    with pytest.raises(InputError, match="run an experiment first"):
        StoreReader(path).experiments()
    assert not path.exists()


@pytest.fixture
def writer(path: Path) -> StoreWriter:
    """A store whose clock goes on by a day with each call, from 2026-01-01."""
    days = count(1)
    return StoreWriter(path, now=lambda: f"2026-01-{next(days):02}T00:00:00+00:00")


def test_find_by_name_and_by_id(path: Path, writer: StoreWriter) -> None:
    for experiment_id in ("abc1", "abd2", "xyz"):
        name = "other" if experiment_id == "xyz" else "feedback"
        writer.declare(experiment(experiment_id, name))

    def found(name: str | None) -> str:
        return StoreReader(path).find(name).study.experiment.experiment_id

    assert found("feedback") == "abd2"
    writer.declare(experiment("abc1"))
    assert found("feedback") == "abc1"
    assert found(None) == "abc1"
    assert found("xy") == "xyz"
    assert found("abd") == "abd2"
    with pytest.raises(InputError, match=r"several .*'ab'.*feedback \(abc1\)"):
        found("ab")
    with pytest.raises(InputError, match=r"no experiment .*other \(xyz\)"):
        found("nothing")


def test_a_name_means_its_newest_finished_study(path: Path, writer: StoreWriter) -> None:
    for experiment_id in ("aa", "bb", "cc", "dd"):
        writer.declare(experiment(experiment_id, "other" if experiment_id == "dd" else "feedback"))
    reader = StoreReader(path)
    # None is finished: the newest, of which nothing newer can be told.
    assert ids(reader.find("feedback")) == ("cc", None)
    for experiment_id in ("bb", "aa"):
        writer.record_event(experiment_id, "finished", {"trials": 4, "failed": 0})
    # The one declared last counts, not the one whose run ended last.
    assert ids(reader.find("feedback")) == ("bb", "cc")
    assert ids(reader.find("other")) == ("dd", None)
    assert ids(reader.find(None)) == ("bb", "dd")
    assert ids(reader.find("cc")) == ("cc", None)
    writer.record_event("cc", "finished", {"trials": 4, "failed": 0})
    assert ids(reader.find("feedback")) == ("cc", None)


def ids(found: FoundStudy) -> tuple[str, str | None]:
    return found.study.short_id, found.newer.short_id if found.newer else None


def test_study_has_the_vectors_of_finalists_and_baseline(reader: StoreReader) -> None:
    study = reader.study("e1")
    assert study.experiment == experiment()
    found = [(one.trial_id, one.task, one.metric, len(one.values)) for one in study.vectors]
    assert found == [
        ("t0", "feedback-test", "exact_match", 4),
        ("t0", "capitals", "acc", 4),
        ("t1", "feedback-test", "exact_match", 4),
        ("t1", "capitals", "acc", 3),
        ("t2", "feedback-test", "exact_match", 4),
        ("t2", "capitals", "acc", 3),
    ]
    one = study.vectors[2]
    expected = score("k-1")
    assert one.doc_hashes == tuple(item.doc_hash for item in expected.outputs)
    assert one.clusters == ("group-0", "group-0", "group-1", "group-1")
    np.testing.assert_array_equal(one.values, [1.0, 0.0, 1.0, np.nan])
    assert (one.suite, one.split, one.higher_is_better, one.chance) == ("domain", "test", True, 0.5)
    assert [(item.seed, item.value) for item in study.items] == [
        (seed, value) for seed in (1, 2) for value in (1.0, 0.0, 1.0, None)
    ]
    assert study.items[0].output == "ja"
    assert len(study.trials) == 4


def test_values_belong_to_their_items_however_they_are_stored(reader: StoreReader) -> None:
    (one,) = {record.experiment_id for record in reader.experiments()}
    before = reader.study(one)
    with transaction(reader.path) as connection:
        connection.execute("CREATE TEMP TABLE kept AS FROM item_score")
        connection.execute("DELETE FROM item_score")
        connection.execute("INSERT INTO item_score FROM kept ORDER BY value, doc_hash DESC")
        connection.execute("DROP TABLE kept")
    after = reader.study(one)
    assert after.items == before.items
    for old, new in zip(before.vectors, after.vectors, strict=True):
        assert (new.trial_id, new.metric, new.doc_hashes) == (
            old.trial_id, old.metric, old.doc_hashes,
        )  # fmt: skip
        np.testing.assert_array_equal(new.values, old.values)


def test_items_without_a_value_of_a_metric_are_not_in_its_vector(reader: StoreReader) -> None:
    (one,) = {record.experiment_id for record in reader.experiments()}
    before = reader.study(one).vectors[0]
    gone = before.doc_hashes[0]
    with transaction(reader.path) as connection:
        connection.execute("DELETE FROM item_score WHERE doc_hash = ?", [gone])
    after = reader.study(one).vectors[0]
    assert after.doc_hashes == before.doc_hashes[1:]
    assert after.clusters == before.clusters[1:] and after.item_ids == before.item_ids[1:]
    np.testing.assert_array_equal(after.values, before.values[1:])


def test_vectors_of_every_phase_and_suite(path: Path) -> None:
    writer = example_store(path)
    hint = score("k-hint", "capitals", "general", metric="acc", values=(1, 0))
    held = score("k-held", "feedback-validation", split="validation")
    writer.ingest(trial("t4", [held, hint], phase="search", seed=9))
    writer.ingest(trial("t5", [score("k-default")], phase="default"))
    point = trial("t6", [score("k-curve", split="train")], phase="curve")
    how = {
        **point.environment,
        "training_memory": "micro-batches of 4",
        "train_examples": "3",
        "cut_prose": "2 prompts of prose are longer",
    }
    writer.ingest(replace(point, spec=replace(point.spec, train_items=4), environment=how))
    kl = score("k-kl", "prose", "divergence", metric="kl_to_base", values=(0.1, 0.2))
    known = [
        score(f"m-{split}", "memorisation", "memorisation", split=split, metric="verbatim")
        for split in ("train", "validation")
    ]
    writer.ingest(trial("t7", [kl, *known], seed=3))
    reader = StoreReader(path)
    study = reader.study("e1")
    found = [
        (one.trial_id, one.phase, one.suite, one.split, one.metric)
        for one in study.vectors
        if one.trial_id > "t2"
    ]
    assert found == [
        ("t4", "search", "general", "test", "acc"),
        ("t5", "default", "domain", "test", "exact_match"),
        ("t6", "curve", "domain", "train", "exact_match"),
        ("t7", "finalist", "divergence", "test", "kl_to_base"),
        ("t7", "finalist", "memorisation", "train", "verbatim"),
        ("t7", "finalist", "memorisation", "validation", "verbatim"),
    ]
    for vector in study.vectors:
        assert vector.item_ids == tuple(f"item-{n}" for n in range(len(vector.values)))
    assert {t.trial_id: t.train_items for t in study.trials if t.train_items} == {"t6": 4}
    assert {t.trial_id: t.training_memory for t in study.trials if t.training_memory} == {
        "t6": "micro-batches of 4"
    }
    assert {t.trial_id: t.train_examples for t in study.trials if t.train_examples} == {"t6": 3}
    assert {t.trial_id: t.cut for t in study.trials if t.cut} == {
        "t6": ("2 prompts of prose are longer",)
    }
    left = next(t.artifacts for t in study.trials if t.trial_id == "t1")
    assert [(a.path, a.bytes) for a in left] == [("adapter/adapter_model.safetensors", 1_840_000)]
    # A finalist is what the phase says, whatever else was scored on the same items.
    assert {item.seed for item in study.items} == {1, 2}
    rows = reader.query("SELECT trial_id, round(test, 3) FROM finalists ORDER BY 1").rows
    assert rows == (("t1", 0.667), ("t2", 0.667), ("t7", None))


def test_failed_finalists_have_no_vectors(path: Path) -> None:
    writer = StoreWriter(path)
    writer.declare(experiment())
    writer.ingest(failed(trial(scores=[score("k")])))
    study = StoreReader(path).study("e1")
    assert (study.vectors, study.items) == ((), ())
    assert study.trials[0].failure_kind == "killed"


def test_filters_of_one_metric_are_kept_apart(path: Path) -> None:
    one = score("k", values=(1.0, 0.0))
    other = tuple(replace(item, filter="any", value=0.25) for item in one.item_scores)
    writer = StoreWriter(path)
    writer.declare(experiment())
    writer.ingest(trial(scores=[replace(one, item_scores=one.item_scores + other)]))
    study = StoreReader(path).study("e1")
    assert [(vector.metric, vector.values.tolist()) for vector in study.vectors] == [
        ("exact_match", [1.0, 0.0]),
        ("exact_match (any)", [0.25, 0.25]),
    ]
    assert [item.value for item in study.items] == [1.0, 0.0]


def test_order_of_scoring_is_kept_for_items_scored_in_part(path: Path) -> None:
    one = score("k", values=(1.0, 0.0, 0.5, 0.25))
    some = tuple(
        ItemScore(item.doc_hash, "none", "exact_match", item.value)
        for item in reversed(one.item_scores[1:3])
    )
    writer = StoreWriter(path)
    writer.declare(experiment())
    writer.ingest(trial(scores=[replace(one, item_scores=some)]))
    (vector,) = StoreReader(path).study("e1").vectors
    assert vector.values.tolist() == [0.0, 0.5]


def test_unknown_experiment_and_one_without_a_metric(path: Path) -> None:
    writer = StoreWriter(path)
    writer.declare(replace(experiment(), spec={}))
    with pytest.raises(InputError, match="no experiment has the id"):
        StoreReader(path).study("other")
    with pytest.raises(StoreError, match="names no metric"):
        StoreReader(path).study("e1")


def test_view_trials(reader: StoreReader) -> None:
    rows = reader.query(
        "SELECT experiment, trial_id, arm, phase, seed, status, steps, last_loss, unscored "
        "FROM trials ORDER BY trial_id"
    ).rows
    assert rows[1] == ("feedback", "t1", "lora", "finalist", 1, "complete", 2, 0.7, 0)
    assert [row[1] for row in rows] == ["t0", "t1", "t2", "t3"]


def test_view_scores(reader: StoreReader) -> None:
    rows = reader.query(
        "SELECT task, metric, round(value, 3), items, prompt_tokens, reused FROM scores "
        "WHERE trial_id = $trial ORDER BY task, metric",
        {"trial": "t1"},
    ).rows
    assert rows == (
        ("capitals", "acc", 0.667, 3, 10.0, False),
        ("capitals", "macro_f1", 0.4, 3, 10.0, False),
        ("feedback-test", "exact_match", 0.667, 4, 10.0, False),
        ("feedback-test", "macro_f1", 0.4, 4, 10.0, False),
    )


def test_view_items(reader: StoreReader) -> None:
    rows = reader.query(
        "SELECT experiment, arm, seed, split, item_id, cluster, output, metric, value FROM items "
        "WHERE trial_id = 't1' AND task = 'feedback-test' ORDER BY item_id"
    ).rows
    assert rows[0] == (
        "feedback", "lora", 1, "test", "item-0", "group-0", "ja", "exact_match", 1.0,
    )  # fmt: skip
    assert [row[-1] for row in rows] == [1.0, 0.0, 1.0, None]


def test_view_finalists(reader: StoreReader) -> None:
    rows = reader.query(
        "SELECT arm, seed, metric, train, validation, round(test, 3) FROM finalists ORDER BY seed"
    ).rows
    assert rows == (
        ("lora", 1, "exact_match", None, None, 0.667),
        ("lora", 2, "exact_match", None, None, 0.667),
    )


def test_view_costs_has_latencies_of_the_trials_that_timed_requests(tmp_path: Path) -> None:
    writer = example_store(tmp_path / "s.duckdb")
    noted = replace(score("timed"), suite="latency", latencies=(0.1, 0.2, 0.3))
    writer.ingest(trial("timed", [noted], phase="latency"))
    rows = (
        StoreReader(writer.path)
        .query(
            "SELECT trial_id, latency_p50, round(latency_p95, 3) FROM costs "
            "WHERE latency_p50 IS NOT NULL"
        )
        .rows
    )
    assert rows == (("timed", 0.2, 0.29),)


def test_view_costs(reader: StoreReader) -> None:
    rows = reader.query(
        "SELECT train_tokens, prompt_tokens, completion_tokens, round(machine_money, 6), currency "
        "FROM costs WHERE trial_id = 't1'"
    ).rows
    assert rows == ((192, 10.0, 2.0, 0.01, "EUR"),)


def test_costs_of_a_trial_that_is_asked_for_twice_are_counted_once(tmp_path: Path) -> None:
    writer = example_store(tmp_path / "s.duckdb")
    first = trial("twin", [score("k-twin", "feedback-validation", split="validation")],
                  phase="search")  # fmt: skip
    writer.ingest(first)
    later = [score("k-later")]
    spec = replace(trial("twin", later).spec, adds=True)
    writer.name_trial(spec, {})
    took = TrialCost(2.0, 0.0, 5.0, 0, 1.0, None, 1, 0, 0)
    writer.ingest(replace(trial("twin", later), spec=spec, cost=took, artifacts=()))
    reader = StoreReader(writer.path)
    rows = reader.query(
        "SELECT phase, load_seconds, train_seconds, score_seconds, added_seconds, "
        "round(machine_money, 6) FROM costs WHERE trial_id = 'twin'"
    ).rows
    # At 0.001 EUR a second; the search asked for it first, the finalist for more of it.
    assert rows == (("finalist", 1.0, 6.0, 3.0, 7.0, 0.017),)
    named = [one for one in reader.trials("e1") if one.trial_id == "twin"]
    assert {one.phase: one.added_seconds for one in named} == {"search": 7.0, "finalist": 7.0}
    assert {one.added_seconds for one in reader.trials("e1") if one.trial_id != "twin"} == {0.0}


def test_items_that_were_answered(tmp_path: Path) -> None:
    writer = example_store(tmp_path / "s.duckdb")
    for key, task, values in (("k1", "short", (1.0, 0.0)), ("k2", "long", (1.0, 0.0, 0.0))):
        writer.ingest(trial(key, [replace(score(key, task, values=values), asked="me")]))
    reader = StoreReader(writer.path)
    assert reader.answered_items("me") == {"item-0", "item-1", "item-2"}
    assert reader.answered_items("nobody") == frozenset()


def test_view_test_accesses_counts_looks(path: Path) -> None:
    writer = example_store(path)
    again = {"trial_id": "t9", "arm": "lora", "seed": 1, "task": "feedback-test", "purpose": "peek"}
    writer.record_event("e1", "test_access", again, who="bob")
    # Started again after an interruption.
    repeated = {**again, "trial_id": "t2", "seed": 2, "purpose": "final score"}
    writer.record_event("e1", "test_access", repeated, who="ada")
    rows = (
        StoreReader(path)
        .query(
            "SELECT recorded_at, arm, seed, task, trial_id, purpose, who, look FROM test_accesses "
            "ORDER BY seed, look"
        )
        .rows
    )
    assert rows == (
        (NOW, "lora", 1, "feedback-test", "t1", "final score", "ada", 1),
        (NOW, "lora", 1, "feedback-test", "t9", "peek", "bob", 2),
        (NOW, "lora", 2, "feedback-test", "t2", "final score", "ada", 1),
        (NOW, "lora", 2, "feedback-test", "t2", "final score", "ada", 1),
    )


def test_query_and_frame(reader: StoreReader) -> None:
    result = reader.query("SELECT trial_id, ? AS one FROM trials ORDER BY 1 LIMIT 1", [7])
    assert (result.columns, result.rows) == (("trial_id", "one"), (("t0", 7),))
    frame = reader.as_frame("FROM items")
    assert list(frame.columns[:2]) == ["experiment", "experiment_id"]
    assert len(frame) == len(reader.query("FROM items").rows)
    assert reader.query("DESCRIBE trials").columns[0] == "column_name"


REFUSED = (
    "INSERT INTO artifact VALUES ('t', 'p', 's', 1)",
    "DELETE FROM trial",
    "DROP VIEW items",
    "CREATE TEMP TABLE x AS SELECT 1",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)",
    "WITH x AS (COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false)) SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{store}.wal' (USE_TMP_FILE false)) SELECT * FROM x",
    "WITH x AS (INSERT INTO artifact VALUES ('t', 'p', 's', 1) RETURNING path) SELECT * FROM x",
    "ATTACH '{folder}/other.duckdb'",
    "ATTACH '{store}' AS again",
    "ATTACH ':memory:' AS memory",
    "EXPORT DATABASE '{folder}/export'",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{store}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "SELECT * FROM secret_list",
    "PRAGMA database_size",
    "SET threads = 1",
    "SET disabled_filesystems = ''",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL pragma_version()",
    "CHECKPOINT",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE trial",
    "",
    "SELECT nothing FROM trials",
    "SELECT getenv('HOME')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM read_json_objects('{secret}')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM json_execute_serialized_sql("
    "json_serialize_sql('SELECT * FROM read_text(''{secret}'')'))",
    "SELECT * FROM read_csv('s3://bucket/x.csv')",
    "SELECT * FROM read_csv('hf://datasets/x/y.csv')",
    "SELECT * FROM pandas_scan(123)",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "FROM read_text('/dev/stdin')",
    "FROM enable_logging('QueryLog', storage = 'file', storage_path = '{folder}/log')",
    "PREPARE x AS SELECT 1",
    "SELEC 1",
)


@pytest.mark.parametrize("sql", REFUSED)
def test_query_reaches_nothing_but_the_tables(reader: StoreReader, sql: str) -> None:
    secret_list = [1, 2, 3]  # DuckDB would find it by name, as a table
    assert secret_list
    secret = reader.path.parent / "secret.csv"
    secret.write_text("password\nhunter2\n")
    before = {file.name: _digest(file) for file in reader.path.parent.iterdir()}
    sql = sql.format(folder=secret.parent, store=reader.path, secret=secret)
    with pytest.raises(InputError):
        reader.query(sql)
    with pytest.raises(InputError):
        reader.as_frame(sql)
    assert {file.name: _digest(file) for file in reader.path.parent.iterdir()} == before


def test_a_value_that_python_has_not_is_no_fault_of_the_programs(reader: StoreReader) -> None:
    with pytest.raises(InputError, match=r"cannot be shown .* cast it"):
        reader.query("SELECT INTERVAL 100000000 YEARS")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
