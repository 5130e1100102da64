"""Estimates requests, tokens and money of trials that ask a server; nothing is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.forecast.estimate import Estimate, summed
from harness.forecast.workload import Workload
from harness.records import Endpoint

# Servers have tokenizers of their own: counts by the local one are off by about so much.
TOKENIZERS = 0.3
# Seconds until a reply is there: not measured, since measuring would cost money.
REPLY_SECONDS = Estimate(1.5, 0.3, 6.0)
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class ServedTrial:
    """One trial that asks a server. Tokens are those of the local tokenizer."""

    requests: Estimate
    """Number of requests."""
    prompt_tokens: Estimate
    """Tokens of all prompts."""
    completion_tokens: Estimate
    """Tokens of all replies."""
    seconds: Estimate
    """Seconds until all replies are there, at the endpoint's concurrency and rate."""
    money: Estimate
    """Cost of the tokens at the endpoint's prices, in the study's currency."""


def served_trial(load: Workload, endpoint: Endpoint) -> ServedTrial:
    """What the trial sends, what comes back, and what it costs at the endpoint's prices."""
    scores = [score for _, score in load.scores]
    items = math.fsum(score.items for score in scores if score.measure != "single")
    alone = math.fsum(score.items for score in scores if score.measure == "single")
    requests = items + alone
    sent = math.fsum(score.prompt_tokens for score in scores)
    prompt = Estimate.exactly(sent).widened(TOKENIZERS)
    mean, longest = load.answer
    limit = max((score.answer_limit for score in scores), default=longest)
    completion = Estimate(mean, mean / (1 + TOKENIZERS), max(limit, longest)) * requests
    # Single requests go one after the other, whatever the concurrency.
    seconds = REPLY_SECONDS * (items / endpoint.concurrency + alone)
    if endpoint.requests_per_minute:
        least = 60 * requests / endpoint.requests_per_minute
        seconds = Estimate(
            *(max(least, value) for value in (seconds.expected, seconds.low, seconds.high))
        )
    money = summed(
        (
            prompt * (endpoint.prompt_price / MILLION),
            completion * (endpoint.completion_price / MILLION),
        )
    )
    return ServedTrial(Estimate.exactly(requests), prompt, completion, seconds, money)
