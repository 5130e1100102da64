"""Confidence against accuracy: the error, its interval, and what holding back would give."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis.arms.confidence import arm_confidence
from harness.analysis.statistics.bootstrap import named_generator
from harness.analysis.statistics.scores import Scores
from harness.analysis.whole_study import analyse
from harness.findings import ArmConfidence
from harness.report import build_view
from harness.report.document import Figure, Table

from .study_builder import StudyBuilder, experiment

Floats = NDArray[np.float64]


def built(confidence: Floats, right: Floats) -> StudyBuilder:
    """One arm that knows how sure it is, shape (seeds, items), and one that does not."""
    made = StudyBuilder(experiment(seeds=list(range(1, len(right) + 1))))
    made.search("few-shot", [0.5]).search("lora", [0.8])
    for seed, values in enumerate(right, 1):
        made.finalist("few-shot", seed, {"test": values})
        made.finalist("lora", seed, {"test": values})
        made.vectors.append(
            replace(made.vectors[-1], metric="confidence", values=confidence[seed - 1])
        )
    return made


def found(confidence: Floats, right: Floats) -> ArmConfidence:
    scores = Scores(built(confidence, right).build())
    arm = arm_confidence(scores, "lora", level=0.95, generator=partial(named_generator, 0))
    assert arm is not None
    return arm


def drawn(items: int, seed: int, overconfident: float = 0.0) -> tuple[Floats, Floats]:
    """An arm whose replies are right as often as it is sure, less ``overconfident``."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1, (1, items))
    return confidence, (generator.random((1, items)) < confidence - overconfident).astype(float)


def test_the_error_is_the_mean_gap_over_equal_parts() -> None:
    # Two parts of ten: half sure and 3 of 10 right; wholly sure and 9 of 10 right.
    confidence = np.array([[0.5] * 10 + [1.0] * 10])
    right = np.array([[1.0] * 3 + [0.0] * 7 + [1.0] * 9 + [0.0]])
    arm = found(confidence, right)
    assert [part.items for part in arm.bins] == [10, 10]
    assert [part.confidence for part in arm.bins] == [0.5, 1.0]
    assert [part.accuracy for part in arm.bins] == pytest.approx([0.3, 0.9])
    assert arm.calibration_error == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)
    squares = (0.2**2 - 0.3 * 0.7 / 9, 0.1**2 - 0.9 * 0.1 / 9)
    assert arm.gap == pytest.approx((sum(squares) / 2) ** 0.5)


def test_holding_back_the_least_sure() -> None:
    confidence = np.linspace(0.1, 1, 40)[None]
    right = np.array([[0.0] * 8 + [1.0] * 32])
    by_share = {one.abstained: one for one in found(confidence, right).abstentions}
    assert by_share[0.1].accuracy == pytest.approx(32 / 36)
    assert by_share[0.1].accuracy_of_abstained == 0.0
    assert by_share[0.2].accuracy == 1.0
    assert by_share[0.3].accuracy_of_abstained == pytest.approx(4 / 12)


def test_runs_are_put_together() -> None:
    arm = found(np.full((2, 30), 0.8), np.array([[1.0] * 30, [0.0] * 30]))
    assert arm.items == 60
    assert arm.abstentions[0].accuracy == 0.5


@pytest.mark.parametrize(("overconfident", "error"), [(0.0, 0.0), (0.3, 0.3)])
def test_the_interval_holds_the_true_error(
    monkeypatch: pytest.MonkeyPatch, overconfident: float, error: float
) -> None:
    # As many as tell whether it holds; more make its ends the same from run to run.
    monkeypatch.setattr("harness.analysis.arms.confidence.RESAMPLES", 300)
    held = 0
    for seed in range(60):
        interval = found(*drawn(200, seed, overconfident)).interval
        assert interval is not None
        held += interval.low <= error <= interval.high
    assert held >= 51  # in 99.9 % of draws at 95 %


def test_few_items_tell_nothing() -> None:
    study = built(np.full((1, 19), 0.8), np.ones((1, 19))).build()
    assert analyse(study, resamples=100, sensitivity=False).confidence == ()


def test_it_is_a_section_and_no_metric_of_the_table() -> None:
    made = built(*drawn(100, 1))
    study = made.build()
    view = build_view(study, made.experiment, analyse(study, resamples=100, sensitivity=False))
    figure, table = view.section("confidence").blocks
    assert isinstance(figure, Figure)
    assert isinstance(table, Table)
    assert "lora is" in figure.see
    assert [row[0] for row in table.rows] == ["lora"]
    plain = StudyBuilder(experiment(seeds=[1])).finalist("lora", 1, {"test": [1.0] * 30})
    other = plain.build()
    without = build_view(other, plain.experiment, analyse(other, resamples=100, sensitivity=False))
    assert "confidence" not in {section.key for section in without.sections}
