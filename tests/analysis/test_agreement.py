"""Agreement of a judge with people, against scikit-learn and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from harness.analysis.statistics.agreement import (
    agreement_interval,
    mean_bias,
    rank_correlation,
    weighted_kappa,
)
from harness.analysis.statistics.pairing import Codes
from harness.findings import Interval

HUMAN = np.array([1, 2, 3, 4, 5, 5, 2, 1, 3, 4, 4, 2.0])
JUDGED = np.array([1, 3, 3, 5, 5, 4, 2, 2, 3, 3, 4, 1.0])


def test_kappa_is_that_of_whole_marks() -> None:
    from sklearn.metrics import cohen_kappa_score

    expected = cohen_kappa_score(HUMAN, JUDGED, weights="quadratic")
    assert weighted_kappa(HUMAN, JUDGED) == pytest.approx(expected)


def test_marks_of_agreement_and_of_none() -> None:
    assert weighted_kappa(HUMAN, HUMAN) == 1.0
    assert weighted_kappa(HUMAN, np.full(12, HUMAN.mean())) == pytest.approx(0.0)
    assert weighted_kappa(HUMAN, 6 - HUMAN) < 0
    assert math.isnan(weighted_kappa(np.ones(3), np.ones(3)))
    assert math.isnan(weighted_kappa(np.ones(12), JUDGED))


def test_rank_correlation_is_spearmans() -> None:
    assert rank_correlation(HUMAN, JUDGED) == pytest.approx(spearmanr(HUMAN, JUDGED).statistic)
    assert math.isnan(rank_correlation(HUMAN, np.ones(12)))


def test_the_interval_holds_the_estimate_and_redraws_clusters() -> None:
    def interval(clusters: Codes) -> Interval | None:
        return agreement_interval(
            weighted_kappa,
            HUMAN,
            JUDGED,
            clusters,
            level=0.95,
            resamples=500,
            generator=np.random.default_rng(0),
        )

    found = interval(np.arange(12))
    assert found is not None
    assert found.low < weighted_kappa(HUMAN, JUDGED) < found.high
    assert interval(np.zeros(12, dtype=np.intp)) is None


def test_bias_is_the_judges_mark_minus_that_of_people() -> None:
    bias, interval = mean_bias(
        HUMAN,
        HUMAN + 0.5,
        np.arange(12),
        level=0.95,
        resamples=500,
        generator=np.random.default_rng(0),
    )
    assert bias == 0.5
    assert interval is not None
    assert interval.low <= 0.5 <= interval.high
