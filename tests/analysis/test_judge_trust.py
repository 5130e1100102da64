"""A study whose primary metric is a judge's: people's marks decide, and what they say is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.judge_trust import trust_caveats
from harness.analysis.judge_use import judge_caveats, judge_uses
from harness.analysis.whole_study import analyse
from harness.analysis.wording import result
from harness.findings import ArmBias, Findings, JudgeTrust
from harness.records import Study
from harness.report import build_view
from harness.report.document import Table
from harness.spec import Experiment
from lab.simulation.drawing import draw_study
from lab.simulation.judging import JUDGE, Judge
from lab.simulation.study_design import Design

METRIC = JUDGE


def study(**changes: Any) -> Study:
    """The judge favours fine-tuning by 0.2 of the scale; people see no difference."""
    judge = Judge(**{"favour": 0.2, "marked": 60, **changes})
    design = Design(tasks=0, binary=False, seeds=3, seed_spread=0.02, noise=0.1, judge=judge)
    return draw_study(design, np.random.default_rng(1))


def analysed(given: Study) -> Findings:
    return analyse(given, resamples=500, sensitivity=False)


def told(findings: Findings) -> str:
    return " ".join(findings.verdict.caveats)


def test_nobody_marked() -> None:
    found = analysed(study(marked=0))
    assert found.primary is not None
    assert found.primary.outcome == "better"
    assert "no person's marks were held against it" in told(found)
    (trust,) = found.trust
    assert (trust.metric, trust.marked, trust.kappa) == (METRIC, 0, None)


def test_marks_of_people_decide() -> None:
    found = analysed(study())
    assert found.primary is not None
    assert found.primary.outcome != "better"
    assert found.primary.interval.low < 0 < found.primary.interval.high
    (trust,) = found.trust
    contrast = trust.contrasts[0]
    assert contrast.judged_interval.low > 0.05
    assert contrast.interval == found.primary.interval
    assert "were corrected by people's, on 60 items" in told(found)
    assert "no person's marks" not in told(found)


def test_the_scores_that_are_shown_are_those_that_decide() -> None:
    """Beside a corrected difference stand no marks of the judge alone."""
    given = study()
    found = analysed(given)
    contrast = found.primary
    assert contrast is not None
    assert contrast.corrected
    assert not any(other.corrected for other in [analysed(study(marked=0)).primary] if other)
    view = build_view(given, Experiment.model_validate(given.experiment.spec), found)
    sides = {term: text for term, text in view.verdict.figures if "corrected by people's" in term}
    assert list(sides.values()) == [f"{contrast.mean_a:.3f}", f"{contrast.mean_b:.3f}"]
    assert "corrected by people's marks, on" in result(contrast)


@pytest.mark.parametrize("own", [True, False])
def test_a_model_that_marks_its_own_replies_is_told(own: bool) -> None:
    given = study(marked=0)
    experiment = Experiment.model_validate(given.experiment.spec)
    uses = judge_uses(given, experiment)
    judge = experiment.judges[JUDGE]
    assert judge.model is not None
    model = judge.model if own else judge.model.model_copy(update={"reference": "another"})
    changed = experiment.model_copy(update={"model": model})
    assert ("it marks replies of itself" in " ".join(judge_caveats(uses, changed))) == own


def test_too_few_marks_are_said_to_be_too_few() -> None:
    found = analysed(study(marked=10))
    assert found.primary is not None
    assert found.primary.outcome == "better"
    assert "marked too few of the same items to correct it; it takes 20" in told(found)


def test_marks_of_no_reply_are_told() -> None:
    given = study()
    marks = given.experiment.data.calibration[JUDGE]
    strange = [replace(mark, reply="said by nobody") for mark in marks[:3]]
    data = replace(given.experiment.data, calibration={JUDGE: (*marks, *strange)})
    found = analysed(replace(given, experiment=replace(given.experiment, data=data)))
    assert "3 marks of people belong to no reply" in told(found)


def test_marks_that_are_all_the_same_are_told() -> None:
    biases = (ArmBias("lora", 40, 0.5, None),)
    judge = JudgeTrust(METRIC, True, 80, 0, None, None, None, None, biases)
    assert "People gave all replies that they marked the same mark" in " ".join(
        trust_caveats([judge], None)
    )


@pytest.mark.parametrize(("kappa", "said"), [(0.39, True), (0.41, False)])
def test_weak_agreement_is_told(kappa: float, said: bool) -> None:
    judge = JudgeTrust(METRIC, True, 80, 0, kappa, None, 0.5, None)
    caveats = " ".join(trust_caveats([judge], None))
    assert ("agree little (weighted kappa 0.39" in caveats) == said


def test_another_judge_s_trouble_is_no_caveat_of_the_verdict() -> None:
    judge = JudgeTrust(METRIC, False, 80, 5, 0.1, None, 0.1, None)
    assert trust_caveats([judge], None) == []


def test_the_report_shows_both_differences() -> None:
    given = study()
    spec = Experiment.model_validate(given.experiment.spec)
    view = build_view(given, spec, analysed(given))
    tables = [block for block in view.section("judges").blocks if isinstance(block, Table)]
    shown = {table.caption: table for table in tables}
    (agreement,) = [t for caption, t in shown.items() if caption.startswith("Agreement")]
    assert agreement.rows[0][:2] == (METRIC, "120")
    (bias,) = [t for caption, t in shown.items() if caption.startswith("Whom")]
    assert {row[0] for row in bias.rows} == {"prompt-0", "tuned-0"}
    (differences,) = [t for caption, t in shown.items() if caption.startswith("Differences")]
    assert differences.rows[0][0] == "tuned-0 − prompt-0"
