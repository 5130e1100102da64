"""Kill the coordinator and its trials again and again: nothing is lost, and nothing done twice.

The long version, with 200 kills, is ``make chaos``.
"""

from __future__ import annotations

import pytest

from lab.chaos.storm import Tally, brew
from lab.chaos.study import CASES

KILLS = 2


@pytest.fixture(scope="module")
def tally() -> Tally:
    return brew("short", KILLS, seed=119)


def test_the_study_was_disturbed_enough(tally: Tally) -> None:
    assert (tally.kills, tally.studies) == (KILLS, 1)
    assert tally.child_kills >= 2
    assert tally.spoilt >= 3
    assert tally.begun > tally.planned


def test_no_trial_is_lost_or_repeated_or_different(tally: Tally) -> None:
    # 1 + 3 + 3 + 3 searched, 3 arms on a seed, the base, 2 sizes of a learning curve, 3 arms timed
    # in 2 turns; and the default settings of those arms of two that selected another, which follows
    # from what pretended trials score.
    assert tally.planned in (22, 23, 24)
    assert (tally.lost, tally.repeated, tally.wrong) == (0, 0, [])


def test_what_is_spoilt_is_set_aside_with_the_reason(tally: Tally) -> None:
    assert tally.quarantined == tally.spoilt


def test_the_cases_differ_in_what_the_long_version_varies() -> None:
    workers = {name: case.workers for name, case in CASES.items()}
    assert workers == {"one": 1, "three": 3, "short": 3, "real": 2}
