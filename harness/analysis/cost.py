"""What an arm costs to make and to run, in seconds, bytes and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.scores import aggregates
from harness.findings import BreakEven, CostSummary
from harness.records import TrialCost, TrialSummary
from harness.spec import EndpointSpec, Experiment
from harness.spec.endpoint import endpoints
from harness.spec.experiment import CostSpec

# Money is linear in the price of the machine, so that one summary serves every price.
UNIT = CostSpec(machine_per_hour=1.0, requests_per_month=1000)


def summarise_cost(
    search: Sequence[TrialSummary],
    finalists: Sequence[TrialSummary],
    experiment: Experiment,
    arm: str,
) -> CostSummary:
    """Cost of one arm, priced as declared; see :func:`unit_cost`."""
    endpoint = endpoints(experiment).get(arm)
    unit = unit_cost(search, finalists, experiment.task.primary_metric, endpoint)
    return priced(unit, experiment.cost)


def priced(unit: CostSummary, spec: CostSpec) -> CostSummary:
    """A cost of :func:`unit_cost` at the price and volume of ``spec``."""
    # What a server charges for tokens does not hang on the price of this machine.
    price = 1.0 if unit.by_token else spec.machine_per_hour
    served = unit.per_thousand_requests
    per_thousand = None if served is None else served * price
    return replace(
        unit,
        per_thousand_requests=per_thousand,
        monthly=None if per_thousand is None else per_thousand * spec.requests_per_month / 1000,
        upfront=None if unit.upfront is None else unit.upfront * price,
    )


def unit_cost(
    search: Sequence[TrialSummary],
    finalists: Sequence[TrialSummary],
    metric: str,
    endpoint: EndpointSpec | None = None,
) -> CostSummary:
    """Cost of one arm from its search trials and complete finalists, at ``UNIT`` price and volume.

    Search seconds count every search trial that reported a cost, failed ones too. One final run
    is the mean over finalists of loading plus training. Money is hours times the price of the
    machine; serving is one request at a time. An arm that asks a server costs the price of its
    tokens instead, in its search and in use; see :func:`_by_token`.
    """
    price = UNIT.machine_per_hour / 3600
    spent = [_total_seconds(trial.cost) for trial in search if trial.cost]
    costs = [trial.cost for trial in finalists if trial.cost]
    on_test = aggregates(finalists, "domain", "test", metric)
    latencies = np.array([second for a in on_test for second in a.latencies], dtype=np.float64)
    measured = latencies.size > 0
    per_thousand = float(latencies.mean()) * price * 1000 if measured else None
    final = float(np.mean([c.load_seconds + c.train_seconds for c in costs])) if costs else None
    # A final prompt run whose scores were known did no work; its search trial did.
    worked = [c for c in costs if c.train_seconds] or [
        *costs,
        *(t.cost for t in search if t.cost),
    ]
    devices = [c.peak_device_mib for c in worked if c.peak_device_mib is not None]
    summary = CostSummary(
        search_seconds=float(sum(spent)),
        train_seconds=float(np.mean([c.train_seconds for c in costs])) if costs else 0.0,
        train_tokens=round(float(np.mean([c.train_tokens for c in costs]))) if costs else 0,
        peak_memory_mib=max(c.peak_memory_mib for c in worked) if costs else None,
        peak_device_mib=max(devices) if devices else None,
        trainable_parameters=max((c.trainable_parameters for c in costs), default=0),
        total_parameters=max((c.total_parameters for c in costs), default=0),
        artifact_bytes=max((c.artifact_bytes for c in costs), default=0),
        prompt_tokens=_mean([a.prompt_tokens for a in on_test]),
        completion_tokens=_mean([a.completion_tokens for a in on_test]),
        latency_p50=float(np.quantile(latencies, 0.5)) if measured else None,
        latency_p95=float(np.quantile(latencies, 0.95)) if measured else None,
        per_thousand_requests=per_thousand,
        monthly=None if per_thousand is None else per_thousand * UNIT.requests_per_month / 1000,
        upfront=None if final is None else (sum(spent) + final) * price,
        train_examples=min(
            (t.train_examples for t in finalists if t.train_examples is not None), default=None
        ),
    )
    return summary if endpoint is None else _by_token(summary, search, endpoint)


def _by_token(
    summary: CostSummary, search: Sequence[TrialSummary], endpoint: EndpointSpec
) -> CostSummary:
    """The cost of an arm that asks a server.

    1,000 requests cost the mean tokens of a request at the stated prices, upfront the tokens of
    the search's trials, complete or stopped early. Both are None where no price is stated or the
    server counts no tokens. The server's memory is not known.
    """
    prompt, completion = summary.prompt_tokens or None, summary.completion_tokens
    priced_tokens = endpoint.prompt_price > 0 or endpoint.completion_price > 0
    each = upfront = None
    if priced_tokens and prompt is not None and completion is not None:
        each = _price(endpoint, prompt, completion)
        per_token = each / (prompt + completion)
        spent = [_charged(trial, endpoint, per_token) for trial in search]
        known = [money for money in spent if money is not None]
        if summary.upfront is not None and len(known) == len(spent):
            upfront = sum(known)
    return replace(
        summary,
        by_token=True,
        prompt_tokens=prompt,
        completion_tokens=completion if prompt else None,
        peak_memory_mib=None,
        peak_device_mib=None,
        per_thousand_requests=None if each is None else each * 1000,
        monthly=None if each is None else each * UNIT.requests_per_month,
        upfront=upfront,
    )


def _charged(trial: TrialSummary, endpoint: EndpointSpec, per_token: float) -> float | None:
    """What a search trial's replies cost; None where the server counted no tokens.

    per_token: mean price of the arm's tokens, for a trial that noted only their sum.
    """
    if trial.stopped is not None:
        return trial.stopped.tokens * per_token if trial.stopped.tokens else None
    scores = {(a.suite, a.task, a.split): a for a in trial.aggregates if not a.reused}
    if not all(a.prompt_tokens > 0 for a in scores.values()):
        return None
    return sum(
        a.items * _price(endpoint, a.prompt_tokens, a.completion_tokens) for a in scores.values()
    )


def _price(endpoint: EndpointSpec, prompt: float, completion: float) -> float:
    money = prompt * endpoint.prompt_price + completion * endpoint.completion_price
    return money / 1_000_000


def search_tokens(search: Sequence[TrialSummary]) -> int:
    """Tokens trained on over the search, of every trial that reported a cost, failed ones too."""
    return sum(trial.cost.train_tokens for trial in search if trial.cost)


def total_money(cost: CostSummary, months: int) -> float | None:
    """Upfront plus serving over the horizon; None where either was not measured."""
    if cost.upfront is None or cost.monthly is None:
        return None
    return cost.upfront + cost.monthly * months


def break_even(
    arm: str, cost: CostSummary, against: str, other: CostSummary, currency: str
) -> BreakEven:
    """Requests after which the arm's extra upfront money is repaid by cheaper serving."""
    if (
        cost.upfront is None
        or other.upfront is None
        or cost.per_thousand_requests is None
        or other.per_thousand_requests is None
    ):
        return BreakEven(
            arm, against, None, f"The cost of serving {arm} or {against} was not measured."
        )
    extra = cost.upfront - other.upfront
    saved = other.per_thousand_requests - cost.per_thousand_requests
    if saved <= 0 and extra <= 0:
        cheap = "as cheap to serve" if saved == 0 else "dearer to serve"
        sentence = f"{arm} takes no more money upfront than {against} and is {cheap}."
        return BreakEven(arm, against, 0.0 if saved == 0 else None, sentence)
    if saved <= 0:
        sentence = (
            f"{arm} never pays back: 1,000 requests cost {_money(-saved)} {currency} more "
            f"than with {against}."
            if saved < 0
            else f"{arm} never pays back: serving costs the same as with {against}."
        )
        return BreakEven(arm, against, None, sentence)
    requests = max(0.0, extra / saved * 1000)
    sentence = (
        f"{arm} is paid back after {requests:,.0f} requests: {_money(max(extra, 0.0))} "
        f"{currency} more upfront, {_money(saved)} {currency} less per 1,000 requests "
        f"than {against}."
    )
    return BreakEven(arm, against, requests, sentence)


def _total_seconds(cost: TrialCost) -> float:
    return cost.load_seconds + cost.train_seconds + cost.score_seconds


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"


__all__ = ["break_even", "priced", "search_tokens", "summarise_cost", "total_money", "unit_cost"]
