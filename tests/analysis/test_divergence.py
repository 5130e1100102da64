"""Divergence from the base, beside what was forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import analyse

from .study_builder import right, whole_study


def test_the_mean_and_its_interval_stand_beside_the_forgetting() -> None:
    built = whole_study()
    generator = np.random.default_rng(0)
    values = generator.gamma(2, 0.1, 50)
    for seed in (1, 2, 3):
        built.finalist("lora", seed, {"divergence:text": values})
    (found,) = analyse(built.build(), resamples=500).forgetting
    assert found.divergence == pytest.approx(values.mean())
    assert found.divergence_interval is not None
    assert 0 < found.divergence_interval.low < values.mean() < found.divergence_interval.high
    width = found.divergence_interval.high - found.divergence_interval.low
    assert width == pytest.approx(2 * 2 * values.std() / np.sqrt(50), rel=0.15)
    without = analyse(whole_study().build(), resamples=500)
    assert (without.forgetting[0].divergence, without.forgetting[0].divergence_interval) == (
        None,
        None,
    )
    assert without.forgetting[0].mean_change == found.mean_change


def test_it_is_never_said_to_be_negative() -> None:
    built = whole_study(seeds=(1,))
    built.finalist("lora", 1, {"divergence:text": [0.0, 0.0, 0.0, 0.9]})
    (found,) = analyse(built.build(), resamples=500).forgetting
    assert found.divergence_interval is not None
    assert found.divergence_interval.low == 0


def test_one_text_has_a_mean_and_no_interval() -> None:
    built = whole_study(seeds=(1,))
    built.finalist("lora", 1, {"divergence:text": [0.3], "test": right(0.8)})
    (found,) = analyse(built.build(), resamples=100).forgetting
    assert (found.divergence, found.divergence_interval) == (0.3, None)
