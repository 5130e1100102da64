"""Kill the coordinator and its trials again and again: nothing is lost, and nothing done twice.

The long version, with 200 kills, is ``make chaos``.
"""

from __future__ import annotations

import pytest
from chaos.storm import Tally, brew
from chaos.study import CASES

KILLS = 12


@pytest.fixture(scope="module")
def tally() -> Tally:
    return brew("three", KILLS, seed=3)


def test_the_study_was_disturbed_enough(tally: Tally) -> None:
    assert (tally.kills, tally.studies) == (KILLS, 1)
    assert tally.child_kills >= 2
    assert tally.spoilt >= 3
    assert tally.begun > tally.planned


def test_no_trial_is_lost_or_repeated_or_different(tally: Tally) -> None:
    # 1 + 6 + 6 + 6 searched, 3 arms on 3 seeds, the base, the default settings of the two arms that
    # selected others on 3 seeds, and 2 sizes of a learning curve on 3 seeds.
    assert tally.planned == 41
    assert (tally.lost, tally.repeated, tally.wrong) == (0, 0, [])


def test_what_is_spoilt_is_set_aside_with_the_reason(tally: Tally) -> None:
    assert tally.quarantined == tally.spoilt


def test_the_cases_differ_in_what_the_long_version_varies() -> None:
    assert {name: case.workers for name, case in CASES.items()} == {"one": 1, "three": 3, "real": 2}
