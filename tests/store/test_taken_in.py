"""What the record of a trial says of it is what the store then says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from harness.records import ScoreRequest, StepReport, TrialRecord, TrialSummary, Unscored
from harness.store import StoreReader, StoreWriter

from .example_records import experiment, failed, pruned, score, trial


def test_a_trial_that_is_taken_in_is_as_the_store_has_it(tmp_path: Path) -> None:
    """Whether all that is asked of it was scored now, some of it before, or only some of it."""
    path = tmp_path / "harness.duckdb"
    writer = StoreWriter(path)
    writer.declare(experiment())

    def taken(record: TrialRecord) -> TrialSummary | None:
        writer.name_trial(record.spec, {})
        found = writer.take_in(record)
        stored = StoreReader(path).trials("e1", record.spec.trial_id)
        assert stored == (() if found is None else (found,))
        return found

    own = score("k1", values=(3.0, None, math.nan, 1.0))
    whys = [Unscored("exact_match", f"item-{n}", 3, "no number") for n in (1, 2)]
    own = replace(own, unscored=tuple(whys), moved={"exact_match": 0.5}, chance=None, latencies=())
    own = replace(
        own,
        aggregates={"exact_match": 2.0, "macro_f1": 0.4},
        intervals={"macro_f1": (0.1, 0.7)},
        higher_is_better={"exact_match": False, "macro_f1": True},
    )
    empty = replace(score("k2", "empty", "general"), outputs=(), item_scores=())
    first = trial("t1", [own, empty], phase="search")
    steps = (StepReport(1, 2, None, math.nan, 1e-3, math.inf, 8, 1.0),)
    cost = replace(first.cost, measure_seconds=2.0, measure_tokens=30) if first.cost else None
    environment = {"told_a": "a sentence", "train_examples": "24", "training_memory": "whole"}
    first = replace(first, steps=steps, cost=cost, environment=environment)
    summary = taken(first)
    assert summary is not None
    assert [one.metric for one in summary.aggregates] == ["exact_match", "macro_f1"] * 2
    assert (summary.aggregates[0].unscored, summary.aggregates[0].worst) == (2, 3.0)
    # What another trial scored is that one's, whether it was known beforehand or not.
    for trial_id, known in (("t2", ()), ("t3", first.spec.scores[:1])):
        again = taken(trial(trial_id, [own] if not known else [], known=known, seed=2))
        assert again is not None
        assert {one.reused for one in again.aggregates} == {True}
    lacking = ScoreRequest("k9", "elsewhere", "out_of_domain", "test")
    assert taken(trial("t4", [score("k4")], known=[lacking], seed=3)) is None
    assert taken(failed(trial("t5", [score("k5")], seed=4))) is not None
    assert taken(pruned(trial("t6", seed=5))) is not None
