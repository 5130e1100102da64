"""Seconds of single requests, and the work of other programs meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from harness.evaluation import latency
from harness.evaluation.latency import LATENCY_REQUESTS, OtherWork, timed_items


@pytest.mark.parametrize(
    ("items", "chosen"),
    [
        (3, [0, 1, 2]),
        (8, list(range(8))),
        (20, list(range(0, 16, 2))),
        (800, list(range(0, 800, 100))),
    ],
)
def test_timed_items_are_spread_evenly(items: int, chosen: list[int]) -> None:
    assert list(timed_items(range(items))) == chosen
    assert len(timed_items(range(items))) <= LATENCY_REQUESTS


def test_only_the_work_of_other_programs_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 seconds, all processors worked 17 together and this process 10 of them."""
    passed = iter([100.0, 110.0])
    everyone = iter([{"user": 40.0, "system": 5.0}, {"user": 50.0, "system": 6.0, "steal": 6.0}])
    own = iter([7.0, 17.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(passed))
    monkeypatch.setattr("psutil.cpu_times", lambda: SimpleNamespace(idle=1.0, **next(everyone)))
    monkeypatch.setattr(latency, "_own_seconds", lambda: next(own))
    assert OtherWork().cores() == pytest.approx(0.7)


def test_a_busy_neighbour_is_seen() -> None:
    burn = "import time\nend = time.time() + 20\nwhile time.time() < end: pass"
    neighbour = subprocess.Popen([sys.executable, "-c", burn])
    try:
        time.sleep(0.3)
        others = OtherWork()
        time.sleep(1.5)
        # The machine may be shared with others still, which only adds.
        assert others.cores() > 0.3
    finally:
        neighbour.kill()
        neighbour.wait()
