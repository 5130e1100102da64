"""Studies compared with each other: item by item, as two samples, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.comparison.across_studies import compare_studies
from harness.analysis.statistics.paired_proportions import PairedProportions
from harness.analysis.whole_study import analyse
from harness.errors import InputError
from harness.findings import PairedAcross, Refusal, StudyComparison
from harness.records import GeneralTask, Study

from .study_builder import (
    ACCURACY,
    StudyBuilder,
    experiment,
    items_reversed,
    right,
    whole_study,
)

LABELS = {"kind": "label", "column": "label", "labels": ["a", "b"]}
TASK: dict[str, Any] = {"instruction": "Name the intent.", "answer": LABELS}


def named(study: Study, name: str, **data: Any) -> Study:
    record = study.experiment
    changed = replace(
        record, name=name, experiment_id=f"{name}-id", data=replace(record.data, **data),
        spec={**record.spec, "name": name},
    )  # fmt: skip
    return replace(study, experiment=changed)


def elsewhere(study: Study, shift: int) -> Study:
    """The same scores on test items of which the first ``shift`` are others."""
    vectors = tuple(
        replace(v, doc_hashes=tuple(_moved(key, shift) for key in v.doc_hashes))
        if (v.suite, v.split) == ("domain", "test")
        else v
        for v in study.vectors
    )
    return replace(study, vectors=vectors)


def _moved(key: str, shift: int) -> str:
    return f"other-{key}" if int(key.rsplit("-", maxsplit=1)[-1]) < shift else key


def compared(*studies: Study) -> StudyComparison:
    pairs = [(one, analyse(one, resamples=200, sensitivity=False)) for one in studies]
    return compare_studies(pairs, resamples=400)


def of(found: StudyComparison, arm: str) -> PairedAcross:
    return next(one for one in found.paired if one.arm == arm)


def only(found: StudyComparison, what: str) -> Refusal:
    refusals = [one for one in found.refusals if one.what == what]
    assert len(refusals) == 1, found.refusals
    return refusals[0]


def test_a_paired_difference_is_that_of_the_flips() -> None:
    first = named(whole_study(tuned=0.6, seeds=(1,)).build(), "first")
    second = named(items_reversed(whole_study(tuned=0.8, seeds=(1,)).build()), "second")
    found = compared(first, second)
    contrast = of(found, "lora").contrast
    # 40 of 200 items are right in the second study only, none in the first only.
    assert contrast.difference == pytest.approx(0.2)
    assert contrast.test == "McNemar test (score)"
    assert contrast.p_value == PairedProportions(40, 0, 200).p_value()
    assert contrast.p_adjusted == pytest.approx(2 * contrast.p_value)
    assert (contrast.items, contrast.left_out, contrast.outcome) == (200, 0, "better")
    assert (contrast.mean_a, contrast.mean_b) == pytest.approx((0.8, 0.6))
    assert of(found, "few-shot").contrast.difference == 0
    assert of(found, "few-shot").contrast.outcome != "better"
    assert found.unpaired == () and found.refusals == ()


def test_the_reference_is_the_study_named_first() -> None:
    first = named(whole_study(tuned=0.6).build(), "first")
    second = named(whole_study(tuned=0.8).build(), "second")
    one, other = of(compared(first, second), "lora"), of(compared(second, first), "lora")
    assert (one.study, one.reference) == ("second", "first")
    assert other.contrast.difference == -one.contrast.difference
    assert other.contrast.interval.low == pytest.approx(-one.contrast.interval.high)
    assert other.contrast.outcome == "worse"


def test_only_items_that_both_answered_are_paired() -> None:
    first = named(whole_study(tuned=0.6).build(), "first")
    second = named(elsewhere(whole_study(tuned=0.8).build(), 50), "second")
    contrast = of(compared(first, second), "lora").contrast
    assert (contrast.items, contrast.left_out) == (150, 100)
    # Items 120 to 159 of the 150 that are left.
    assert contrast.difference == pytest.approx(40 / 150)


def test_best_arms_of_other_names_are_compared() -> None:
    built = StudyBuilder(experiment({"plain": "prompt", "small": "lora"}))
    built.search("plain", [0.5]).search("small", [0.9])
    built.finalist("plain", 1, {"test": right(0.5)}).finalist("small", 1, {"test": right(0.9)})
    found = compared(named(whole_study().build(), "first"), named(built.build(), "second"))
    pairs = [(one.arm, one.reference_arm, one.leading) for one in found.paired]
    assert pairs == [("small", "lora", True), ("plain", "few-shot", True)]


def test_the_base_is_compared_where_it_is_another() -> None:
    first, second = named(whole_study().build(), "first"), named(whole_study().build(), "second")
    assert "base" not in [one.arm for one in compared(first, second).paired]
    model = replace(second.experiment.model, fingerprint="1" * 64)
    other = replace(second, experiment=replace(second.experiment, model=model))
    found = compared(first, other)
    assert of(found, "base").contrast.items == 200
    assert [one.setting for one in found.settings] == ["model.fingerprint"]


def test_other_items_are_two_samples() -> None:
    first = named(whole_study(tuned=0.6, seeds=(1,)).build(), "first")
    second = named(elsewhere(whole_study(tuned=0.8, seeds=(1,)).build(), 200), "second")
    found = compared(first, second)
    refused = only(found, "pairing")
    assert refused.reason == "test_items"
    assert "200 and 200, none of them the same" in refused.sentence
    assert "data.splits.test" in refused.remedy
    assert found.paired == ()
    lora = next(one for one in found.unpaired if one.arm == "lora")
    assert lora.difference == pytest.approx(0.2)
    assert (lora.items, lora.reference_items, lora.common_items) == (200, 200, 0)
    half = (lora.interval.high - lora.interval.low) / 2
    textbook = 1.96 * np.sqrt(0.6 * 0.4 / 200 + 0.8 * 0.2 / 200)
    assert half == pytest.approx(textbook, rel=0.25)


def test_few_items_in_common_are_not_paired() -> None:
    first = named(whole_study().build(), "first")
    second = named(elsewhere(whole_study().build(), 150), "second")
    found = compared(first, second)
    assert "only 50 of them the same" in only(found, "pairing").sentence
    assert {one.common_items for one in found.unpaired} == {50}


@pytest.mark.parametrize(
    ("changes", "reason", "told", "remedy"),
    [
        ({"task": {**TASK, "metrics": ["valid", "exact_match"]}}, "metric",
         "second is judged by valid and first by exact_match", "task.metrics"),
        ({"task": {**TASK, "answer": {**LABELS, "labels": ["a", "b", "c"]}}}, "task",
         "task.answer.labels", "same task.answer"),
        ({"task": {**TASK, "answer": {"kind": "text", "column": "label"}}}, "task",
         "task.answer.kind", "same task.answer"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_at_all(
    changes: dict[str, Any], reason: str, told: str, remedy: str
) -> None:
    first = named(whole_study(task={**TASK, "metrics": ["exact_match"]}).build(), "first")
    task = changes["task"]
    second = named(whole_study(task={"metrics": ["exact_match"], **task}).build(), "second")
    found = compared(first, second)
    refused = only(found, "scores")
    assert refused.studies == ("second", "first")
    assert refused.reason == reason
    assert told in refused.sentence
    assert remedy in refused.remedy
    assert (found.paired, found.unpaired) == ((), ())
    assert len(found.settings) > 0


def test_the_order_and_the_column_of_labels_make_no_other_task() -> None:
    answer = {"kind": "label", "column": "intent", "labels": ["b", "a"]}
    first = named(whole_study().build(), "first")
    second = named(whole_study(task={**TASK, "answer": answer}).build(), "second")
    assert compared(first, second).refusals == ()


def test_other_items_under_another_instruction_may_be_another_task() -> None:
    first = named(whole_study().build(), "first")
    asked = whole_study(task={**TASK, "instruction": "Name the mood."}).build()
    assert compared(first, named(asked, "second")).refusals == ()
    refused = only(compared(first, named(elsewhere(asked, 200), "second")), "scores")
    assert refused.reason == "task"
    assert "task.instruction" in refused.sentence


def test_a_study_that_is_not_finished_is_named() -> None:
    whole = whole_study().build()
    begun = replace(whole, trials=whole.trials[:4], vectors=(), items=())
    found = compared(named(whole, "first"), named(begun, "second"))
    refused = only(found, "scores")
    assert (refused.studies, refused.reason) == (("second",), "unfinished")
    assert "harness run" in refused.remedy
    half = replace(whole, vectors=tuple(v for v in whole.vectors if v.arm != "lora"))
    found = compared(named(whole, "first"), named(half, "second"))
    assert found.studies[1].untested == ("lora",)
    assert [one.arm for one in found.paired] == ["few-shot"]


def test_general_suites_must_be_the_same() -> None:
    first = named(whole_study().build(), "first")
    assert compared(first, named(whole_study().build(), "second")).general == ("first", "second")

    none = replace(first.experiment, general_tasks={})
    found = compared(first, named(replace(first, experiment=none), "second"))
    assert only(found, "general").reason == "general_unmeasured"
    assert found.general == ("first",)

    more: dict[str, GeneralTask] = {"facts": ACCURACY, "sums": ACCURACY}
    other = replace(first.experiment, general_tasks=more)
    refused = only(compared(first, named(replace(first, experiment=other), "second")), "general")
    assert "sums is in one of them only" in refused.sentence

    fewer = tuple(
        replace(v, doc_hashes=v.doc_hashes[:50], clusters=v.clusters[:50], values=v.values[:50])
        if v.suite == "general" else v
        for v in first.vectors
    )  # fmt: skip
    refused = only(compared(first, named(replace(first, vectors=fewer), "second")), "general")
    assert "other items were asked in facts" in refused.sentence
    assert "general.limit" in refused.remedy


def test_settings_that_differ_are_told_part_by_part() -> None:
    ranges = {"low": 1e-4, "high": 3e-3, "log": True}
    arms = {"few-shot": "prompt", "lora": {"kind": "lora", "learning_rate": ranges}}
    first = named(whole_study().build(), "first", fingerprint="a", dropped_rows=0)
    second = named(
        whole_study(arms=arms, budget={"trials": 9}, contrast={"margin": 0.1}).build(),
        "second", fingerprint="b", dropped_rows=0,
    )  # fmt: skip
    found = {one.setting: (one.part, one.values) for one in compared(first, second).settings}
    assert found.pop("arms.lora.learning_rate")[1][1] == ("0.0001 to 0.003, on a logarithmic scale")
    assert found == {
        "data.fingerprint": ("data", ("a", "b")),
        "budget.trials": ("search", (2, 9)),
        "contrast.margin": ("judging", (0.03, 0.1)),
    }


def test_an_arm_that_one_lacks_is_one_difference() -> None:
    arms = {"few-shot": "prompt", "lora": "lora", "full": "full"}
    first = named(whole_study().build(), "first")
    second = named(whole_study(arms=arms).build(), "second")
    settings = compared(first, second).settings
    assert [(one.setting, one.values) for one in settings] == [("arms.full.kind", (None, "full"))]


def test_one_study_is_not_compared_with_itself() -> None:
    study = named(whole_study().build(), "first")
    with pytest.raises(InputError, match=r"first \(first-id\) is named 2 times"):
        compared(study, study)
    with pytest.raises(InputError, match="at least two"):
        compared(study)


def test_studies_of_one_name_are_told_apart() -> None:
    study = named(whole_study().build(), "same")
    record = replace(study.experiment, experiment_id="0123456789ab")
    found = compared(study, replace(study, experiment=record))
    assert [one.label for one in found.studies] == ["same-same-id", "same-01234567"]
