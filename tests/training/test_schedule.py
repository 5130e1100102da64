"""The learning rate takes the course that its name says."""

from __future__ import annotations

import pytest

from harness.training.schedule import learning_rate_at


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        # Two steps of warm-up: thirds of the peak. Then 8 steps, of which the middle is step 6.
        ("constant", {0: 1 / 3, 1: 2 / 3, 2: 1, 6: 1, 9: 1}),
        ("linear", {0: 1 / 3, 1: 2 / 3, 2: 1, 6: 0.55, 9: 1 - 0.9 * 7 / 8}),
        ("cosine", {0: 1 / 3, 1: 2 / 3, 2: 1, 4: 0.868198, 6: 0.55, 8: 0.231802, 9: 0.134254}),
    ],
)
def test_known_values(schedule: str, rates: dict[int, float]) -> None:
    for step, share in rates.items():
        rate = learning_rate_at(step, 10, 3e-4, 0.2, schedule)
        assert rate == pytest.approx(3e-4 * share, rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 1.0), (3, 0.1), (50, 0.1), (7, 1.0)])
def test_rates_stay_between_nothing_and_the_peak(schedule: str, steps: int, warmup: float) -> None:
    rates = [learning_rate_at(step, steps, 2.0, warmup, schedule) for step in range(steps)]
    assert all(0 < rate <= 2.0 for rate in rates)
    warm = round(warmup * steps)
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[warm:] == sorted(rates[warm:], reverse=True)
    assert all(rate >= 0.2 for rate in rates[warm:])


def test_an_unknown_schedule_is_an_error() -> None:
    with pytest.raises(ValueError, match="no schedule is called 'step'"):
        learning_rate_at(5, 10, 1.0, 0.0, "step")
