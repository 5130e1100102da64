"""Replies without a score decide nothing: not at another margin, in a family, or beside marks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.statistics.paired import Comparison, conclude_family, conclude_primary
from harness.analysis.statistics.scores import Scores
from harness.analysis.verdict.sensitivity import LEVELS
from harness.analysis.whole_study import analyse
from harness.findings import Contrast
from harness.records import Study

from .study_builder import METRIC, StudyBuilder, whole_study
from .test_judged import Judged
from .test_paired import compared, vectors


def lacking(missing: int) -> StudyBuilder:
    """Lora is right wherever it has a score, few-shot on four items of five."""
    built = whole_study(seeds=(), general_suite=None)
    built.finalist("lora", 1, {"test": [1.0] * (200 - missing) + [math.nan] * missing})
    built.finalist("few-shot", 1, {"test": [0.0] * 40 + [1.0] * 160})
    return built


def primary_at(study: Study, **changes: float) -> Contrast:
    spec = dict(study.experiment.spec)
    spec["contrast"] = {**spec["contrast"], **changes}
    moved = replace(study, experiment=replace(study.experiment, spec=spec))
    found = analyse(moved, resamples=200, sensitivity=False).primary
    assert found is not None
    return found


def test_no_other_margin_or_level_makes_a_winner_of_what_rests_on_missing_replies() -> None:
    study = lacking(60).build()
    found = analyse(study, resamples=200)
    assert found.primary is not None
    assert found.primary.rests_on_missing
    assert found.sensitivity is not None
    flips = [f for f in found.sensitivity.flips if f.assumption.startswith("contrast.")]
    assert flips
    assert all(flip.outcome != "fine_tune" for flip in flips)
    for margin in (0.029, 0.031):
        assert primary_at(study, margin=margin).rests_on_missing


def test_few_missing_replies_change_nothing_at_another_level() -> None:
    study = lacking(2).build()
    for level in LEVELS[:3]:
        found = primary_at(study, level=level)
        assert (found.outcome, found.rests_on_missing) == ("better", False)


def test_the_worst_case_of_a_family_is_corrected_with_it() -> None:
    plain, worst = np.zeros((1, 200)), np.zeros((1, 200))
    plain[0, :9], worst[0, :6] = 1, 1  # mid-p 0.002 and 0.016
    nought = vectors("b", np.zeros((1, 200)))
    found = replace(
        compared(vectors("a", plain), nought), as_worst=compared(vectors("a", worst), nought)
    )
    assert conclude_primary(found).outcome != "inconclusive"
    among = conclude_family([found] * 5)
    assert {(one.outcome, one.rests_on_missing) for one in among} == {("inconclusive", True)}


def test_what_another_pair_lacks_is_not_laid_to_one_that_lacks_nothing() -> None:
    nought = vectors("b", np.zeros((1, 200)))
    rows = {name: np.zeros((1, 200)) for name in ("whole", "plain", "worst")}
    rows["whole"][0, :7] = rows["plain"][0, :12] = rows["worst"][0, :1] = 1
    whole, plain, worst = (compared(vectors("a", row), nought) for row in rows.values())
    lacking_some = replace(plain, as_worst=worst)
    of_whole, of_lacking = conclude_family([whole, lacking_some])
    assert (of_whole.outcome, of_whole.rests_on_missing) != ("inconclusive", True)
    assert (of_lacking.outcome, of_lacking.rests_on_missing) == ("inconclusive", True)


def judged_but_for(arm: str, share: float) -> tuple[Judged, Comparison]:
    """People find lora better by one; the judge could not mark a share of one arm's replies."""
    study = Judged(favour=0.0)
    last = slice(int(100 * (1 - share)), 100)
    rows = []
    for row in study.scores.study.vectors:
        values = row.values + (2.0 if row.arm == "lora" else 0.0)
        if row.arm == arm:
            values[last] = math.nan
        rows.append(replace(row, values=values))
    study.scores = Scores(replace(study.scores.study, vectors=tuple(rows)))
    study.rows = [
        replace(row, score=row.score + 2.0) if row.reply.startswith("lora") else row
        for row in study.rows
    ]
    return study, study.comparison()


@pytest.mark.parametrize(("arm", "rests"), [("lora", True), ("few-shot", False)])
def test_marks_of_people_do_not_hide_what_the_judge_could_not_mark(arm: str, rests: bool) -> None:
    study, found = judged_but_for(arm, 0.5)
    assert found.metric == METRIC
    corrected = study.marks().correct(found, 500, np.random.default_rng(0))
    assert corrected.as_worst is not None
    contrast = conclude_primary(corrected)
    assert contrast.unscored == 50
    assert contrast.unscored_as_worst is not None
    assert contrast.rests_on_missing == rests
    assert contrast.outcome == ("inconclusive" if rests else "better")
