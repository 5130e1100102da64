"""Divergence from the base, beside what was forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.analysis.whole_study import analyse

from .study_builder import right, whole_study


def test_the_mean_and_its_interval_stand_beside_the_forgetting() -> None:
    built = whole_study()
    generator = np.random.default_rng(0)
    values = generator.gamma(2, 0.1, 50)
    for seed in (1, 2, 3):
        built.finalist("lora", seed, {"divergence:text": values})
    (found,) = analyse(built.build(), resamples=500, sensitivity=False).forgetting
    assert found.divergence == pytest.approx(values.mean())
    assert found.divergence_interval is not None
    assert 0 < found.divergence_interval.low < values.mean() < found.divergence_interval.high
    width = found.divergence_interval.high - found.divergence_interval.low
    assert width == pytest.approx(2 * 2 * values.std() / np.sqrt(50), rel=0.15)
    without = analyse(whole_study().build(), resamples=500, sensitivity=False)
    assert (without.forgetting[0].divergence, without.forgetting[0].divergence_interval) == (
        None,
        None,
    )
    assert without.forgetting[0].mean_change == found.mean_change


def test_it_is_never_said_to_be_negative() -> None:
    built = whole_study(seeds=(1,))
    built.finalist("lora", 1, {"divergence:text": [0.0, 0.0, 0.0, 0.9]})
    (found,) = analyse(built.build(), resamples=500, sensitivity=False).forgetting
    assert found.divergence_interval is not None
    assert found.divergence_interval.low == 0


def test_one_text_has_a_mean_and_no_interval() -> None:
    built = whole_study(seeds=(1,))
    built.finalist("lora", 1, {"divergence:text": [0.3], "test": right(0.8)})
    (found,) = analyse(built.build(), resamples=100, sensitivity=False).forgetting
    assert (found.divergence, found.divergence_interval) == (0.3, None)


@pytest.mark.parametrize("suite", [{"general_suite": None}, {}])
def test_on_the_tasks_own_inputs_it_is_told_apart(suite: dict[str, Any]) -> None:
    built = whole_study(**suite)
    values = np.random.default_rng(0).gamma(2, 0.1, 32)
    for seed in (1, 2, 3):
        built.finalist("lora", seed, {"divergence:task_inputs": values, "divergence:text": [9.0]})
    findings = analyse(built.build(), resamples=500, sensitivity=False)
    (found,) = findings.task_divergence
    assert found.arm == "lora"
    assert found.mean == pytest.approx(values.mean())
    assert found.interval is not None
    assert 0 < found.interval.low < values.mean() < found.interval.high
    assert [one.divergence for one in findings.forgetting] == ([] if suite else [9.0])
    assert analyse(whole_study().build(), resamples=100, sensitivity=False).task_divergence == ()
