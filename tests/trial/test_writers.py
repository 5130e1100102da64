"""Models that write, behind a server: what a failed request costs, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import harness.evaluation.endpoint.chat_client as client_module
from harness.records import Seat, TrialSpec, WritingTask
from harness.trial.candidate import TrialRun
from harness.trial.writers import writer_of
from harness.trial.writing_journal import Asking, Journal
from harness.writing.reflection import Write
from harness.writing.rows import UnusableError
from tests.fake_server import Answer, FakeServer, endpoint, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)
    with serving() as state:
        state.reply = lambda message: f"```\nLike this: {message[-1]}\n```"
        yield state


@contextmanager
def writer(server: FakeServer, folder: Path, **limits: Any) -> Iterator[tuple[Write, TrialRun]]:
    """What asks the server to write, with what was kept of it in the folder."""
    changes = {"retries": 1, "timeout_seconds": 0.4, **limits}
    place = endpoint(server.url, folder / "ledger.jsonl", **changes)
    seat = Seat("writer", "", None, place)
    task = WritingTask(
        by="gepa", writer="w", reflector=seat, asked="a", asked_writer="b", max_new_tokens=32,
        minibatch=4, rows=24, most_rows=600,
    )  # fmt: skip
    spec = cast("TrialSpec", SimpleNamespace(trial_id="t", date=None))
    run = TrialRun()
    asking = Asking(Journal(folder / "writing.jsonl", run))
    with writer_of(spec, task, asking, cast("Any", None), run) as write:
        yield write, run


FAULTS: dict[str, Answer] = {
    "time-out": Answer(slow=0.6),
    "too many requests": Answer(status=429),
    "broken": Answer(drop=True),
    "no JSON": Answer(body="<html>busy</html>"),
    "refused": Answer(status=400, body='{"error": {"message": "too long"}}'),
    "unknown": Answer(status=404),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_request_that_fails_costs_its_proposal_alone(
    server: FakeServer, tmp_path: Path, fault: str
) -> None:
    server.script = [FAULTS[fault]] * 2
    with writer(server, tmp_path) as (write, _):
        with pytest.raises(UnusableError) as refusal:
            write("a")
        assert not refusal.value.final
        server.script = []
        assert "Like this: b" in write("b").reply


def test_what_failed_is_not_asked_again_after_a_kill(server: FakeServer, tmp_path: Path) -> None:
    server.script = [Answer(status=429)] * 2
    with writer(server, tmp_path) as (write, _):
        with pytest.raises(UnusableError):
            write("a")
        write("b")
    asked = len(server.seen)
    with writer(server, tmp_path) as (write, run):
        with pytest.raises(UnusableError, match="429"):
            write("a")
        again = write("b")
    assert "Like this: b" in again.reply
    assert len(server.seen) == asked
    assert len(run.replies) == 1


def test_a_torn_line_is_asked_again(server: FakeServer, tmp_path: Path) -> None:
    with writer(server, tmp_path) as (write, _):
        write("a")
    kept = tmp_path / "writing.jsonl"
    kept.write_text(kept.read_text("utf-8")[:-9], "utf-8")
    with writer(server, tmp_path) as (write, _):
        assert "Like this: a" in write("a").reply
    assert len(server.seen) == 2


def test_tokens_are_the_servers_or_else_estimated(server: FakeServer, tmp_path: Path) -> None:
    with writer(server, tmp_path) as (write, _):
        assert write("a").tokens == 12
        server.usage = None
        assert write("b").tokens > 12


def test_a_cap_ends_all_writing(server: FakeServer, tmp_path: Path) -> None:
    priced = {"prompt_price": 1000.0, "completion_price": 1000.0, "spending_cap": 0.01}
    with writer(server, tmp_path, **priced) as (write, _):
        with pytest.raises(UnusableError) as refusal:
            write("a")
        assert refusal.value.final
    assert server.seen == []


def test_seconds_of_a_process_that_was_killed_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("harness.trial.writing_journal.time.monotonic", lambda: clock[0])
    path = tmp_path / "writing.jsonl"
    first = Journal(path, TrialRun())
    clock[0] += 40
    first.keep_failure("request", "no answer")
    # What it did after that is lost with it.
    clock[0] += 5
    second = Journal(path, TrialRun())
    assert second.seconds() == 40
    assert second.failed("request") == "no answer"
    clock[0] += 2
    # No limit ends what is known before it has been gone through again.
    assert second.counted() == 2
    second.keep_failure("other", "no answer")
    assert second.counted() == 42
    assert Journal(path, TrialRun()).seconds() == 42
