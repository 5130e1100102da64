"""Parts that are measured on all cores."""

from __future__ import annotations

import time

import pytest

from harness.analysis.statistics.side_by_side import each


def test_results_stand_in_the_order_of_their_items() -> None:
    def later_first(number: int) -> int:
        time.sleep(0.01 * (3 - number))
        return 10 * number

    assert each(later_first, range(4)) == [0, 10, 20, 30]
    assert each(later_first, []) == []


def test_the_first_item_that_fails_is_told() -> None:
    def fails(number: int) -> int:
        if number:
            raise ValueError(str(number))
        return number

    with pytest.raises(ValueError, match="1"):
        each(fails, range(4))
