"""Some malformed experiments and data files; ``python -m lab.fuzz`` judges 10,000."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.fuzz.families import FAMILIES, Case

EXAMPLES = 150


@pytest.mark.parametrize("name", FAMILIES)
def test_every_input_is_accepted_or_refused_cleanly(name: str, tmp_path: Path) -> None:
    @settings(
        max_examples=round(EXAMPLES * FAMILIES[name].share), derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def judge(data: st.DataObject) -> None:
        case: Case = data.draw(FAMILIES[name].cases)
        found = case(tmp_path)
        assert not found.fault, f"{found.outcome}\n{found.detail}"

    judge()


def test_the_shares_are_of_all_examples() -> None:
    assert sum(family.share for family in FAMILIES.values()) == pytest.approx(1)
