"""One chat request to an OpenAI-compatible server: paid for, paced, repeated where that may help.

Nothing here writes the key anywhere but into the header of a request, and every text that a
server sent is searched for it before it goes on.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from harness.errors import TrialError
from harness.evaluation.endpoint.chat_reply import (
    Failure,
    Reply,
    error_text,
    read_body,
    read_reply,
    redact,
    retry_after,
)
from harness.evaluation.endpoint.spending import Ledger, Reservation
from harness.records import Endpoint
from harness.spec.endpoint import is_local

# Refusals that pass: timeout, conflict, too early, too many requests. 500 and above do too.
PASSING = frozenset({408, 409, 425, 429})
# What may be the request's own fault. Servers whose chat template fails call it an error of theirs.
TO_BE_CHANGED = frozenset({400, 422, 500})
FIRST_WAIT, LONGEST_BACKOFF = 0.5, 60.0
# Waiting for longer than this at a server's wish is left to the person at the terminal.
LONGEST_WAIT = 600.0
# Tokens that a template may add around a chat and around each of its messages, generously.
PER_CHAT, PER_MESSAGE, PER_REPLY = 256, 16, 16


class Refused(Exception):  # noqa: N818 - the caller may ask otherwise
    """The server does not take the request as it is.

    Args:
        failure: what it said; the exception's own message is for the person at the terminal.
    """

    def __init__(self, message: str, failure: Failure) -> None:
        self.failure = failure
        super().__init__(message)


class Halted(Exception):  # noqa: N818 - a way out, not a fault
    """The client was stopped while a request waited to be sent."""


class ChatClient:
    """Sends chats to one endpoint, from any number of threads.

    Args:
        endpoint: the server to ask, and the limits within which it is asked.
        ledger: where each request is reserved before it is sent and settled after.
        environment: where the key is looked up at the time of each request.
    """

    def __init__(
        self, endpoint: Endpoint, ledger: Ledger, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._endpoint = endpoint
        self._ledger = ledger
        self._environment = environment
        self._url = f"{endpoint.url}/chat/completions"
        self._session = _session(endpoint)
        self._stop = threading.Event()
        self._held_until = 0.0
        self._ended = threading.Condition()
        self._under_way = 0

    def ask(self, payload: dict[str, Any]) -> Reply:
        """The reply to a chat, after as many attempts as the endpoint allows.

        Args:
            payload: body of the request; ``max_tokens`` or ``max_completion_tokens`` bounds the
                reply.

        Raises:
            TrialError: kind ``spending_cap`` where the request could pass the cap, ``key`` where
                there is no usable key, ``endpoint`` where the server refuses or does not answer.
            Refused: the server does not take the request as it is.
        """
        attempts = 1 + self._endpoint.retries
        for attempt in range(attempts):
            key = self.key()
            reservation = self._turn(payload)
            outcome = self._attempt(payload, key, reservation)
            if isinstance(outcome, Reply):
                return outcome
            waits = outcome.wait is None or outcome.wait <= LONGEST_WAIT
            if not outcome.passing or not waits or attempt + 1 == attempts:
                message = self._told(outcome, attempt + 1)
                if outcome.status in TO_BE_CHANGED:
                    raise Refused(message, outcome)
                raise TrialError("endpoint", message)
            if outcome.wait:
                self._held_until = max(self._held_until, time.monotonic() + outcome.wait)
            else:
                self._sleep(min(LONGEST_BACKOFF, FIRST_WAIT * 2.0**attempt))
        raise AssertionError("an endpoint is asked at least once")

    def stop(self) -> None:
        """Let no further request be sent; what is under way is finished and paid for."""
        self._stop.set()

    def key(self) -> str:
        """The key, from the environment; empty where none is needed.

        Raises:
            TrialError: kind ``key``, if its variable is not set or cannot be a header.
        """
        name = self._endpoint.key_variable
        if name is None:
            return ""
        key = self._environment.get(name, "").strip()
        if not key:
            raise TrialError(
                "key", f"set the environment variable {name} to the key of {self._endpoint.url}"
            )
        if not (key.isascii() and key.isprintable()):
            raise TrialError(
                "key", f"the environment variable {name} holds characters that no key can have"
            )
        return key

    def _turn(self, payload: dict[str, Any]) -> Reservation:
        """Reserve the request's worst case and wait for its time to be sent."""
        while True:
            self._sleep(self._held_until - time.monotonic())
            reservation = self._reserve(*worst_case(payload))
            try:
                self._sleep(reservation.at - time.time())
            except Halted:
                self._ledger.release(reservation)
                self._end()
                raise
            if self._held_until <= time.monotonic():
                return reservation
            self._ledger.release(reservation)
            self._end()

    def _reserve(self, prompt_tokens: int, completion_tokens: int) -> Reservation:
        """A reservation; where the cap has no room for it, requests under way may yet make some."""
        with self._ended:
            while True:
                try:
                    reservation = self._ledger.reserve(prompt_tokens, completion_tokens)
                except TrialError as refusal:
                    if refusal.kind != "spending_cap" or not self._under_way:
                        raise
                    self._ended.wait()
                    if self._stop.is_set():
                        raise Halted from None
                else:
                    self._under_way += 1
                    return reservation

    def _end(self) -> None:
        with self._ended:
            self._under_way -= 1
            self._ended.notify_all()

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(max(0.0, seconds)):
            raise Halted

    def _attempt(
        self, payload: dict[str, Any], key: str, reservation: Reservation
    ) -> Reply | Failure:
        try:
            outcome = self._send(payload, key)
            if isinstance(outcome, Reply):
                if outcome.tokens is not None:
                    self._ledger.settle(reservation, *outcome.tokens)
            elif outcome.free:
                self._ledger.release(reservation)
            return outcome
        finally:
            self._end()

    def _send(self, payload: dict[str, Any], key: str) -> Reply | Failure:
        began = time.perf_counter()
        limit = self._endpoint.timeout_seconds
        try:
            with self._session.post(
                self._url,
                json=payload,
                timeout=limit,
                stream=True,
                # The key and the data go to the declared address and to no other.
                allow_redirects=False,
                # Given in any case, so that a password of ~/.netrc is never sent.
                auth=_Bearer(key),
            ) as response:
                text = read_body(response, began + limit)
        except (TimeoutError, ReadTimeoutError):
            return Failure(f"no reply within {limit:g} s")
        except HTTPError:
            return Failure("the connection broke")
        except OverflowError:
            return Failure("the reply is larger than 16 MiB", passing=False)
        except requests.exceptions.RequestException as error:
            return self._unreachable(error, key)
        seconds = time.perf_counter() - began
        if response.status_code // 100 != 2:
            return self._refusal(response, text, key)
        return read_reply(text, key, seconds)

    def _unreachable(self, error: requests.exceptions.RequestException, key: str) -> Failure:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        limit = self._endpoint.timeout_seconds
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return Failure(f"no connection within {limit:g} s", free=True)
        if isinstance(error, requests.exceptions.Timeout):
            return Failure(f"no reply within {limit:g} s")
        if isinstance(error, requests.exceptions.SSLError):
            text = redact(str(reason or error), key)[:300]
            return Failure(f"no secure connection: {text}", passing=False, free=True)
        if isinstance(reason, NewConnectionError):
            return Failure("no connection: is the server running at this address?", free=True)
        if isinstance(error, requests.exceptions.ConnectionError):
            return Failure("the connection broke")
        return Failure(f"the request failed ({type(error).__name__})")

    def _refusal(self, response: requests.Response, text: str, key: str) -> Failure:
        status = response.status_code
        # Cut only after the key was taken out: half a key would not be recognised.
        message = " ".join(redact(error_text(text), key).split())[:500]
        if 300 <= status < 400:
            target = redact(response.headers.get("Location", "elsewhere"), key)[:200]
            message = f"it points to {target}; write the right address under url"
        if status in (401, 403):
            name = self._endpoint.key_variable
            message += f" (the key is that of {name})" if name else " (no key_variable is named)"
        if status == 404:
            message += " (is the address right, and does the server know the model?)"
        return Failure(
            f"status {status}: {message}",
            passing=status in PASSING or status >= 500,
            # An error of the server's may come after the work was done.
            free=status < 500 and status != 408,
            wait=retry_after(response.headers.get("Retry-After"), time.time()),
            status=status,
        )

    def _told(self, failure: Failure, attempts: int) -> str:
        asked = f"; it asks to wait {failure.wait:,.0f} s" if failure.wait else ""
        tried = f" after {attempts} attempts" if attempts > 1 else ""
        return f"{self._url}{tried}: {failure.message}{asked}"


def _session(endpoint: Endpoint) -> requests.Session:
    """Connections that all threads share, so that a request seldom waits for a new one."""
    session = requests.Session()
    # What runs on this machine is not to be looked for through a proxy.
    session.trust_env = not is_local(endpoint.url)
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=endpoint.concurrency)
    session.mount(endpoint.url, adapter)
    return session


class _Bearer(requests.auth.AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def worst_case(payload: Mapping[str, Any]) -> tuple[int, int]:
    """Prompt and completion tokens that a request takes at most.

    A token of text is at least one byte, for every tokenizer that can write all of Unicode. What
    a chat template adds is bounded generously.
    """
    messages = payload["messages"]
    text = sum(
        len(str(message["content"]).encode())
        + (len(json.dumps(message["tool_calls"])) if "tool_calls" in message else 0)
        for message in messages
    )
    # Templates write tools with spaces between, and say how they are called.
    tools = payload.get("tools")
    text += len(json.dumps(tools, indent=4)) + PER_CHAT if tools else 0
    reply = payload.get("max_tokens") or payload.get("max_completion_tokens") or 0
    return text + PER_CHAT + PER_MESSAGE * len(messages), int(reply) + PER_REPLY
