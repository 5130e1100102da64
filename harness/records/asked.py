"""The models that a trial asks: in memory, or behind a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.plain import JsonValue


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model reference after resolution."""

    reference: str
    """The reference as the user wrote it."""
    path: str
    """Local folder that holds the weights."""
    fingerprint: str
    """SHA-256 over the weight files and tokenizer; empty where it was not taken."""
    revision: str = ""
    """Commit that a hub served; empty for a packaged model or a local folder."""
    trust_remote_code: bool = False
    """The model may run code that comes with it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server to ask in place of a model in memory; fields as in the experiment file."""

    url: str
    """Base address of the server."""
    model: str
    """Name of the model at the server."""
    key_variable: str | None
    """Environment variable that holds the key; None where none is needed."""
    concurrency: int
    """Requests that may be under way at a time."""
    requests_per_minute: float | None
    """Rate that is not exceeded; None sets none."""
    timeout_seconds: float
    """Seconds to wait for one reply."""
    retries: int
    """How often a request is sent again after a refusal or a failure that passes."""
    prompt_price: float
    """Price of a million prompt tokens."""
    completion_price: float
    """Price of a million completion tokens."""
    spending_cap: float | None
    """Money that the arm may spend in the whole study; None sets no cap."""
    currency: str
    """Currency of the prices and the cap."""
    ledger: str
    """File in which every request's cost is noted, over all trials of the study."""
    chat_template_args: dict[str, JsonValue] = field(default_factory=dict)
    """What the server's chat template is told beside the messages; empty: nothing."""

    @property
    def asked_as(self) -> str:
        """Who answers there: the model, the address, and what its chat template is told."""
        return asked_as(self.model, self.url, self.chat_template_args)


def asked_as(model: str, url: str, template_args: Mapping[str, JsonValue]) -> str:
    """Who answers at a server, in words: what all that it replies is known by."""
    told = json.dumps(template_args, ensure_ascii=False, sort_keys=True)
    return f"{model} at {url}{f' with chat_template_args {told}' if template_args else ''}"


@dataclass(frozen=True, slots=True)
class Seat:
    """A judge that a trial asks."""

    name: str
    """Name of the judge in the experiment."""
    asked: str
    """Hash of who judges and how: a mark for the same request under the same hash is the same."""
    model: ResolvedModel | None
    """The model; None where a server is asked."""
    endpoint: Endpoint | None = None
    """The server; None where the model is in memory."""
    max_new_tokens: int = 64
    """Longest reply of a server, tokens."""
    template_args: dict[str, JsonValue] = field(default_factory=dict)
    """What the chat template of a model in memory is told beside the messages."""


__all__ = ["Endpoint", "ResolvedModel", "Seat", "asked_as"]
