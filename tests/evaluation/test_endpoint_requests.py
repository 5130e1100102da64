"""What goes to a server, what comes back, and what is done where nothing good does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import harness.evaluation.endpoint.chat_client as client_module
from harness.errors import TrialError
from harness.evaluation.endpoint.chat_client import ChatClient, Refused, worst_case
from harness.evaluation.endpoint.chat_reply import Reply, redact, retry_after
from harness.evaluation.endpoint.spending import Ledger
from harness.spec.endpoint import is_local
from tests.fake_server import Answer, FakeServer, endpoint, serving

KEY = "sk-very-secret-0123456789"
PAYLOAD: dict[str, Any] = {
    "model": "little",
    "messages": [{"role": "user", "content": "Is it late?"}],
    "max_tokens": 8,
    "temperature": 0,
}
MakeClient = Callable[..., ChatClient]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as state:
        yield state


@pytest.fixture
def client(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeClient:
    """A client of the server that waits a hundredth of the usual time."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)

    def make(environment: dict[str, str] | None = None, **changes: Any) -> ChatClient:
        asked = endpoint(changes.pop("url", server.url), tmp_path / "ledger.jsonl", **changes)
        return ChatClient(asked, Ledger(asked, "trial"), environment or {})

    return make


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def test_a_reply_is_read(server: FakeServer, client: MakeClient, tmp_path: Path) -> None:
    reply = client().ask(PAYLOAD)
    assert (reply.content, reply.model, reply.cut, reply.tokens) == (
        "positive", "little-2026", False, (10, 2),
    )  # fmt: skip
    assert 0 < reply.seconds < 5
    (seen,) = server.seen
    assert seen.payload == PAYLOAD
    assert "Authorization" not in seen.headers
    reserved, settled = lines(tmp_path)
    assert (reserved["line"], settled["line"], reserved["id"]) == (
        "reserved", "settled", settled["id"],
    )  # fmt: skip
    assert (settled["prompt_tokens"], settled["completion_tokens"]) == (10, 2)


def test_a_reply_that_reached_its_limit_is_a_reply(server: FakeServer, client: MakeClient) -> None:
    server.finish = "length"
    reply = client().ask(PAYLOAD)
    assert (reply.content, reply.cut) == ("positive", True)


def test_a_withheld_reply_is_empty(server: FakeServer, client: MakeClient) -> None:
    nothing = {"choices": [{"index": 0, "finish_reason": "content_filter"}]}
    thought = {"choices": [{"index": 0, "message": {"role": "assistant"}}]}
    half = '{"choices": [{"index": 0, "message": {"content": "a\\ud83d"}}]}'
    server.script = [Answer(body=json.dumps(nothing)), Answer(body=json.dumps(thought)),
                     Answer(body=half)]  # fmt: skip
    ask = client().ask
    assert [ask(PAYLOAD).content for _ in server.script[:]] == ["", "", "a�"]


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(server: FakeServer, client: MakeClient, status: int) -> None:
    server.script = [Answer(status, body="busy"), Answer(status, body="busy")]
    assert client().ask(PAYLOAD).content == "positive"
    assert len(server.seen) == 3


def test_backoff_doubles(
    server: FakeServer, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.05)
    server.script = [Answer(500)] * 3
    client().ask(PAYLOAD)
    at = [seen.at for seen in server.seen]
    gaps = [b - a for a, b in pairwise(at)]
    assert all(gap >= least for gap, least in zip(gaps, (0.05, 0.1, 0.2), strict=True))


def test_the_servers_own_wish_to_wait_is_honoured(server: FakeServer, client: MakeClient) -> None:
    server.script = [Answer(429, headers={"Retry-After": "0.4"})]
    one = client()
    one.ask(PAYLOAD)
    first, second = server.seen
    assert second.at - first.at >= 0.4
    server.script = [Answer(503, headers={"Retry-After": "1000"})]
    with pytest.raises(TrialError, match="asks to wait 1,000 s"):
        one.ask(PAYLOAD)
    assert len(server.seen) == 3


def test_retry_after_is_seconds_or_a_date() -> None:
    now = time.time()
    assert retry_after("7", now) == 7
    assert retry_after(" 1.5 ", now) == 1.5
    assert retry_after(formatdate(now + 30, usegmt=True), now) == pytest.approx(30, abs=1)
    assert retry_after(formatdate(now - 30, usegmt=True), now) == 0
    assert retry_after(None, now) is retry_after("soon", now) is retry_after("inf", now) is None


def test_it_gives_up_in_the_end(server: FakeServer, client: MakeClient) -> None:
    server.script = [Answer(503, body='{"error": {"message": "out of order"}}')] * 9
    with pytest.raises(TrialError, match="after 4 attempts: status 503: out of order") as failure:
        client().ask(PAYLOAD)
    assert failure.value.kind == "endpoint"
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401, body="who?"), "status 401: who?"),
        (Answer(404, body='{"error": "no such model"}'), "no such model .*does the server know"),
        (Answer(301, headers={"Location": "https://other/v1"}), "points to https://other/v1"),
    ],
)
def test_what_does_not_pass_is_not_asked_again(
    server: FakeServer, client: MakeClient, answer: Answer, words: str
) -> None:
    server.script = [answer]
    with pytest.raises(TrialError, match=words):
        client().ask(PAYLOAD)
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", ['{"error": {"message": "no"}}', '{"detail": "no"}', "no"])
@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (422, 1), (500, 4)])
def test_a_request_that_is_not_taken_is_the_callers_to_change(
    server: FakeServer, client: MakeClient, status: int, attempts: int, body: str
) -> None:
    server.script = [Answer(status, body=body)] * 9
    with pytest.raises(Refused, match=f"status {status}: no$") as refusal:
        client().ask(PAYLOAD)
    assert refusal.value.failure.status == status
    assert len(server.seen) == attempts


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[]", "{}", '{"choices": []}', '{"choices": [{"message": {"content": 3}}]}',
     '{"choices": [{}]}', '{"choices": ' + "[" * 100_000],
)  # fmt: skip
def test_what_is_no_completion_is_asked_again(
    server: FakeServer, client: MakeClient, body: str
) -> None:
    server.script = [Answer(body=body)]
    assert client().ask(PAYLOAD).content == "positive"
    server.script = [Answer(body=body)] * 9
    with pytest.raises(TrialError, match="no chat completion"):
        client().ask(PAYLOAD)


def test_a_slow_server_and_a_broken_connection(server: FakeServer, client: MakeClient) -> None:
    server.script = [Answer(slow=0.6), Answer(drop=True)]
    assert client(timeout_seconds=0.2).ask(PAYLOAD).content == "positive"
    server.script = [Answer(slow=0.6)] * 2
    with pytest.raises(TrialError, match=r"no reply within 0\.2 s"):
        client(timeout_seconds=0.2, retries=1).ask(PAYLOAD)


def test_a_reply_that_trickles_in_is_not_waited_for(server: FakeServer, client: MakeClient) -> None:
    server.script = [Answer(trickle=0.05)]
    began = time.monotonic()
    with pytest.raises(TrialError, match=r"no reply within 0\.2 s"):
        client(timeout_seconds=0.2, retries=0).ask(PAYLOAD)
    assert time.monotonic() - began < 2


def test_a_reply_without_end_is_not_read_to_its_end(server: FakeServer, client: MakeClient) -> None:
    server.script = [Answer(body="x" * 17 * 2**20)]
    with pytest.raises(TrialError, match="larger than 16 MiB"):
        client(retries=0).ask(PAYLOAD)


def test_nobody_there(client: MakeClient) -> None:
    with pytest.raises(TrialError, match="is the server running"):
        client(url="http://127.0.0.1:9/v1", retries=1).ask(PAYLOAD)


def test_proxies_are_for_elsewhere(
    server: FakeServer, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert client().ask(PAYLOAD).content == "positive"
    assert is_local(server.url)
    assert is_local("http://localhost:8000/v1")
    assert is_local("http://[::1]/v1")
    assert not is_local("https://api.example.com/v1")
    assert not is_local("http://10.0.0.3/v1")


# --------------------------------------------------------------------------- what failures cost


@pytest.mark.parametrize(
    ("answers", "open_reservations"),
    [
        ([Answer(429)], 0),
        ([Answer(408)], 1),
        ([Answer(500), Answer(503)], 2),
        ([Answer(drop=True)], 1),
        ([Answer(body="{}")], 1),
    ],
)
def test_only_a_refusal_surely_costs_nothing(
    server: FakeServer,
    client: MakeClient,
    tmp_path: Path,
    answers: list[Answer],
    open_reservations: int,
) -> None:
    server.script = list(answers)
    client().ask(PAYLOAD)
    found = lines(tmp_path)
    settled = {line["id"] for line in found if line["line"] == "settled"}
    reserved = {line["id"] for line in found if line["line"] == "reserved"}
    assert len(reserved) == len(server.seen) == len(answers) + 1
    assert len(reserved - settled) == open_reservations


def test_a_reply_without_a_count_costs_its_worst_case(
    server: FakeServer, client: MakeClient, tmp_path: Path
) -> None:
    server.usage = None
    assert client().ask(PAYLOAD).tokens is None
    assert [line["line"] for line in lines(tmp_path)] == ["reserved"]


def test_the_worst_case_is_a_token_a_byte() -> None:
    chat = [{"role": "system", "content": "é" * 10}, {"role": "user", "content": "abc"}]
    prompt, reply = worst_case({"messages": chat, "max_tokens": 5})
    assert prompt >= 20 + 3
    assert reply >= 5
    assert worst_case({"messages": chat, "max_completion_tokens": 5}) == (prompt, reply)


# --------------------------------------------------------------------------- keys


def test_the_key_goes_into_the_header(server: FakeServer, client: MakeClient) -> None:
    client({"MY_KEY": f" {KEY}\n"}, key_variable="MY_KEY").ask(PAYLOAD)
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_passwords_that_lie_about_are_not_sent(
    server: FakeServer, client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr(client_module, "is_local", lambda url: False)
    client().ask(PAYLOAD)
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize("value", ["", "  ", "schlüssel-0123", "two\nlines-of-it"])
def test_a_key_that_cannot_be_one_stops_before_anything_is_sent(
    server: FakeServer, client: MakeClient, tmp_path: Path, value: str
) -> None:
    with pytest.raises(TrialError, match="environment variable MY_KEY") as failure:
        client({"MY_KEY": value}, key_variable="MY_KEY").ask(PAYLOAD)
    assert failure.value.kind == "key"
    assert not value.strip() or value not in str(failure.value)
    assert server.seen == []
    assert not (tmp_path / "ledger.jsonl").exists()


@pytest.mark.parametrize("status", [200, 400, 401, 418, 500])
@pytest.mark.parametrize("shape", ["{}", '{{"error": {{"message": "bad key {}"}}}}', "long"])
def test_an_echoed_key_goes_no_further(
    server: FakeServer, client: MakeClient, status: int, shape: str
) -> None:
    # Long enough that cutting the text first would leave a part of the key behind.
    echo = "x" * 490 + KEY if shape == "long" else shape.format(KEY.upper())
    server.script = [Answer(status, body=echo, headers={"Location": KEY})] * 9
    with pytest.raises((TrialError, Refused)) as failure:
        client({"MY_KEY": KEY}, key_variable="MY_KEY", retries=1).ask(PAYLOAD)
    told = str(failure.value).lower()
    assert KEY[:12].lower() not in told
    chained = (failure.value.__cause__, failure.value.__context__)
    assert KEY not in repr(chained)


def test_an_echoed_key_in_a_reply_goes_no_further(server: FakeServer, client: MakeClient) -> None:
    server.reply = lambda message: f"Your key is {KEY}."
    reply = client({"MY_KEY": KEY}, key_variable="MY_KEY").ask({**PAYLOAD, "model": KEY})
    assert isinstance(reply, Reply)
    assert (reply.content, reply.model) == ("Your key is [key].", "[key]-2026")


def test_a_placeholder_is_no_secret() -> None:
    assert redact("EMPTY is empty", "EMPTY") == "EMPTY is empty"
    assert redact("a%2Bb%2Fc%3Dd%22", 'a+b/c=d"') == "[key]"
