"""A server asked as a final run's model was, for its replies, its speed and its manners."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from harness.deployment.finalist import Progress
from harness.deployment.prompt_counts import drop_system, has_system
from harness.deployment.verification import Culprit, Load, load_of
from harness.errors import InputError, TrialError
from harness.evaluation.endpoint.chat_client import ChatClient, Refused
from harness.evaluation.endpoint.chat_reply import Reply
from harness.evaluation.endpoint.spending import Ledger
from harness.export.asking import Asking
from harness.prompting.chat_messages import with_arguments_as_text
from harness.records import Endpoint, Example, JsonValue
from harness.spec.endpoint import EndpointSpec

# Requests under way at once -> items of the test set at most, in turn, and no more than a third of
# all; the last takes the rest.
BLOCKS = ((1, 20), (4, 40), (16, None))
# Items that are asked several times, alone, to see whether the reply stays the same.
REPEATED, TIMES = 4, 3
ENOUGH_SECONDS = 300.0
# Words by which a server's list of models tells of fewer bits.
_FEWER_BITS = re.compile(
    r"(?i)(?<![a-z0-9])(i?q[2-8](?:_[a-z0-9_]+)?|gguf|awq|gptq|exl2|fp8|int[48]|nf4|fp4|"
    r"[48]-?bits?|bnb|bitsandbytes|w[48]a(?:8|16))(?![a-z0-9])"
)


@dataclass(slots=True)
class Server:
    """A server that is asked as the model of a final run was."""

    asking: Asking
    """How the final run asked."""
    client: ChatClient
    """Sends the requests."""
    model: str
    """The name under which the server has the model."""
    body: dict[str, JsonValue] = field(init=False)
    """A request without its messages."""

    def __post_init__(self) -> None:
        self.body = {k: v for k, v in self.asking.request().items() if k != "messages"}
        self.body["model"] = self.model

    def ask(self, item: Example, *, system: bool = True, without: Sequence[str] = ()) -> Reply:
        """The reply to one item.

        Args:
            system: whether the instruction is sent, where it is a system message.
            without: keys of the request that are left out.

        Raises:
            InputError: the server does not answer, or not this request.
        """
        messages = self.asking.as_taken(self.asking.renderer.messages(item), item)
        if not system:
            messages = drop_system(messages)
        body = {key: value for key, value in self.body.items() if key not in without}
        if tools := self.asking.tools_beside(item):
            body["tools"] = list(tools)
        try:
            chat = [with_arguments_as_text(message) for message in messages]
            return self.client.ask({**body, "messages": chat})
        except (Refused, TrialError) as error:
            raise InputError(
                f"{error}; verify needs a server that answers: is it running, and does it know "
                f"the model as {self.model!r}?"
            ) from error

    def answer(
        self, items: Sequence[Example], progress: Progress
    ) -> tuple[list[Reply], tuple[Load, ...]]:
        """The replies to all items, each asked once, first one at a time, then more at once."""
        replies: list[Reply] = []
        loads = []
        if items:
            # What only the first request pays, such as loading the weights, is none of the speed.
            self.ask(items[0])
        for at_once, most in BLOCKS:
            share = None if most is None else min(most, max(1, len(items) // len(BLOCKS)))
            block = items[len(replies) :][:share]
            if not block:
                break
            began = time.perf_counter()
            with ThreadPoolExecutor(at_once) as pool:
                try:
                    for reply in pool.map(self.ask, block):
                        replies.append(reply)
                        progress(len(replies), len(items))
                except BaseException:
                    self.client.stop()
                    pool.shutdown(cancel_futures=True)
                    raise
            wall = time.perf_counter() - began
            seconds = [reply.seconds for reply in replies[-len(block) :]]
            # With fewer items there were never so many requests under way.
            if len(block) >= at_once:
                loads.append(load_of(at_once, len(block), seconds, wall))
        return replies, tuple(loads)

    def manners(self, items: Sequence[Example]) -> Iterator[Culprit]:
        """What asking the same again, and otherwise, says of sampling and the system message."""
        chosen = items[:: max(1, len(items) // REPEATED)][:REPEATED]
        moved = 0
        for item in chosen:
            moved += len({self.ask(item).content for _ in range(TIMES)}) > 1
        if moved:
            yield Culprit(
                "sampling",
                f"{moved} of {len(chosen)} items got different replies when asked {TIMES} times, "
                "one after the other, at temperature 0: the server draws its replies",
            )
        else:
            drawn = sum(
                len({self.ask(item, without=("temperature", "seed")).content for _ in range(2)}) > 1
                for item in chosen
            )
            if drawn:
                yield Culprit(
                    "sampling",
                    f"without a temperature in the request, {drawn} of {len(chosen)} items got "
                    "different replies when asked twice: clients must send temperature 0, as this "
                    "check did, or the server must be told to",
                    explains=False,
                )
        item = chosen[0]
        if has_system(self.asking.renderer.messages(item)) and self.asking.takes_system:
            try:
                whole, bare = self.ask(item), self.ask(item, system=False)
            except InputError:
                # A chat without its instruction may be none to it, which says nothing of others.
                return
            if whole.tokens and bare.tokens and whole.tokens[0] == bare.tokens[0]:
                yield Culprit(
                    "system prompt",
                    f"the server counts {whole.tokens[0]} tokens in a prompt with the system "
                    "message and without it: the instruction does not reach the model",
                )


def server_of(
    asking: Asking, url: str, model: str, key_variable: str | None, ledger: str
) -> Server:
    """The server at an address.

    Args:
        ledger: file in which requests are noted; they are not priced.

    Raises:
        InputError: the address is none, or the final run asked in a way that no chat has.
    """
    check_chat(asking)
    try:
        spec = EndpointSpec(url=url, model=model, key_variable=key_variable)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"--endpoint: {place} {problem['msg']}") from error
    endpoint = Endpoint(
        url=spec.url,
        model=model,
        key_variable=key_variable,
        concurrency=BLOCKS[-1][0],
        requests_per_minute=None,
        timeout_seconds=ENOUGH_SECONDS,
        retries=2,
        prompt_price=0.0,
        completion_price=0.0,
        spending_cap=None,
        currency=asking.run.analysed.experiment.cost.currency,
        ledger=ledger,
    )
    return Server(asking, ChatClient(endpoint, Ledger(endpoint, "verify")), model)


def check_chat(asking: Asking) -> None:
    """See that a server, which is asked by chats, can be asked as the final run was.

    Raises:
        InputError: the final run asked in a way that no chat has.
    """
    if not asking.as_chat:
        raise InputError(
            f"{asking.run.title}: it asked in plain text, and an endpoint is asked as a chat, by a "
            "chat template; verify the folder with --folder, or an arm that asks as a chat"
        )


def culprits_of_models(listed: Sequence[Mapping[str, Any]], model: str) -> Iterator[Culprit]:
    """What a server's list of its models says.

    Args:
        listed: its entries; empty where it gives none.
    """
    mine = [entry for entry in listed if entry.get("id") == model]
    if listed and not mine:
        names = ", ".join(str(entry.get("id")) for entry in listed[:5])
        yield Culprit(
            "model name",
            f"the server answers to {model!r} but does not list it; it lists {names}",
            explains=False,
        )
    for text in [model, *(json.dumps(entry, ensure_ascii=False) for entry in mine)]:
        if found := _FEWER_BITS.search(text):
            yield Culprit(
                "quantisation",
                f"the server's own words for the model hold {found[0]!r}: its weights may have "
                "fewer bits than those that were scored",
                explains=False,
            )
            return


def listed_models(url: str, key: str) -> list[dict[str, Any]]:
    """The entries of a server's ``/models``; none where it has no such list."""
    import requests

    from harness.spec.endpoint import is_local

    session = requests.Session()
    session.trust_env = not is_local(url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = session.get(
            f"{url.rstrip('/')}/models", headers=headers, timeout=10, allow_redirects=False
        )
        entries = answer.json()["data"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]
