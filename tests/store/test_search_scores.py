"""What a search asks of its trials: general changes against the base, values item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.forgetting.general_change import general_changes
from harness.analysis.statistics.scores import Scores
from harness.records import GeneralTask, ItemScore, ScoreRecord
from harness.store import StoreReader, StoreWriter

from .example_records import NOW, experiment, failed, pruned, score, trial

TASKS = {
    "capitals": GeneralTask("acc", accuracy=True, higher_is_better=True, chance=0.25),
    "slips": GeneralTask("errors", accuracy=True, higher_is_better=False, chance=None),
    "prose": GeneralTask("bits_per_byte", accuracy=False, higher_is_better=False, chance=None),
}


def general(key: str, task: str, values: Sequence[float | None]) -> ScoreRecord:
    reading = TASKS[task]
    made = score(key, task, "general", metric=reading.metric, values=values)
    direction = {**made.higher_is_better, reading.metric: reading.higher_is_better}
    return replace(made, higher_is_better=direction)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.duckdb"


@pytest.fixture
def writer(path: Path) -> StoreWriter:
    writer = StoreWriter(path, now=lambda: NOW)
    writer.declare(replace(experiment(), general_tasks=TASKS))
    return writer


def changes(path: Path, *tasks: str) -> dict[str, float]:
    """As the run and the report work them out, from what the store has of the general suite."""
    study = StoreReader(path).study("e1", suite="general")
    changes = general_changes(Scores(study), "lora", {task: TASKS[task] for task in tasks})
    return {trial: change for (trial, _), change in changes.items()}


def base(writer: StoreWriter) -> None:
    scores = [
        general("b1", "capitals", (1, 1, 0, 0)),
        general("b2", "slips", (0, 0, 1, 1)),
        general("b3", "prose", (0.5, 0.5)),
        # A metric of a task that is not its main one, and a main metric of the domain suite.
        score("b4", "capitals-too", "general", metric="acc", values=(1, 1)),
    ]
    writer.ingest(trial("base", scores, arm="base", phase="baseline"))


def test_changes_are_means_of_task_means_of_pairs(path: Path, writer: StoreWriter) -> None:
    base(writer)
    # Pairs: items 0 and 1 of capitals (item 2 is unscored), -1 and 0; items 0 to 2 of slips, which
    # counts errors: one more, none, one less.
    searched = [
        general("s1", "capitals", (0, 1, None)),
        general("s2", "slips", (1, 0, 0)),
        general("s3", "prose", (9.0, 9.0)),
        score("s4", "capitals-too", "general", metric="acc", values=(0, 0)),
    ]
    writer.ingest(trial("t1", searched, phase="search"))
    writer.ingest(trial("t2", [general("s5", "slips", (1, 1))], phase="search", seed=2))
    assert changes(path, "capitals", "slips") == {"t1": pytest.approx((-0.5 + 0.0) / 2)}
    assert changes(path, "slips") == {"t1": pytest.approx(0.0), "t2": pytest.approx(-1.0)}


def test_trials_without_a_pair_are_absent(path: Path, writer: StoreWriter) -> None:
    one = general("s1", "capitals", (0, 0))
    writer.ingest(trial("t1", [one], phase="search"))
    assert changes(path, "capitals") == {}
    writer.ingest(failed(trial("base", [general("b0", "capitals", (1, 1))], phase="baseline")))
    assert changes(path, "capitals") == {}
    base(writer)
    assert changes(path, "capitals") == {"t1": -1.0}
    validation = score("s2", "feedback-validation", split="validation")
    writer.ingest(trial("t2", [validation], phase="search", seed=2))
    writer.ingest(failed(trial("t3", [general("s3", "capitals", (0,))], phase="search", seed=3)))
    writer.ingest(pruned(trial("t4", phase="search", seed=4)))
    writer.ingest(trial("t5", [general("s5", "capitals", (None, None))], phase="search", seed=5))
    assert changes(path, "capitals") == {"t1": -1.0}


def test_a_score_that_two_trials_share_counts_for_both(path: Path, writer: StoreWriter) -> None:
    base(writer)
    one = general("s1", "capitals", (0, 1))
    writer.ingest(trial("t1", [one], phase="search"))
    known = trial("t1", [one]).spec.scores
    writer.ingest(trial("t2", known=known, phase="search", seed=2))
    assert changes(path, "capitals") == {"t1": -0.5, "t2": -0.5}


def test_only_the_first_filter_counts(path: Path, writer: StoreWriter) -> None:
    base(writer)
    one = general("s1", "capitals", (1, 1))
    loose = tuple(replace(item, filter="loose", value=0.0) for item in one.item_scores)
    writer.ingest(trial("t1", [replace(one, item_scores=one.item_scores + loose)], phase="search"))
    reader = StoreReader(path)
    assert changes(path, "capitals") == {"t1": 0.0}
    values = reader.item_values("e1", "t1", "general", "test", "acc")
    assert values == {"item-0": 1.0, "item-1": 1.0}


def test_a_study_of_one_suite_has_its_vectors_alone(path: Path, writer: StoreWriter) -> None:
    base(writer)
    both = [general("s1", "capitals", (0, 1)), score("s2")]
    writer.ingest(trial("t1", both))
    reader = StoreReader(path)
    whole, part = reader.study("e1"), reader.study("e1", suite="general")
    assert part.trials == tuple(replace(trial, steps=()) for trial in whole.trials)
    assert [v.task for v in whole.vectors if v.suite != "general"] == ["feedback-test"]
    assert [v.task for v in part.vectors] == [v.task for v in whole.vectors if v.suite == "general"]
    assert whole.items and not part.items


def test_a_search_trial_is_read_beside_all_that_is_not_of_a_search(
    path: Path, writer: StoreWriter
) -> None:
    base(writer)
    for number, name in enumerate(("t1", "t2")):
        one = general(f"s{number}", "capitals", (0, number))
        writer.ingest(trial(name, [one], phase="search", seed=number))
    writer.ingest(trial("t3", [general("s3", "capitals", (1, 1))], seed=9))
    part = StoreReader(path).study("e1", suite="general", searched="t2")
    assert {one.trial_id for one in part.trials} == {"base", "t2", "t3"}
    assert {vector.trial_id for vector in part.vectors} == {"base", "t2", "t3"}
    alone = general_changes(Scores(part), "lora", {"capitals": TASKS["capitals"]})
    assert alone[("t2", "search")] == changes(path, "capitals")["t2"]


def test_item_values_of_the_validation_set(path: Path, writer: StoreWriter) -> None:
    held = score("k1", "feedback-validation", split="validation", values=(1.0, None, 0.5, 0.0))
    f1 = tuple(ItemScore(one.doc_hash, "none", "macro_f1", 0.125) for one in held.item_scores)
    held = replace(held, item_scores=held.item_scores + f1)
    writer.ingest(trial("t1", [held, score("k2", values=(0.0, 0.0))], phase="search"))
    writer.ingest(trial("t2", [score("k3", split="validation")], phase="search", seed=2))
    reader = StoreReader(path)
    values = reader.item_values("e1", "t1", "domain", "validation", "exact_match")
    assert list(values.items()) == [("item-0", 1.0), ("item-2", 0.5), ("item-3", 0.0)]
    assert set(reader.item_values("e1", "t1", "domain", "validation", "macro_f1").values()) == {
        0.125
    }
    assert reader.item_values("e1", "t1", "domain", "train", "exact_match") == {}
    assert reader.item_values("e1", "t9", "domain", "validation", "exact_match") == {}


def test_one_trial_of_many(path: Path, writer: StoreWriter) -> None:
    for seed in (1, 2, 3):
        writer.ingest(trial(f"t{seed}", [score(f"k{seed}")], seed=seed))
    reader = StoreReader(path)
    (second,) = reader.trials("e1", "t2")
    assert second == reader.trials("e1")[1]
    assert len(second.aggregates) == 2
    assert len(second.steps) == 2
    assert reader.trials("e1", "t9") == reader.trials("e2", "t2") == ()
