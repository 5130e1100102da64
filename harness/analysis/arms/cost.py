"""What an arm costs to make and to run, in seconds, bytes and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.arms.declared_training import with_declared_training
from harness.analysis.arms.latency import measured_latency, why_unmeasured
from harness.analysis.arms.tokens import mean_tokens
from harness.analysis.statistics.scores import aggregates
from harness.findings import ArmSummary, BreakEven, CostSummary, Interval
from harness.records import TrialCost, TrialSummary
from harness.spec import EndpointSpec, Experiment
from harness.spec.experiment import CostSpec
from harness.spec.kinds import kind_info
from harness.spec.served_arms import endpoints
from harness.spec.starts import TrainingElsewhere, training_elsewhere
from harness.wording import money

# Money is linear in the price of the machine, so that one summary serves every price.
UNIT = CostSpec(machine_per_hour=1.0, requests_per_month=1000)


def summarise_cost(
    search: Sequence[TrialSummary],
    finalists: Sequence[TrialSummary],
    timed: Sequence[TrialSummary],
    experiment: Experiment,
    arm: str,
) -> CostSummary:
    """Cost of one arm, priced as declared; see :func:`unit_cost`."""
    return priced(unit_cost_of(search, finalists, timed, experiment, arm), experiment.cost)


def unit_cost_of(
    search: Sequence[TrialSummary],
    finalists: Sequence[TrialSummary],
    timed: Sequence[TrialSummary],
    experiment: Experiment,
    arm: str,
) -> CostSummary:
    """As :func:`unit_cost`, with what the experiment says of the arm."""
    endpoint, before = endpoints(experiment).get(arm), training_elsewhere(experiment.arms, arm)
    return unit_cost(search, finalists, timed, experiment.task.primary_metric, endpoint, before)


def priced(unit: CostSummary, spec: CostSpec) -> CostSummary:
    """A cost of :func:`unit_cost` at the price and volume of ``spec``."""
    # What a server charges for tokens does not hang on the price of this machine.
    price = 1.0 if unit.by_token else spec.machine_per_hour
    served = unit.per_thousand_requests
    per_thousand = None if served is None else served * price
    spread = _times(unit.per_thousand_range, price)
    declared = replace(
        unit,
        per_thousand_requests=per_thousand,
        per_thousand_range=spread,
        monthly=None if per_thousand is None else per_thousand * spec.requests_per_month / 1000,
        monthly_range=_times(spread, spec.requests_per_month / 1000),
        upfront=None if unit.upfront is None else unit.upfront * price + unit.paid_elsewhere,
    )
    return replace(declared, first_year=total_money(declared, 12))


def unit_cost(
    search: Sequence[TrialSummary],
    finalists: Sequence[TrialSummary],
    timed: Sequence[TrialSummary],
    metric: str,
    endpoint: EndpointSpec | None = None,
    before: TrainingElsewhere | None = None,
) -> CostSummary:
    """Cost of one arm from its search trials and complete finalists, at ``UNIT`` price and volume.

    Search seconds count every search trial that reported a cost, failed ones too. One final run is
    the mean over finalists of loading plus training. Money is hours times the price of the machine;
    serving is one request at a time. An arm that asks a server costs the price of its tokens
    instead, in its search and in use; see :func:`_by_token`.

    Args:
        timed: the trials that timed its requests, see
            :func:`~harness.analysis.arms.latency.timed_trials`; no other trial says what a
            request takes.
        endpoint: the server that the arm asks; None where it asks a model in memory.
        before: what of its training took place elsewhere; None where nothing did.
    """
    price = UNIT.machine_per_hour / 3600
    # A setting that is not searched is trained once, for the final runs.
    finals = {trial.trial_id for trial in finalists}
    every = {trial.trial_id: trial for trial in (*search, *finalists)}
    # One that two proposals came to ran once.
    search = [trial for name, trial in every.items() if name not in finals]
    spent = [_total_seconds(trial.cost) + trial.added_seconds for trial in search if trial.cost]
    costs = [trial.cost for trial in finalists if trial.cost]
    on_test = aggregates(finalists, "domain", "test", metric)
    latency = measured_latency(timed)
    per_thousand = latency.mean * price * 1000 if latency else None
    spread = _times(latency.interval, price * 1000) if latency else None
    final = float(np.mean([c.load_seconds + c.train_seconds for c in costs])) if costs else None
    # A final prompt run whose scores were known did no work; its search trial did.
    worked = [c for c in costs if c.train_seconds] or [
        *costs,
        *(t.cost for t in search if t.cost),
    ]
    devices = [c.peak_device_mib for c in worked if c.peak_device_mib is not None]
    # Where a classifier answers no token is read.
    tokens = _mean([a.prompt_tokens for a in on_test]) or None
    summary = CostSummary(
        search_seconds=float(sum(spent)),
        train_seconds=float(np.mean([c.train_seconds for c in costs])) if costs else 0.0,
        train_tokens=mean_tokens(costs),
        peak_memory_mib=max(c.peak_memory_mib for c in worked) if costs else None,
        peak_device_mib=max(devices) if devices else None,
        trainable_parameters=max((c.trainable_parameters for c in costs), default=0),
        total_parameters=max((c.total_parameters for c in costs), default=0),
        artifact_bytes=max((c.artifact_bytes for c in costs), default=0),
        prompt_tokens=tokens,
        completion_tokens=_mean([a.completion_tokens for a in on_test]) if tokens else None,
        latency_p50=latency.median if latency else None,
        latency_p95=latency.p95 if latency else None,
        per_thousand_requests=per_thousand,
        monthly=None if per_thousand is None else per_thousand * UNIT.requests_per_month / 1000,
        upfront=None if final is None else (sum(spent) + final) * price,
        train_examples=min(
            (t.train_examples for t in finalists if t.train_examples is not None), default=None
        ),
        latency=latency,
        latency_unmeasured=why_unmeasured(timed),
        per_thousand_range=spread,
        monthly_range=_times(spread, UNIT.requests_per_month / 1000),
        added_seconds=sum(every[name].added_seconds for name in finals),
        paid_elsewhere=sum(trial.writing.money for trial in search if trial.writing),
    )
    if before is not None:
        return with_declared_training(summary, before, UNIT.machine_per_hour)
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
        if summary.upfront is not None and None not in spent:
            upfront = sum(money or 0.0 for money in spent)
    return replace(
        summary,
        by_token=True,
        paid_elsewhere=0.0,
        prompt_tokens=prompt,
        completion_tokens=completion if prompt else None,
        peak_memory_mib=None,
        peak_device_mib=None,
        per_thousand_requests=None if each is None else each * 1000,
        monthly=None if each is None else each * UNIT.requests_per_month,
        upfront=upfront,
        per_thousand_range=None,
        monthly_range=None,
    )


def _charged(trial: TrialSummary, endpoint: EndpointSpec, per_token: float) -> float | None:
    """What a search trial's replies cost; None where the server counted no tokens.

    Args:
        per_token: mean price of the arm's tokens, for a trial that noted only their sum.
    """
    if trial.writing is not None:
        return trial.writing.money
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


def total_money(cost: CostSummary, months: int) -> float | None:
    """Upfront money plus serving over the horizon; None where either was not measured."""
    if cost.upfront is None or cost.monthly is None:
        return None
    return cost.upfront + cost.monthly * months


def total_range(cost: CostSummary, months: int) -> Interval | None:
    """Range of :func:`total_money`; None where the range of serving was not measured."""
    if cost.upfront is None or cost.monthly_range is None:
        return None
    low, high = (cost.upfront + end * months for end in _ends(cost.monthly_range))
    return Interval(low, high, cost.monthly_range.level)


def overlap(a: CostSummary, b: CostSummary, months: int) -> bool:
    """Whether the measurement leaves open which of two arms costs less over the horizon.

    Money that is known without measuring, such as that of tokens, is a range of one point.
    """
    totals = [total_money(cost, months) for cost in (a, b)]
    (low_a, high_a), (low_b, high_b) = (
        _ends(total_range(cost, months)) or (total or 0.0, total or 0.0)
        for cost, total in zip((a, b), totals, strict=True)
    )
    measured = a.monthly_range is not None or b.monthly_range is not None
    return None not in totals and measured and low_a <= high_b and low_b <= high_a


def break_even(
    arm: str, cost: CostSummary, against: str, other: CostSummary, currency: str
) -> BreakEven:
    """Requests after which the arm's extra upfront money is repaid by cheaper serving.

    What serving saves has a range, from the least of one arm to the most of the other, and so has
    the number of requests.
    """
    if (
        cost.upfront is None
        or other.upfront is None
        or cost.per_thousand_requests is None
        or other.per_thousand_requests is None
    ):
        why = f"The cost of serving {arm} or {against} was not measured."
        if cost.upfront is None and cost.per_thousand_requests is not None:
            why = f"What {arm} took upfront is not known."
        return BreakEven(arm, against, None, why)
    extra = cost.upfront - other.upfront
    saved = other.per_thousand_requests - cost.per_thousand_requests
    least, most = _saved_range(cost, other, saved)
    # Money upfront that is no more than the other's is repaid at once, wherever serving saves.
    low = max(0.0, extra) / most * 1000 if most > 0 else None
    high = max(0.0, extra) / least * 1000 if least > 0 else None
    open_sign = least <= 0 <= most and least < most
    doubt = f", within the measurement's range (it saves {_span(least, most)} {currency})"
    if saved <= 0 and extra <= 0:
        cheap = "as cheap to serve" if saved == 0 else "dearer to serve"
        sentence = (
            f"{arm} takes no more money upfront than {against} and is {cheap}"
            f"{doubt if open_sign else ''}."
        )
        return BreakEven(arm, against, 0.0 if saved == 0 else None, sentence, low, high)
    if saved <= 0:
        never = "may never pay back" if open_sign and low is not None else "never pays back"
        sentence = (
            f"{arm} {never}: 1,000 requests cost {money(-saved, currency)} more than with {against}"
            if saved < 0
            else f"{arm} {never}: serving costs the same as with {against}"
        )
        if open_sign and low is not None:
            sentence += f"{doubt}; at the least it takes {low:,.0f} requests"
        return BreakEven(arm, against, None, f"{sentence}.", low, high)
    requests = max(0.0, extra / saved * 1000)
    within = ""
    if low is not None and low != high:
        within = (
            f" ({low:,.0f} at the least; it may never be)"
            if high is None
            else f" (between {low:,.0f} and {high:,.0f})"
        )
    sentence = (
        f"{arm} is paid back after {requests:,.0f} requests{within}: "
        f"{money(max(extra, 0.0), currency)} more upfront, {money(saved, currency)} less per "
        f"1,000 requests than {against}{f' ({_span(least, most)})' if least < most else ''}."
    )
    return BreakEven(arm, against, requests, sentence, low, high)


def _saved_range(cost: CostSummary, other: CostSummary, saved: float) -> tuple[float, float]:
    """The least and the most that 1,000 requests save against the other arm."""
    if cost.per_thousand_range is None and other.per_thousand_range is None:
        return saved, saved
    mine, theirs = (
        _ends(cost_summary.per_thousand_range) or (cost_summary.per_thousand_requests or 0.0,) * 2
        for cost_summary in (cost, other)
    )
    return theirs[0] - mine[1], theirs[1] - mine[0]


def _ends(interval: Interval | None) -> tuple[float, ...]:
    return () if interval is None else (interval.low, interval.high)


def _times(interval: Interval | None, factor: float) -> Interval | None:
    if interval is None:
        return None
    return Interval(interval.low * factor, interval.high * factor, interval.level)


def _span(low: float, high: float) -> str:
    return f"{money(low)} to {money(high)}"


def _total_seconds(cost: TrialCost) -> float:
    return cost.load_seconds + cost.train_seconds + cost.score_seconds


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def break_evens(
    arms: Mapping[str, ArmSummary], against: str, currency: str
) -> tuple[BreakEven, ...]:
    """After how many requests each fine-tuned arm is repaid against a prompt arm.

    Args:
        arms: name -> summary.
        against: name of the prompt arm; without a test result of it nothing is repaid.
        currency: what money is counted in.
    """
    prompt = arms.get(against)
    if prompt is None or prompt.test is None:
        return ()
    return tuple(
        break_even(name, arm.cost, against, prompt.cost, currency)
        for name, arm in arms.items()
        if kind_info(arm.kind).fine_tuned and arm.test is not None
    )


__all__ = [
    "break_even",
    "break_evens",
    "overlap",
    "priced",
    "summarise_cost",
    "total_money",
    "total_range",
    "unit_cost",
    "unit_cost_of",
]
