"""Seconds of single requests, and the work of other programs meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from harness.evaluation import latency
from harness.evaluation.latency import OtherWork, timed_again
from harness.records import ScoreRequest, even_sample


@pytest.mark.parametrize("items", [1, 2, 3, 5, 7, 8, 20, 800])
@pytest.mark.parametrize("limit", [1, 2, 4, 9])
def test_a_later_turn_asks_every_so_manieth(items: int, limit: int) -> None:
    """So that its requests can be laid beside the same ones of the first turn."""
    first = even_sample(range(items), 8)
    later = timed_again(first, limit)
    assert 1 <= len(later) <= limit
    step = -(-len(first) // len(later))
    assert list(first)[::step] == list(later)
    assert timed_again(first, None) == first
    assert timed_again(range(0), limit) == range(0)


class Asked:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def time_alone(self, requests: Sequence[Any]) -> float:
        (request,) = requests
        assert request.resps == []
        self.asked.append((request.args[0], request.args[1]["max_gen_toks"]))
        return float(len(self.asked))


@pytest.mark.parametrize(("tokens", "warm_up"), [(None, 64), (4, 4), (99, 64)])
def test_what_warms_up_is_asked_first_and_not_counted(tokens: int | None, warm_up: int) -> None:
    lm = Asked()
    options = {"until": ["x"], "max_gen_toks": 64}
    instances = [Instance("generate_until", {}, (f"p{n}", options), 0) for n in range(3)]
    for place, instance in enumerate(instances):
        instance.metadata, instance.doc_id = ("task", place, 1), place
    task = SimpleNamespace(build_all_requests=lambda **_: None, instances=instances)
    request = ScoreRequest("k", "domain", "latency", "test")
    record = latency.time_requests(lm, task, request, "whole", tokens)
    assert lm.asked == [("p0", warm_up), ("p0", 64), ("p1", 64), ("p2", 64)]
    assert record.latencies == (2.0, 3.0, 4.0)
    assert options["max_gen_toks"] == 64


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
