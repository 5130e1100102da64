"""An OpenAI-compatible chat server of the standard library, told in advance how to misbehave."""

from __future__ import annotations

import base64
import html
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

from harness.records import Endpoint


def written(key: str) -> tuple[str, ...]:
    """A key in the forms in which servers say one back."""
    return (
        key,
        json.dumps(key)[1:-1].replace("/", "\\/"),
        quote(key, safe=""),
        html.escape(key),
        base64.b64encode(f"Bearer {key}".encode()).decode(),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does with one request.

    body: None for a proper completion of the server's own. drop: the connection is cut without a
    reply. slow: seconds before anything is sent; trickle: seconds before each byte of the body.
    """

    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    trickle: float = 0.0
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived, at ``time.monotonic()``, over the connection of ``client``."""

    at: float
    payload: dict[str, Any]
    headers: dict[str, str]
    client: tuple[str, int]


@dataclass(slots=True)
class FakeServer:
    """Answers as told, one entry of ``script`` a request, then properly.

    reply: last user message -> text. chat: request -> text, finish reason and tokens of its prompt,
    in place of it. says: request -> message, in place of a text. echo: request for a completion ->
    body. models: what it lists.
    usage: counted tokens of (payload, reply); None counts none.
    most: the most requests that were under way at once.
    """

    url: str = ""
    script: list[Answer] = field(default_factory=list)
    reply: Callable[[str], str] = lambda message: "positive"
    usage: Callable[[dict[str, Any], str], tuple[int, int]] | None = lambda payload, reply: (10, 2)
    finish: str = "stop"
    chat: Callable[[dict[str, Any]], tuple[str, str, int]] | None = None
    says: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    echo: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    models: list[dict[str, Any]] = field(default_factory=list)
    slow: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    most: int = 0
    _busy: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def completion(self, payload: dict[str, Any]) -> dict[str, Any]:
        """A proper reply."""
        if self.echo is not None and "prompt" in payload:
            return self.echo(payload)
        message: dict[str, Any] = {"role": "assistant"}
        if self.says is not None:
            message |= self.says(payload)
            text, finish = str(message.get("content") or ""), self.finish
        elif self.chat is None:
            text, finish = self.reply(payload["messages"][-1]["content"]), self.finish
        else:
            text, finish, prompt_tokens = self.chat(payload)
        body: dict[str, Any] = {
            "object": "chat.completion",
            "model": f"{payload['model']}-2026",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"content": text, **message},
                }
            ],
        }
        if self.chat is not None:
            body["usage"] = {"prompt_tokens": prompt_tokens, "completion_tokens": 1}
        elif self.usage is not None:
            prompt, reply = self.usage(payload, text)
            body["usage"] = {"prompt_tokens": prompt, "completion_tokens": reply}
        return body

    def take(self, seen: Seen) -> Answer:
        """Note a request that begins and say what becomes of it."""
        with self._lock:
            self.seen.append(seen)
            self._busy += 1
            self.most = max(self.most, self._busy)
            return self.script.pop(0) if self.script else Answer()

    def done(self) -> None:
        """Note that a request ended."""
        with self._lock:
            self._busy -= 1


@contextmanager
def serving() -> Iterator[FakeServer]:
    """A server on a free port of this machine."""
    state = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else the body waits, up to 40 ms, until the client has acknowledged the headers.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            seen = Seen(time.monotonic(), json.loads(text), dict(self.headers), self.client_address)
            answer = state.take(seen)
            try:
                time.sleep(answer.slow or state.slow)
                if answer.drop:
                    self.close_connection = True
                    return
                body = answer.body
                if body is None:
                    body = json.dumps(state.completion(json.loads(text)))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                for part in body if answer.trickle else [body]:
                    time.sleep(answer.trickle)
                    self.wfile.write(part.encode())
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                state.done()

        def do_GET(self) -> None:
            body = json.dumps({"object": "list", "data": state.models}).encode()
            self.send_response(200 if state.models else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Tests print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def endpoint(url: str, ledger: Any, **changes: Any) -> Endpoint:
    """An endpoint at ``url`` that costs nothing, waits briefly and needs no key."""
    values: dict[str, Any] = {
        "model": "little",
        "key_variable": None,
        "concurrency": 4,
        "requests_per_minute": None,
        "timeout_seconds": 5.0,
        "retries": 3,
        "prompt_price": 0.0,
        "completion_price": 0.0,
        "spending_cap": None,
        "currency": "EUR",
    }
    return Endpoint(**{**values, **changes}, url=url, ledger=str(ledger))
