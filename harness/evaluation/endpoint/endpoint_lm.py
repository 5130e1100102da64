"""The lm-eval model that asks a server: lm-eval's own chat API, behind the spending ledger.

A request's context is the JSON of its chat messages, as the shared renderer made them; the server
applies its own chat template.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from os import environ
from typing import Any

from lm_eval.models.openai_completions import LocalChatCompletion

from harness.answers.call_marks import OPEN
from harness.answers.json_text import JsonObject
from harness.errors import TrialError
from harness.evaluation.endpoint.chat_client import ChatClient, Refused
from harness.evaluation.endpoint.chat_reply import Reply
from harness.evaluation.endpoint.reply_cache import ReplyCache
from harness.evaluation.endpoint.spending import Ledger
from harness.prompting.chat_messages import with_arguments_as_text, without_system, without_tools
from harness.records import Endpoint, Message

# Replies are greedy, so a seed only matters to servers that break ties by it.
SEED = 0
# How often progress is told while nothing is answered, so that waiting is not taken for hanging.
HEARTBEAT_SECONDS = 20.0


class EndpointLM(LocalChatCompletion):  # type: ignore[misc]
    """Generate greedily at ``endpoint``, as many requests under way at once as it allows.

    Every method that asks raises TrialError, of kind ``endpoint``, ``key``, ``spending_cap`` or
    ``ledger``; requests that were under way are finished and paid for, none follows.

    Args:
        trial_id: the trial for which the ledger notes the requests.
        environment: where the key is looked up.

    Attributes:
        on_progress: called with (done, total) from the thread that asked.
    """

    def __init__(
        self, endpoint: Endpoint, trial_id: str, environment: Mapping[str, str] = environ
    ) -> None:
        super().__init__(
            model=endpoint.model,
            base_url=f"{endpoint.url}/chat/completions",
            tokenizer_backend=None,
            tokenized_requests=False,
            num_concurrent=endpoint.concurrency,
            seed=SEED,
        )
        self.on_progress: Callable[[int, int], None] = lambda done, total: None
        self._ledger = Ledger(endpoint, trial_id)
        self._client = ChatClient(endpoint, self._ledger, environment)
        self._kept = ReplyCache(endpoint, trial_id)
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._alone = self._heard = False
        self._unasked: set[str] = set()
        self._replies: dict[str, Reply] = {}
        self._asked = self._uncounted = self._cut = self._with_tools = self._called = 0
        self._models: set[str] = set()
        # Nothing is to be sent, and no task built, where the key is missing.
        self._client.key()

    @property
    def header(self) -> dict[str, str]:
        """No header: the key goes into a request when it is sent, and is not kept here."""
        return {}

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """Replies in the order of ``requests``."""
        replies: list[str] = [""] * len(requests)
        self.on_progress(0, len(requests))
        with ThreadPoolExecutor(self._concurrent) as pool:
            pending: dict[Future[str], int] = {
                pool.submit(self._generate, request): place
                for place, request in enumerate(requests)
            }
            try:
                while pending:
                    done, _ = wait(pending, HEARTBEAT_SECONDS, FIRST_COMPLETED)
                    for future in done:
                        replies[pending.pop(future)] = future.result()
                    self.on_progress(len(requests) - len(pending), len(requests))
            except BaseException:
                self._client.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return replies

    def model_call(
        self,
        messages: Sequence[str],
        *,
        generate: bool = True,
        gen_kwargs: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The reply to one chat, in the shape that :meth:`parse_generations` reads."""
        (chat,) = messages
        # What is timed is asked; an answer that was paid for before is not asked for again.
        reply = None if self._alone else self._kept.get(chat, gen_kwargs)
        if reply is None:
            reply = self._ask(chat, generate, gen_kwargs)
            self._kept.keep(chat, gen_kwargs, reply)
        self._note(chat, reply)
        return {"choices": [{"index": 0, "message": {"content": reply.content}}]}

    def count_tokens(self, prompt: str, reply: str) -> tuple[int, int]:
        """Tokens of a prompt and of its reply as the server counted them; 0, 0 where it did not."""
        kept_reply = self._replies.get(prompt)
        return (kept_reply.tokens if kept_reply else None) or (0, 0)

    def remark(self, prompt: str) -> dict[str, Any]:
        """The server's answer to a prompt, whole."""
        return asdict(self._replies[prompt])

    def recall(self, prompt: str, remark: dict[str, Any]) -> None:
        """Take note of an earlier answer to a prompt."""
        if prompt not in self._replies:
            self._note(prompt, Reply.of_plain(remark))

    def time_alone(self, requests: Sequence[Any]) -> float:
        """Seconds that the server takes for one item's request, sent by itself."""
        self._alone = True
        try:
            self.generate_until(requests)
        finally:
            self._alone = False
        return sum(self._replies[request.arguments[0]].seconds for request in requests)

    def ended(self) -> None:
        """Forget what would have spared a next attempt money: the trial has come to its end."""
        self._kept.forget()

    def spent(self) -> float:
        """Money that the trial spent or reserved here, in all its attempts."""
        return float(self._ledger.of_trial())

    def notes(self) -> dict[str, str]:
        """What a reader of the trial should know of the server, a line each."""
        endpoint = self._endpoint
        notes = {
            "endpoint": endpoint.asked_as,
            "endpoint_answered_as": ", ".join(sorted(filter(None, self._models))) or "not told",
            "endpoint_spent": f"{self._ledger.of_trial():f} {endpoint.currency}",
        }
        if self._cut:
            notes["endpoint_cut"] = f"{self._cut} of {self._asked} replies reached their limit"
        if self._uncounted:
            notes["endpoint_tokens"] = (
                f"the server counted no tokens for {self._uncounted} of {self._asked} replies"
            )
        if self._kept.used:
            notes["endpoint_kept"] = f"{self._kept.used} replies are an earlier attempt's"
        if left_out := self._unasked.union(*(reply.without for reply in self._replies.values())):
            notes["endpoint_conceded"] = ", ".join(sorted(left_out))
        if self._with_tools and not self._called:
            notes["told_tools"] = (
                f"{endpoint.model} was sent tools with {self._with_tools} requests, and not one "
                "reply had `tool_calls`: the model calls nothing, or the server takes no notice of "
                "`tools`; see that its chat template and its reader of calls know them"
            )
        return notes

    def _ask(self, chat: str, generate: bool, gen_kwargs: dict[str, Any] | None) -> Reply:
        while True:
            with self._lock:
                left_out = frozenset(self._unasked)
            messages, tools = _of_context(chat)
            payload = self._create_payload(
                messages, generate=generate, gen_kwargs=copy.deepcopy(gen_kwargs)
            )
            if tools and "tools" in left_out:
                payload["messages"] = without_tools(payload["messages"], tools)
            elif tools:
                payload["tools"] = tools
            if "system" in left_out:
                payload["messages"] = without_system(payload["messages"])
            try:
                reply = self._client.ask(payload)
            except Refused as refusal:
                word = self._concession(refusal, payload)
                with self._lock:
                    self._unasked.add(word)
            else:
                self._heard = True
                return replace(reply, without=tuple(sorted(left_out)))

    def _generate(self, request: Any) -> str:
        context, options = request.args
        body = self.model_call([context], gen_kwargs=options)
        return str(self.parse_generations([body])[0])

    def _note(self, chat: str, reply: Reply) -> None:
        with self._lock:
            self._replies[chat] = reply
            self._asked += 1
            self._cut += reply.cut
            self._uncounted += reply.tokens is None
            self._models.add(reply.model)
            if _of_context(chat)[1] and "tools" not in reply.without:
                self._with_tools += 1
                self._called += OPEN in reply.content

    def _create_payload(
        self,
        messages: list[Message],
        generate: bool = True,
        gen_kwargs: dict[str, Any] | None = None,
        seed: int = SEED,
        eos: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._create_payload(
            messages, generate=generate, gen_kwargs=gen_kwargs, seed=seed, eos=eos
        )
        if self._endpoint.chat_template_args:
            payload["chat_template_kwargs"] = self._endpoint.chat_template_args
        if not payload["stop"]:
            # Some servers refuse an empty list.
            del payload["stop"]
        if "seed" in self._unasked:
            del payload["seed"]
        if "max_tokens" in self._unasked:
            payload["max_completion_tokens"] = payload.pop("max_tokens")
        if "response_format" in self._unasked:
            payload.pop("response_format", None)
        return payload

    def _concession(self, refusal: Refused, payload: Mapping[str, Any]) -> str:
        """What to leave out of requests from now on, going by the words of a refusal."""
        words = set(re.findall(r"[a-z_]+", refusal.failure.message.lower()))
        system = payload["messages"][0]["role"] == "system"
        if words & {"json_schema", "schema"}:
            # Of what was sent, only the form of the reply has these words.
            words.add("response_format")
        if any(word.startswith("tool") for word in words):
            words.add("tools")
        parts = ("tools", "seed", "max_tokens", "response_format")
        asked: dict[str, bool] = {**{name: name in payload for name in parts}, "system": system}
        for word, sent in asked.items():
            if sent and word in words:
                return word
        if refusal.failure.status == 500 and system and not self._heard:
            # A chat template that knows no system message fails on the first request already.
            return "system"
        if refusal.failure.status == 500 and "tools" in payload and not self._heard:
            return "tools"
        if self._endpoint.chat_template_args and not self._heard:
            raise TrialError(
                "endpoint",
                f"{refusal}; the request held chat_template_kwargs, which not every server takes: "
                "if that is the reason, leave endpoint.chat_template_args out and set it where "
                "the model is served",
            )
        raise TrialError("endpoint", str(refusal))


def as_context(messages: Sequence[Message], tools: Sequence[JsonObject] = ()) -> str:
    """A chat, and the tools that stand beside it, as the context of an lm-eval request."""
    chat = [with_arguments_as_text(message) for message in messages]
    return json.dumps({"messages": chat, "tools": tools} if tools else chat, ensure_ascii=False)


def _of_context(context: str) -> tuple[list[Message], list[JsonObject]]:
    held = json.loads(context)
    return (held["messages"], held["tools"]) if isinstance(held, dict) else (held, [])
