"""Ask a model only what it has not replied to before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.records import JsonValue, Reply, content_hash, from_json, to_json, write_whole


class Remarks(Protocol):
    """What an lm-eval model has to say of its replies besides them."""

    def remark(self, prompt: str) -> JsonValue:
        """What is to be known of the reply to a prompt; None where there is nothing."""
        ...

    def recall(self, prompt: str, remark: JsonValue) -> None:
        """Take note of what it said of an earlier reply to the prompt."""
        ...


class UnknownReplyError(Exception):
    """A reply is not known, and there is no model to ask."""


class KnownReplies:
    """An lm-eval model that answers as ``lm`` does, and asks it only what is not known.

    Replies are known by the request, word for word, and by who is asked and how: ``asked``, which
    is to be set before each score. Where it is empty nothing is looked up or kept.

    Args:
        lm: the model; it has :class:`Remarks`.
        known: replies of earlier trials.

    Attributes:
        asked: as in :class:`~harness.records.ScoreRequest`.
        fresh: replies that ``lm`` gave, in the order in which it was asked.
    """

    def __init__(self, lm: Any, known: Iterable[Reply] = ()) -> None:
        self._lm = lm
        self._known = {(reply.asked, reply.request): reply for reply in known}
        self.asked = ""
        self.fresh: list[Reply] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lm, name)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Any]:
        """Replies in the order of ``requests``."""
        return self._answer("generate_until", requests)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Any]:
        """(log-likelihood, greedy) pairs in the order of ``requests``."""
        return [tuple(pair) for pair in self._answer("loglikelihood", requests)]

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = True
    ) -> list[Any]:
        """Log-likelihoods of whole texts in the order of ``requests``."""
        return self._answer("loglikelihood_rolling", requests)

    def _answer(self, method: str, requests: Sequence[Any]) -> list[Any]:
        ask = getattr(self._lm, method)
        if not self.asked:
            answers: list[Any] = ask(requests, disable_tqdm=True)
            return answers
        # A request that is made several times at once, as where replies are drawn, has as many.
        times: Counter[str] = Counter()
        hashes = []
        for request in requests:
            plain = content_hash([method, *request.args])
            hashes.append(f"{plain}-{times[plain]}" if times[plain] else plain)
            times[plain] += 1
        unknown = [n for n, one in enumerate(hashes) if (self.asked, one) not in self._known]
        replies = ask([requests[n] for n in unknown], disable_tqdm=True) if unknown else []
        for n, reply in zip(unknown, replies, strict=True):
            self._keep(str(requests[n].args[0]), hashes[n], reply)
        known = [self._known[self.asked, one] for one in hashes]
        for request, reply in zip(requests, known, strict=True):
            if reply.remark is not None:
                self._lm.recall(str(request.args[0]), json.loads(reply.remark))
        return [json.loads(reply.response) for reply in known]

    def _keep(self, prompt: str, request: str, response: Any) -> None:
        remark = self._lm.remark(prompt)
        plain = (
            response
            if isinstance(response, str | float)
            else [float(response[0]), bool(response[1])]
        )
        reply = Reply(
            self.asked,
            request,
            json.dumps(plain, ensure_ascii=False),
            None if remark is None else json.dumps(remark, ensure_ascii=False),
        )
        self._known[self.asked, request] = reply
        self.fresh.append(reply)


def write_replies(path: Path, replies: Iterable[Reply]) -> None:
    """Write replies for a trial to know, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{to_json(reply)}\n" for reply in replies))


def read_replies(path: Path) -> list[Reply]:
    """What :func:`write_replies` wrote."""
    # Not by splitlines, which also breaks where a text has another mark for a new line.
    return [from_json(Reply, line) for line in path.read_text("utf-8").split("\n") if line]
