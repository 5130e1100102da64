"""What asking a server will take: requests, tokens, money. Nothing is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.evaluation.score import LATENCY_REQUESTS
from harness.forecast.estimate import Estimate, summed
from harness.forecast.trial_work import TrialWork
from harness.records import Endpoint

# Servers have tokenizers of their own: counts by the local one are off by about so much.
TOKENIZERS = 0.3
# Seconds until a reply is there: not measured, since measuring would cost money.
REPLY_SECONDS = Estimate(1.5, 0.3, 6.0)
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class ServedTrial:
    """One trial that asks a server. Tokens are those of the local tokenizer."""

    requests: float
    prompt_tokens: Estimate
    completion_tokens: Estimate
    seconds: Estimate
    money: Estimate


def served_trial(work: TrialWork, endpoint: Endpoint) -> ServedTrial:
    """What the trial sends, what comes back, and what it costs at the endpoint's prices."""
    parts = [part for _, part in work.scores]
    asked = [part for part in parts if part.pool != "single"]
    single = [part for part in parts if part.pool == "single"]
    items = math.fsum(part.items for part in asked)
    requests = items + len(single) * (1 + LATENCY_REQUESTS)
    sent = math.fsum(part.prompt_tokens for part in asked) + math.fsum(p.fed for p in single)
    prompt = Estimate.exactly(sent).widened(TOKENIZERS)
    mean, longest = work.answer
    room = max((part.room for part in asked), default=longest)
    each = Estimate(mean, mean / (1 + TOKENIZERS), max(room, longest))
    completion = each * requests
    # Single requests go one after the other, whatever the concurrency.
    at_once = endpoint.concurrency if items else 1
    alone = len(single) * (1 + LATENCY_REQUESTS)
    seconds = REPLY_SECONDS * (items / at_once + alone)
    if endpoint.requests_per_minute:
        least = 60 * requests / endpoint.requests_per_minute
        seconds = Estimate(
            *(max(least, one) for one in (seconds.expected, seconds.low, seconds.high))
        )
    money = summed(
        (
            prompt * (endpoint.prompt_price / MILLION),
            completion * (endpoint.completion_price / MILLION),
        )
    )
    return ServedTrial(requests, prompt, completion, seconds, money)
