"""What was locked before the first trial, and what was changed since."""

from __future__ import annotations

from typing import Any

import pytest

from harness.analysis.verdict.declaration import declaration_caveats, plan_lock
from harness.analysis.verdict.rules import RULES, rules, rules_hash
from harness.analysis.whole_study import analyse
from tests.analysis.study_builder import StudyBuilder, whole_study

MARGIN = {"contrast.margin": {"before": 0.03, "after": 0.1}}


def declared(built: StudyBuilder, **detail: Any) -> StudyBuilder:
    return built.event("declared", **{"changes": {}, "facts": {}, "search_seen": False, **detail})


def looked(built: StudyBuilder, phase: str) -> StudyBuilder:
    return built.event("test_access", arm="lora", seed=1, task="domain", phase=phase)


def test_a_plan_that_was_kept_to_has_no_caveat() -> None:
    built = declared(whole_study(), first=True)
    assert declaration_caveats(looked(built, "finalist").build()) == []


@pytest.mark.parametrize(
    ("phases", "search", "when", "late"),
    [
        ((), False, "before any result was seen", False),
        (("baseline",), False, "after results of the search or of the untouched base", False),
        ((), True, "after results of the search or of the untouched base", False),
        (("baseline", "finalist"), True, "after test results had been seen", True),
    ],
)
def test_each_changed_field_is_told_with_what_had_been_seen(
    phases: tuple[str, ...], search: bool, when: str, late: bool
) -> None:
    built = declared(whole_study(), first=True)
    for phase in phases:
        looked(built, phase)
    declared(built, changes=MARGIN, facts={"splits.train": {"after": 9}}, search_seen=search)
    (told,) = declaration_caveats(built.build())
    assert when in told
    assert "contrast.margin from 0.03 to 0.1; splits.train from nothing to 9" in told
    assert ("not that of a plan made beforehand" in told) is late


def test_changes_before_and_after_stand_in_one_sentence() -> None:
    built = declared(whole_study(), changes={"question": {"before": "a" * 80, "after": "b"}})
    declared(looked(built, "finalist"), changes=MARGIN)
    (told,) = declaration_caveats(built.build())
    assert told == (
        "The declaration was changed after the plan was made: before any result was seen, question "
        f"from {'a' * 60}… to b. after test results had been seen, contrast.margin from 0.03 to "
        "0.1. The result is not that of a plan made beforehand."
    )


def locked(**changes: Any) -> StudyBuilder:
    plan = {
        "hash": "f" * 64,
        "locked": "2026-01-01T00:00:00+00:00",
        "harness": "0.0.1",
        "rules": [{"name": name, "text": text} for name, text in rules()],
        "rules_hash": rules_hash(),
    }
    return whole_study().event("locked", **{**plan, **changes})


def test_the_lock_is_read_from_the_store() -> None:
    assert plan_lock(whole_study().build()) is None
    found = analyse(locked().build(), resamples=100, sensitivity=False)
    assert found.plan is not None
    assert (found.plan.hash, found.plan.locked_at) == ("f" * 64, "2026-01-01T00:00:00+00:00")
    assert not any("rules" in one for one in found.verdict.caveats)


def test_rules_that_have_changed_since_are_named() -> None:
    then = [{"name": name, "text": text} for name, text in rules()]
    then[0]["text"] = "Another text."
    then[-1]["name"] = "old_rule"
    (told,) = declaration_caveats(locked(rules=then, rules_hash="x").build())
    assert f"has other rules ({RULES[0].name}, old_rule, {rules()[-1][0]})" in told
    assert "made with harness 0.0.1" in told
    (order,) = declaration_caveats(locked(rules_hash="x").build())
    assert "(their order)" in order
