"""The cap holds whatever dies when, in one process and in several."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import TrialError
from harness.evaluation.endpoint.spending import Ledger, price_of
from tests.fake_server import endpoint

PRICES = {"prompt_price": 3.0, "completion_price": 15.0}


def ledger(path: Path, cap: float | None = 1.0, trial: str = "t", **changes: Any) -> Ledger:
    values = {**PRICES, "spending_cap": cap, **changes}
    return Ledger(endpoint("http://127.0.0.1:9/v1", path, **values), trial)


def test_prices_are_for_a_million_tokens(tmp_path: Path) -> None:
    asked = endpoint("http://x/v1", tmp_path, **PRICES)
    assert price_of(asked, 1_000_000, 0) == 3
    assert price_of(asked, 1000, 2000) == Decimal("0.033")
    cents = endpoint("http://x/v1", tmp_path, prompt_price=0.1, completion_price=0.2)
    assert price_of(cents, 1, 1) * 1_000_000 == Decimal("0.3")


def test_money_is_reserved_then_settled_or_released(tmp_path: Path) -> None:
    one = ledger(tmp_path / "l")
    first, second, third = (one.reserve(1000, 1000) for _ in range(3))
    assert one.committed() == Decimal("0.054")
    one.settle(first, 100, 10)
    one.release(second)
    assert one.committed() == Decimal("0.00045") + Decimal("0.018")
    other = ledger(tmp_path / "l", trial="other")
    other.settle(other.reserve(1000, 0), 1000, 0)
    assert one.committed() == other.committed() == Decimal("0.02145")
    assert (one.of_trial(), other.of_trial()) == (Decimal("0.01845"), Decimal("0.003"))
    one.settle(third, 0, 0)
    assert ledger(tmp_path / "l").of_trial() == Decimal("0.00045")


def test_a_file_that_is_moved_under_way_poisons_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    one = ledger(path)
    first, second = one.reserve(1000, 1000), one.reserve(1000, 1000)
    path.rename(tmp_path / "moved")
    one.settle(first, 1000, 0)
    assert one.committed() == ledger(path).committed() == Decimal("0.003")
    # Put back from a copy of before, which is larger than what was read since.
    (tmp_path / "moved").replace(path)
    one.settle(second, 0, 0)
    assert one.committed() == ledger(path).committed() == Decimal("0.018")


def test_a_bad_line_is_the_one_that_is_named_however_often(tmp_path: Path) -> None:
    path = tmp_path / "l"
    one = ledger(path)
    one.settle(one.reserve(10, 10), 10, 10)
    other = ledger(path)
    with path.open("ab") as file:
        file.write(b"bad\n")
    for _ in range(2):
        with pytest.raises(TrialError, match="bad"):
            other.reserve(10, 10)


def test_the_cap_is_met_exactly_and_not_passed(tmp_path: Path) -> None:
    one = ledger(tmp_path / "l", cap=0.3, prompt_price=0.1)
    for _ in range(3):
        one.reserve(1_000_000, 0)
    with pytest.raises(TrialError) as failure:
        one.reserve(1, 0)
    assert failure.value.kind == "spending_cap"
    told = str(failure.value)
    for words in ("0.30 EUR of the cap of 0.30 EUR", "3 requests whose reply", "Raise spending_cap",
                  "--retry-failed", str(tmp_path / "l")):  # fmt: skip
        assert words in told
    assert one.committed() == Decimal("0.3")
    assert ledger(tmp_path / "l", cap=0.4, prompt_price=0.1).reserve(1, 0)


def test_without_a_cap_everything_is_noted_and_nothing_refused(tmp_path: Path) -> None:
    one = ledger(tmp_path / "l", cap=None, prompt_price=0.0, completion_price=0.0)
    one.settle(one.reserve(10**9, 10**9), 5, 6)
    lines = [json.loads(line) for line in (tmp_path / "l").read_text().splitlines()]
    assert [line["prompt_tokens"] for line in lines] == [10**9, 5]
    assert one.committed() == 0


def test_where_replies_cost_more_than_reserved_more_is_reserved(tmp_path: Path) -> None:
    one = ledger(tmp_path / "l")
    # Two at once, so that what the second is raised by is not counted twice.
    first, second = one.reserve(1000, 0), one.reserve(1000, 0)
    one.settle(first, 2000, 0)
    one.settle(second, 1500, 0)
    assert one.reserve(1000, 0).amount == Decimal("0.006")
    assert ledger(tmp_path / "l").reserve(1000, 0).amount == Decimal("0.006")
    one.settle(one.reserve(1000, 0), 3000, 0)
    assert one.reserve(1000, 0).amount == Decimal("0.009")


DAMAGED = (
    b"{}\n",
    b"x\n",
    b'{"line": "settled", "id": "a", "amount": "1"}\n',
    b'{"line": "reserved", "id": "a", "amount": "lots"}\n',
)


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_ledger_stops_everything(tmp_path: Path, text: bytes) -> None:
    one = ledger(tmp_path / "l")
    one.reserve(1, 1)
    with (tmp_path / "l").open("ab") as file:
        file.write(text)
    with pytest.raises(TrialError, match="cannot be read") as failure:
        one.reserve(1, 1)
    assert failure.value.kind == "ledger"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_dies_when_the_server_is_never_owed_more_than_the_cap(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A server that charges what it was promised at most, and clients that die anywhere."""
    path = tmp_path_factory.mktemp("ledger") / "l"
    cap = Decimal(data.draw(st.integers(0, 40))) / 1000
    charged = Decimal(0)
    alive = [ledger(path, cap=float(cap)) for _ in range(3)]
    for _ in range(data.draw(st.integers(1, 40))):
        place = data.draw(st.integers(0, 2))
        one = alive[place]
        worst = data.draw(st.integers(0, 2000)), data.draw(st.integers(0, 500))
        before = path.stat().st_size if path.exists() else 0
        dies = data.draw(st.sampled_from(["not", "reserving", "sending", "settling", "after"]))
        torn, used = data.draw(st.floats(0, 0.999)), data.draw(st.floats(0, 1))
        try:
            reservation = one.reserve(*worst)
        except TrialError as failure:
            assert failure.kind == "spending_cap"
            continue
        if dies == "reserving":
            # The line is torn at any byte, so the request was never sent.
            tear(path, before, torn)
        elif dies != "sending":
            tokens = int(worst[0] * used), int(worst[1] * used)
            charged += price_of(one._endpoint, *tokens)
            before = path.stat().st_size
            one.settle(reservation, *tokens)
            if dies == "settling":
                tear(path, before, torn)
        if dies != "not":
            alive[place] = ledger(path, cap=float(cap))
            # The others find out by themselves.
        assert charged <= alive[place].committed() <= cap


def tear(path: Path, before: int, share: float) -> None:
    """Leave only a share of what was written since the file had ``before`` bytes."""
    os.truncate(path, before + int((path.stat().st_size - before) * share))


WORKER = """
import random, sys, time
from pathlib import Path
from tests.fake_server import endpoint
from harness.evaluation.endpoint.spending import Ledger
from harness.errors import TrialError
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
asked = endpoint("http://x/v1", folder / "l", prompt_price=1000.0, spending_cap=0.2)
ledger, draw = Ledger(asked, str(seed)), random.Random(seed)
while True:
    try:
        reservation = ledger.reserve(1, 0)
    except TrialError:
        sys.exit(7)
    with (folder / "charged").open("ab", buffering=0) as file:
        file.write(b"x")  # one byte, one thousandth: the server charges it all
    if draw.random() < 0.5:
        ledger.settle(reservation, 1, 0)
"""


def test_several_processes_that_are_killed_keep_one_cap(tmp_path: Path) -> None:
    draw = random.Random(0)

    def start(seed: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER, str(tmp_path), str(seed)]
        return subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        )

    running = [start(seed) for seed in range(3)]
    charged = tmp_path / "charged"
    for seed in range(3, 6):
        before = charged.stat().st_size if charged.exists() else 0
        until = time.monotonic() + 30
        while not charged.exists() or charged.stat().st_size < min(before + 20, 190):
            assert time.monotonic() < until
            time.sleep(0.001)
        victim = running.pop(draw.randrange(len(running)))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        running.append(start(seed))
    assert {one.wait(60) for one in running} == {7}
    assert 150 < charged.stat().st_size <= 200


# --------------------------------------------------------------------------- rate


def test_threads_and_ledgers_share_one_rate(tmp_path: Path) -> None:
    made = [ledger(tmp_path / "l", requests_per_minute=1200.0) for _ in range(2)]
    slots: list[float] = []

    def ask(one: Ledger) -> None:
        for _ in range(5):
            slots.append(one.reserve(1, 1).at)

    threads = [threading.Thread(target=ask, args=(one,)) for one in made * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slots.sort()
    gaps = [b - a for a, b in pairwise(slots)]
    assert len(slots) == 20
    assert min(gaps) == pytest.approx(0.05, abs=1e-6)


def test_a_clock_that_was_set_back_stops_nothing(tmp_path: Path) -> None:
    one = ledger(tmp_path / "l", requests_per_minute=1.0)
    one.reserve(1, 1)
    text = (tmp_path / "l").read_text()
    line = json.loads(text)
    (tmp_path / "l").write_text(json.dumps({**line, "at": line["at"] + 86_400}) + "\n")
    again = ledger(tmp_path / "l", requests_per_minute=1.0)
    assert again.reserve(1, 1).at <= time.time()
