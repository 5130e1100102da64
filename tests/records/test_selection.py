"""The rule that selects a search's trial, for the run and the report alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from harness.records import Worth, keeps_abilities, loss_beyond_margin, selected


@dataclass(frozen=True)
class Tried:
    """A trial as the rule sees it."""

    number: int
    score: float
    general_change: float | None = None
    whole: bool = True

    @property
    def worth(self) -> Worth:
        return Worth(self.whole, self.score)


@pytest.mark.parametrize(
    ("change", "margin", "excess", "kept"),
    [
        (-0.2, None, None, True),
        (None, 0.05, None, True),
        (-0.2, 0.05, 0.15, False),
        (0.1, 0.05, -0.15, True),
        # 15 of 20 in place of 16 is a loss of exactly the margin, which floats overshoot.
        (0.75 - 0.8, 0.05, 0.0, True),
        (-0.05 - 1e-9, 0.05, 1e-9, False),
    ],
)
def test_a_loss_beyond_the_margin(
    change: float | None, margin: float | None, excess: float | None, kept: bool
) -> None:
    assert loss_beyond_margin(change, margin) == (
        None if excess is None else pytest.approx(excess, abs=1e-12)
    )
    assert keeps_abilities(change, margin) is kept


def test_what_is_not_a_number_is_not_known_to_be_lost() -> None:
    assert keeps_abilities(math.nan, 0.05)


def test_the_best_that_keeps_abilities_is_selected_the_earliest_of_equals() -> None:
    tried = [Tried(3, 0.7, 0.0), Tried(1, 0.9, -0.2), Tried(2, 0.7, None), Tried(0, 0.5, 0.0)]
    assert selected(tried, 0.05) == tried[2]
    assert selected(tried, None) == tried[1]


def test_where_none_keeps_them_the_one_that_loses_least_is_selected() -> None:
    tried = [Tried(0, 0.9, -0.3), Tried(2, 0.1, -0.1), Tried(1, 0.2, -0.1)]
    assert selected(tried, 0.05) == tried[2]
    assert selected([], 0.05) is None


def test_who_lacks_a_score_that_nothing_bounds_ranks_behind_all_that_have_every_one() -> None:
    tried = [Tried(0, 0.9, whole=False), Tried(1, 0.8), Tried(2, 0.95, whole=False)]
    assert selected(tried, None) == tried[1]
    assert selected([tried[0], tried[2]], None) == tried[2]
