"""Arms that answer in different ways: what is said of it, and where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.whole_study import analyse
from harness.findings import Findings
from harness.records import Study, TrialSummary, WayScore

from .study_builder import whole_study


def answering(ways: dict[str, str]) -> Study:
    """A study whose arms answer so."""
    built = whole_study().build()

    def answered(trial: TrialSummary) -> TrialSummary:
        way = ways.get(trial.arm, "generate")
        return replace(trial, params={**trial.params, "answering": way})

    return replace(built, trials=tuple(map(answered, built.trials)))


def found(study: Study) -> Findings:
    return analyse(study, resamples=200, sensitivity=False)


def test_arms_that_answer_alike_differ_in_nothing_else() -> None:
    for way in ("generate", "choice"):
        findings = found(answering({"lora": way, "few-shot": way}))
        assert findings.primary is not None
        assert findings.primary.decoding == ""
        assert not any("decoding" in caveat for caveat in findings.verdict.caveats)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("choice", "picks the likeliest of the valid answers"),
        ("constrained", "can write valid answers only"),
    ],
)
def test_a_contrast_between_two_ways_of_decoding_says_so(prompt: str, told: str) -> None:
    findings = found(answering({"few-shot": prompt}))
    assert findings.primary is not None
    assert findings.primary.decoding == (
        f"lora writes its answer freely and few-shot {told}: their difference is of both the "
        "training and the decoding."
    )
    assert findings.primary.decoding in findings.verdict.caveats


def test_what_each_way_scored_stands_beside_the_choice() -> None:
    study = answering({})
    ways = (WayScore("choice", 0.7, 10), WayScore("generate", 0.8, 20))
    tried = (replace(t, ways=ways) if t.arm == "lora" else t for t in study.trials)
    searches = {one.arm: one.choice for one in found(replace(study, trials=tuple(tried))).searches}
    assert searches["lora"] is not None and searches["few-shot"] is not None
    assert searches["lora"].ways == {"choice": 0.7, "generate": 0.8}
    assert searches["few-shot"].ways == {}
