"""The finalists' test items, joined by hash; what is missing stays missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.analysis.arms.samples import gather_samples
from harness.records import ItemRow, Study

from .study_builder import StudyBuilder, experiment


def study() -> Study:
    """Two seeds of lora on items 0 to 2; few-shot in another order, without item 2."""
    made = StudyBuilder(experiment())
    made.finalist("lora", 1, {"test": [1.0, 0.0, 1.0]}).finalist("lora", 2, {"test": [1, 1, 1]})
    made.finalist("few-shot", 1, {"test": [0.0, 1.0]})
    rows: dict[tuple[str, int], list[float | None]] = {
        ("lora", 1): [1.0, 0.0, None],
        ("lora", 2): [1.0, 1.0, 1.0],
        ("few-shot", 1): [0.0, 1.0],
    }
    for (arm, seed), values in rows.items():
        found = [
            ItemRow(arm, seed, f"test-{at}", f"id {at}", "a", f"{arm} {seed} {at}", value, f"t{at}")
            for at, value in enumerate(values)
        ]
        made.items += reversed(found) if arm == "few-shot" else found
    judged = replace(made.vectors[0], metric="valid", values=np.array([1.0, 0.0, np.nan]))
    made.vectors.append(judged)
    return made.build()


def test_replies_are_joined_by_hash_and_never_by_position() -> None:
    samples = gather_samples(study())
    assert samples.item_ids == ("id 0", "id 1", "id 2")
    assert samples.texts == ("t0", "t1", "t2")
    lora, few_shot = samples.arms
    assert few_shot.runs[0].outputs == ("few-shot 1 0", "few-shot 1 1", None)
    assert few_shot.scores == (0.0, 1.0, None)
    assert [run.seed for run in lora.runs] == [1, 2]


def test_the_mean_over_seeds_needs_every_seed() -> None:
    lora = gather_samples(study()).arms[0]
    assert lora.runs[0].scores == (1.0, 0.0, None)
    assert lora.scores == (1.0, 0.5, None)


def test_validity_is_known_where_it_was_judged() -> None:
    lora, few_shot = gather_samples(study()).arms
    assert lora.runs[0].valid == (True, False, None)
    assert lora.runs[1].valid == few_shot.valid == (None, None, None)
    assert lora.valid == (None, False, None)


def test_a_share_has_a_full_score_and_other_metrics_have_none() -> None:
    made = study()
    assert gather_samples(made).full == 1.0
    rows = tuple(replace(row, value=41.5) for row in made.items)
    assert gather_samples(replace(made, items=rows)).full is None


def test_a_gain_is_positive_for_the_better_whatever_the_direction() -> None:
    samples = gather_samples(study())
    assert samples.gain(1.0, 0.25) == 0.75
    assert replace(samples, higher_is_better=False).gain(1.0, 0.25) == -0.75
    assert samples.gain(None, 1.0) is None


def test_without_finalists_there_are_no_items() -> None:
    samples = gather_samples(StudyBuilder(experiment()).build())
    assert samples.arms == ()
    assert samples.item_ids == ()
