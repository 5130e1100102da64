"""What a server's answer says, good or bad. Nothing of it is trusted."""

from __future__ import annotations

import base64
import email.utils
import html
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import requests

from harness.answers.call_marks import CLOSE, OPEN, marked_call

LARGEST_REPLY = 16 * 2**20
# A shorter key is a placeholder such as "EMPTY"; hiding it would garble ordinary words.
SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer."""

    content: str
    """Text of the reply; empty where the server withheld it."""
    model: str
    """Name of the model that answered, in the server's words."""
    cut: bool
    """The reply reached its limit of tokens."""
    tokens: tuple[int, int] | None
    """Prompt and completion tokens as the server counts them; None where it does not."""
    seconds: float
    """Seconds from sending to the last byte, without waits and failed attempts."""
    without: tuple[str, ...] = ()
    """What the request left out, as the server had refused it."""

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Reply:
        """The reply whose fields as JSON are ``values``."""
        tokens = values["tokens"] and (int(values["tokens"][0]), int(values["tokens"][1]))
        without = tuple(values.get("without", ()))
        return cls(**{**values, "tokens": tokens, "without": without})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply."""

    message: str
    """The reason, as the end of a sentence."""
    passing: bool = True
    """The failure may pass, so that asking again is worth while."""
    free: bool = False
    """The server has surely charged nothing."""
    wait: float | None = None
    """Seconds that the server asks to wait; None where it does not say."""
    status: int = 0
    """HTTP status of the answer; 0 where none came."""


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait; None without a readable one.

    Args:
        header: seconds, or a date of HTTP.
        now: Unix time.
    """
    if header is None:
        return None
    try:
        seconds = float(Decimal(header.strip()))
    except ArithmeticError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def read_body(response: requests.Response, deadline: float) -> str:
    """The whole body as text.

    Raises:
        TimeoutError: it trickles in past the deadline.
        OverflowError: it is larger than 16 MiB.
        urllib3.exceptions.HTTPError: the connection broke, or the body cannot be decoded.
    """
    parts, size = [], 0
    # Whatever is there at once; reading by size would wait for it, however slow it comes.
    while part := response.raw.read1(65_536, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > LARGEST_REPLY:
            raise OverflowError
        if time.perf_counter() > deadline:
            raise TimeoutError
    return b"".join(parts).decode("utf-8", errors="replace")


def read_reply(text: str, key: str, seconds: float) -> Reply | Failure:
    """The reply in a body of status 200, without the key should it echo it."""
    try:
        body = json.loads(text)
        choice = body["choices"][0]
        reason = choice.get("finish_reason")
        # A message without content is one that the server's filter took, or that is all thought.
        message = choice.get("message") or {}
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise TypeError
        called = message.get("function_call")
        content = _with_calls(
            content, message.get("tool_calls") or ([{"function": called}] if called else None)
        )
        if content is None and "message" not in choice and reason != "content_filter":
            raise KeyError
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return Failure("the reply is no chat completion; is url the address of its API?")
    return Reply(
        content=_storable(redact(content or "", key)),
        model=_storable(redact(str(body.get("model") or ""), key))[:200],
        cut=reason == "length",
        tokens=_usage(body.get("usage")),
        seconds=seconds,
    )


def _with_calls(content: str | None, calls: object) -> str | None:
    """What a message says, with the calls that the server took out of it in the usual marks.

    What is no call of a function stays as it stands, for whoever reads replies to say so.

    Raises:
        TypeError: the calls are no list.
    """
    if not calls:
        return content
    if not isinstance(calls, list):
        raise TypeError
    return "\n".join(filter(None, (content, *map(_marked, calls))))


def _marked(call: object) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or "name" not in function:
        return f"{OPEN}{json.dumps(call, ensure_ascii=False)}{CLOSE}"
    return marked_call({"name": function["name"], "arguments": _value(function.get("arguments"))})


def _value(arguments: object) -> object:
    """Arguments, which servers send as JSON text, as values; as they are where they are none."""
    if not isinstance(arguments, str):
        return {} if arguments is None else arguments
    try:
        return json.loads(arguments) if arguments.strip() else {}
    except ValueError:
        return arguments


def _storable(text: str) -> str:
    # Half a surrogate pair is valid JSON and no valid UTF-8.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _usage(usage: object) -> tuple[int, int] | None:
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int) and min(prompt, completion) >= 0:
        return prompt, completion
    return None


def error_text(text: str) -> str:
    """What an error body says: the message of the usual shapes, else the body itself."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text or "no explanation"
    for name in ("error", "message", "detail"):
        if isinstance(body, Mapping) and body.get(name):
            body = body[name]
    return body if isinstance(body, str) else text


def redact(text: str, key: str) -> str:
    """Text without the key, however a server may have written it."""
    if len(key) < SHORTEST_SECRET:
        return text
    quoted = json.dumps(key)[1:-1]
    forms = {key, quoted, quoted.replace("/", "\\/"), quote(key, safe=""), html.escape(key)}
    forms |= {base64.b64encode(secret.encode()).decode() for secret in (key, f"Bearer {key}")}
    for written in forms:
        text = re.sub(re.escape(written), "[key]", text, flags=re.IGNORECASE)
    return text
