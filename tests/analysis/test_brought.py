"""Weights that were trained elsewhere, in the findings: contrasts, money, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.whole_study import analyse
from harness.findings import Findings

from .study_builder import ACCURACY, StudyBuilder, experiment, right


def theirs(
    *,
    flagged: int = 0,
    split: str = "test",
    unread: int = 0,
    start: str | None = None,
    **keys: Any,
) -> Findings:
    """An arm of one folder that was trained elsewhere, beside a LoRA and a prompt."""
    arm = {"kind": "trained", "path": "adapter", **keys}
    arms: dict[str, Any] = {
        "few-shot": "prompt",
        "lora": {"kind": "lora", "start": start},
        "theirs": arm,
    }
    built = StudyBuilder(experiment(arms), {"facts": ACCURACY})
    built.search("few-shot", [0.5, 0.4]).search("lora", [0.7, 0.6]).search("theirs", [0.8])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        built.finalist("lora", seed, {"test": right(0.7), "general:facts": right(0.8)})
    built.finalist("theirs", 1, {"test": right(0.9), "general:facts": right(0.8)})
    items = tuple(f"{split}-{n}" for n in range(flagged))
    audit = built.data.audit
    shared = {split: {"exact": items, "near": (), "ngram": ()}}
    told = replace(audit, brought={"theirs": shared}, brought_unread={"theirs": unread})  # type: ignore[dict-item]
    built.data = replace(built.data, audit=told)
    return analyse(built.build(), resamples=400, sensitivity=False)


def test_it_is_a_fine_tuned_arm_like_any_other() -> None:
    found = theirs()
    assert found.primary is not None
    assert (found.primary.a, found.primary.b) == ("theirs", "few-shot")
    assert "theirs" in {change.arm for change in found.forgetting}
    beside = [c for c in found.secondary if (c.a, c.b) == ("lora", "theirs")]
    assert [contrast.outcome for contrast in beside] == ["worse"]
    assert next(row for row in found.arms if row.arm == "theirs").seeds == (1,)
    assert not any("theirs was hardly tried" in one for one in found.verdict.caveats)


@pytest.mark.parametrize(
    ("declared", "upfront"),
    [
        (None, None),
        # Its trials here took seconds more, at 0.1 an hour.
        ({"hours": 10}, 1.0),
        ({"hours": 10, "machine_per_hour": 3}, 30.0),
    ],
)
def test_its_training_costs_what_is_declared_or_is_not_known(
    declared: dict[str, Any] | None, upfront: float | None
) -> None:
    found = theirs(cost=declared)
    money = next(row for row in found.arms if row.arm == "theirs").cost.upfront
    assert (money is None) is (upfront is None)
    if money is not None and upfront is not None:
        assert money == pytest.approx(upfront, abs=0.02)


@pytest.mark.parametrize(
    ("declared", "more"),
    [(None, None), ({"hours": 10}, 1.0), ({"hours": 10, "machine_per_hour": 3}, 30.0)],
)
@pytest.mark.parametrize("named", [True, False])
def test_what_an_arm_goes_on_from_is_among_what_it_cost(
    declared: dict[str, Any] | None, more: float | None, named: bool
) -> None:
    """A folder that no arm names has no declared cost: what it took is not known."""
    alone = next(row for row in theirs().arms if row.arm == "lora").cost
    found = theirs(cost=declared, start="theirs" if named else "somewhere")
    row = next(row for row in found.arms if row.arm == "lora").cost
    assert alone.upfront is not None
    if named and more is not None:
        assert row.upfront == pytest.approx(alone.upfront + more)
    else:
        assert row.upfront is None
        assert all(one.requests is None for one in found.break_even if one.arm == "lora")
    # Its own training is what was seen of it.
    assert row.train_seconds == alone.train_seconds


def test_leaks_cannot_be_excluded_where_its_rows_are_not_known() -> None:
    caveats = " ".join(theirs().verdict.caveats)
    assert "It is not known what theirs was trained on" in caveats


def test_test_items_that_it_was_trained_on_are_told() -> None:
    caveats = theirs(trained_on="rows.jsonl", flagged=3).verdict.caveats
    assert any(
        caveat.startswith("3 items of the test set share text with the rows that theirs was")
        for caveat in caveats
    )
    assert not any("It is not known" in caveat for caveat in caveats)


def test_what_an_arm_was_trained_on_elsewhere_touches_its_own_comparisons_alone() -> None:
    found = theirs(trained_on="rows.jsonl", flagged=3)
    assert found.primary is not None
    flagged = {(c.a, c.b): c.flagged for c in (found.primary, *found.secondary)}
    assert flagged == {pair: 3 if "theirs" in pair else 0 for pair in flagged}
    assert 0 in flagged.values()
    (caveat,) = (c for c in found.verdict.caveats if "compared in the primary contrast" in c)
    assert "training examples of the study or of theirs; " in caveat


def test_validation_items_that_it_was_trained_on_and_rows_not_read_are_told() -> None:
    caveats = theirs(trained_on="rows.jsonl", flagged=2, split="validation", unread=1)
    told = " ".join(caveats.verdict.caveats)
    assert "2 items of the validation set share text with the rows that theirs was trained" in told
    assert "1 row that theirs was trained on could not be read" in told


@pytest.mark.parametrize("tuned_here", [False, True])
def test_a_verdict_for_prompting_is_not_one_on_fine_tuning_where_all_was_trained_elsewhere(
    tuned_here: bool,
) -> None:
    arms: dict[str, Any] = {
        "few-shot": "prompt", "theirs": {"kind": "trained", "path": "adapter"},
    }  # fmt: skip
    if tuned_here:
        arms["lora"] = "lora"
    built = StudyBuilder(experiment(arms, general=None))
    built.search("few-shot", [0.5, 0.4]).search("theirs", [0.3])
    built.finalist("theirs", 1, {"test": right(0.3)})
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)})
    found = analyse(built.build(), resamples=400, sensitivity=False)
    assert found.verdict.outcome == "prompt"
    told = any("How hard the training of theirs was tried is not known" in c
               for c in found.verdict.caveats)  # fmt: skip
    assert told is not tuned_here
