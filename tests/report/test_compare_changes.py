"""What two studies are said to differ in: what the user changed, not what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.findings import SettingDifference
from harness.records import Study
from harness.report.compare_changes import changes_of

from .test_compare import compared, study, view_of

PRINTS: dict[str, Any] = {"fingerprint": "1" * 64, "test_fingerprint": "2" * 64}


def with_data(whole: Study, spec: dict[str, Any] | None = None, **found: Any) -> Study:
    """With other settings of the data, and other things found in them."""
    record = whole.experiment
    plain = {**record.spec, "data": {**record.spec["data"], **(spec or {})}}
    record = replace(record, data=replace(record.data, **found), spec=plain)
    return replace(whole, experiment=record)


def said(*studies: Study) -> str:
    reasons = [r for r in view_of(*studies).verdict.reasons if r.startswith("Between ")]
    assert len(reasons) == 1
    return reasons[0]


def test_a_seed_of_the_data_is_one_setting_from_which_fingerprints_follow() -> None:
    after = with_data(study("after"), {"seed": 77}, **PRINTS)
    assert said(study("before"), after) == (
        "Between before and after only data.seed differs; data.fingerprint and "
        "data.test_fingerprint follow from it."
    )


def test_other_rows_under_the_same_settings_are_one_change() -> None:
    assert said(study("before"), with_data(study("after"), **PRINTS)) == (
        "Between before and after only what the data hold differs (data.fingerprint and "
        "data.test_fingerprint)."
    )
    # A change of an arm does not explain that the rows are others.
    after = with_data(study("after", arms=arms(lora={"epochs": 4})), **PRINTS)
    before = study("before", arms=arms())
    assert "2 settings differ (the data and the arms)" in said(before, after)


def test_another_place_counts_where_something_else_lies_there() -> None:
    moved = {"source": "elsewhere.jsonl"}
    assert "nothing differs" in said(study("before"), with_data(study("after"), moved))
    assert "only data.source differs; data.fingerprint" in said(
        study("before"), with_data(study("after"), moved, **PRINTS)
    )


def test_the_weights_at_the_same_place_may_be_others() -> None:
    after = study("after")
    model = replace(after.experiment.model, fingerprint="3" * 64)
    after = replace(after, experiment=replace(after.experiment, model=model))
    assert "only what the model's files hold differs (model.fingerprint)." in said(
        study("before"), after
    )


def arms(**changed: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"few-shot": {"kind": "prompt", "shots": 4}, "lora": {"kind": "lora"}}
    return {name: {**plain, **changed.get(name, {})} for name, plain in usual.items()}


def test_the_arm_that_was_changed_stands_in_the_headline() -> None:
    before = study("before", arms=arms(), prompt=0.3)
    after = study("after", arms=arms(**{"few-shot": {"shots": 8}}), prompt=0.6)
    view = view_of(before, after)
    assert view.verdict.headline.startswith("few-shot of after is better than few-shot of before")
    assert "only arms.few-shot.shots differs." in said(before, after)
    # That of the unchanged arm is told below it.
    assert any(reason.startswith("lora of after") for reason in view.verdict.reasons)
    # Where more was changed than an arm, the fine-tuned arms lead as ever.
    more = study("after", arms=arms(**{"few-shot": {"shots": 8}}), budget={"trials": 9})
    assert view_of(before, more).verdict.headline.startswith("lora of after")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((None, "lora"), "only the arm lora was added."),
        (("lora", None), "only the arm lora was left out."),
    ],
)
def test_an_arm_that_one_of_them_lacks_was_added_or_left_out(
    values: tuple[object, object], words: str
) -> None:
    found = compared(study("before"), study("after"))
    setting = SettingDifference("arms", "arms.lora.kind", values)
    changed = changes_of(replace(found, settings=(setting,)), 1)
    assert changed.sentence("before", "after") == f"Between before and after {words}"
    assert changed.arms == frozenset({"lora"})


def test_an_arm_of_another_kind_was_changed() -> None:
    found = compared(study("before"), study("after"))
    kind = SettingDifference("arms", "arms.lora.kind", ("prompt", "lora"))
    assert changes_of(replace(found, settings=(kind,)), 1).named == ("arms.lora.kind differs",)
