"""A model behind an OpenAI-compatible server."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from harness.records import asked_as
from harness.records.frozen_spec import FrozenSpec
from harness.spec.model import TemplateArgs
from harness.spec.spaces import Count, PositiveFloat, PositiveInt

Price = Annotated[float, Field(ge=0)]
# How a server is asked and what it charges; its answers do not hang on it.
TERMS = frozenset(
    {
        "key_variable",
        "concurrency",
        "requests_per_minute",
        "timeout_seconds",
        "retries",
        "prompt_price",
        "completion_price",
        "spending_cap",
    }
)


class EndpointSpec(FrozenSpec):
    """Where a prompt arm's model is served, what it costs, and how hard it may be asked.

    The key is read from the environment when it is needed; it is never stored or printed.
    """

    url: str = Field(
        description="Base address, such as http://localhost:8000/v1; requests go to its "
        "/chat/completions."
    )
    model: str = Field(min_length=1, description="Model name that the server knows.")
    key_variable: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the key; null where none is needed.",
    )
    concurrency: PositiveInt = Field(4, description="Requests under way at once.")
    requests_per_minute: PositiveFloat | None = Field(
        None, description="Rate that is not exceeded; null sets none."
    )
    timeout_seconds: PositiveFloat = Field(60.0, description="Seconds to wait for one reply.")
    retries: Count = Field(
        5, description="How often a request is sent again after a refusal or a failure that passes."
    )
    prompt_price: Price = Field(0.0, description="Price of a million prompt tokens.")
    completion_price: Price = Field(0.0, description="Price of a million completion tokens.")
    spending_cap: Price | None = Field(
        None,
        description="Money that this arm may spend in the whole study; nothing is sent that could "
        "pass it. Required where tokens have a price.",
    )
    chat_template_args: TemplateArgs = Field(
        default_factory=dict,
        description="What the server's chat template is told beside the messages, such as "
        "{enable_thinking: false}; sent as chat_template_kwargs, which vLLM, SGLang and llama.cpp "
        "take.",
    )

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write an address such as https://host/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "an address must hold no user, password or query: they would be stored; name an "
                "environment variable under key_variable"
            )
        return url.rstrip("/")

    @model_validator(mode="after")
    def _capped(self) -> Self:
        if self.spending_cap is None and (self.prompt_price or self.completion_price):
            raise ValueError("spending_cap is required where tokens have a price")
        return self

    @property
    def asked_as(self) -> str:
        """Who answers there: the model, the address, and what its chat template is told."""
        return asked_as(self.model, self.url, self.chat_template_args)

    @property
    def local(self) -> bool:
        """Whether the server is on this very machine."""
        return is_local(self.url)


def is_local(url: str) -> bool:
    """Whether an address is on this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
