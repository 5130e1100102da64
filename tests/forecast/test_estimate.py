from __future__ import annotations

import pytest

from harness.forecast.estimate import Estimate, either, summed

ONE = Estimate(10, 8, 13)
OTHER = Estimate(20, 16, 24)


def test_sums_for_one_reason() -> None:
    assert summed([ONE, OTHER]) == Estimate(30, 24, 37)
    assert summed([]) == Estimate(0, 0, 0)


def test_a_number_of_things_times_what_each_takes() -> None:
    assert Estimate(2, 1, 3) * ONE == Estimate(20, 8, 39)
    assert Estimate(20, 16, 26) == ONE * 2


def test_one_of_several() -> None:
    assert either([ONE, OTHER]) == Estimate(15, 8, 24)
    assert Estimate.among([1, 2, 6]) == Estimate(3, 1, 6)
    with pytest.raises(ValueError, match="no values"):
        either([])
    with pytest.raises(ValueError, match="no values"):
        Estimate.among([])


def test_widening_keeps_it_above_nothing() -> None:
    assert Estimate(10, 10, 10).widened(0.25) == Estimate(10, 8, 12.5)
