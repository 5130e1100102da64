"""Replies of what is deployed that no metric can score are no reason to pass."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.deployment import agreement as module
from harness.deployment.agreement import ScoredItem, agreement
from harness.deployment.verification import Verification
from harness.export.final_run import FinalRun
from harness.records import Example

from ..analysis.study_builder import METRIC, StudyBuilder, experiment

ITEMS = 400


def verified(
    monkeypatch: pytest.MonkeyPatch, values: list[float], scored: list[float]
) -> Verification:
    """What is deployed has these values of the metric, the trial those."""
    declared = experiment()
    study = StudyBuilder(declared).finalist("lora", 1, {"test": scored}).build()
    (vector,) = [v for v in study.vectors if (v.split, v.suite) == ("test", "domain")]
    run: Any = SimpleNamespace(
        metric=METRIC,
        trial=SimpleNamespace(trial_id=vector.trial_id, arm="lora", seed=1),
        analysed=SimpleNamespace(study=study, experiment=declared),
    )
    found = dict(zip(vector.item_ids, values, strict=True))
    monkeypatch.setattr(module, "_values", lambda run, pairs: found)
    items = [ScoredItem(Example(name, {}, "a", name), "a", 1) for name in vector.item_ids]
    replies = ["broken" if math.isnan(value) else "other" for value in values]
    asked = agreement(cast("FinalRun", run), items, replies)
    return Verification(run, "it", asked, (), ())


@pytest.mark.parametrize(("broken", "passed"), [(0, True), (120, False), (ITEMS, False)])
def test_replies_that_cannot_be_scored_count_as_the_worst(
    broken: int, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = [1.0] * ITEMS
    found = verified(monkeypatch, [math.nan] * broken + right[broken:], right)
    assert found.agreement.unscored == broken
    assert found.passed == passed
    told = f"could not score {broken} of them"
    assert (told in found.sentence) == bool(broken)
    assert ("not worse by the margin" in found.sentence) == passed
    if broken == 120:
        assert "by -0.300" in found.sentence
        assert "WORSE" in found.sentence


def test_what_neither_could_be_scored_for_differs_by_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = [math.nan] * 120 + [1.0] * 280
    found = verified(monkeypatch, values, values)
    assert found.agreement.unscored == 120
    assert found.passed
