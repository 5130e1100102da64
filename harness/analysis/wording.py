"""Findings as sentences for a reader who is no statistician."""

from __future__ import annotations

import math

from harness.analysis.cost import total_money
from harness.findings import ArmSummary, Contrast, Forgetting, Interval
from harness.spec import Experiment

# Metrics that are a share of items, so that per cent is their natural unit.
SHARES = {
    "exact_match": "answers exactly right",
    "valid": "answers valid",
    "valid_json": "answers valid JSON",
}

METRICS = {"field_f1": "field F1", "chrf": "chrF", "rouge_l": "ROUGE-L"}
MINUS = "−"


def result(contrast: Contrast) -> str:
    """What was found between two arms, with numbers, unit and interval."""
    a, b = contrast.a, contrast.b
    size = f"on {contrast.items:,} test items"
    if contrast.metric in SHARES:
        shown = (
            f"{a} gets {_percent(contrast.mean_a)} of {SHARES[contrast.metric]}, "
            f"{b} {_percent(contrast.mean_b)}, {size}"
        )
        unit = " percentage points"
        scale = 100.0
    else:
        shown = (
            f"{a} scores {number(contrast.mean_a, 1)} and {b} {number(contrast.mean_b, 1)} in "
            f"{METRICS.get(contrast.metric, contrast.metric)} {size}"
        )
        unit, scale = "", 1.0
    within = span(contrast.interval, scale)
    gap = f"{number(abs(contrast.difference), scale)}{unit}"
    signed = f"{number(contrast.difference, scale, sign=True)}{unit} ({within})"
    margin = f"{contrast.margin * scale:.3g}{unit}"
    match contrast.outcome:
        case "better":
            return f"{shown}: {a} is better by {gap} ({within})."
        case "worse":
            return f"{shown}: {a} is worse by {_reversed_gap(contrast, scale, unit)}."
        case "equivalent":
            return f"{shown}: the difference, {signed}, is smaller than the {margin} that matter."
        case _:
            return f"{shown}: the difference, {signed}, may be chance."


def what_it_takes(contrast: Contrast) -> str:
    """What would settle an open contrast."""
    if contrast.items_needed is not None:
        return (
            f"If the observed difference between {contrast.a} and {contrast.b} is the true one, "
            f"about {contrast.items_needed:,} test items would settle it."
        )
    return (
        f"More test items alone would not settle the difference between {contrast.a} and "
        f"{contrast.b}; more seeds or a wider margin would be needed."
    )


def abilities(forgetting: Forgetting) -> str:
    """What became of the general abilities of one arm."""
    change = f"{number(forgetting.mean_change, 100, sign=True)} percentage points"
    within = span(forgetting.interval, 100)
    margin = f"{forgetting.margin * 100:.3g} points"
    match forgetting.outcome:
        case "kept":
            return (
                f"{forgetting.arm} kept what the base could do: {change} on average over the "
                f"general tasks ({within}), with {margin} of loss allowed."
            )
        case "forgot":
            return given_up(forgetting)
        case _:
            if math.isnan(forgetting.mean_change):
                return f"What {forgetting.arm} forgot could not be measured."
            return (
                f"Whether {forgetting.arm} kept what the base could do is not settled: {change} on "
                f"average ({within}), with {margin} of loss allowed."
            )


def given_up(forgetting: Forgetting) -> str:
    """What an arm that forgot lost."""
    worst = next(delta for delta in forgetting.tasks if delta.task == forgetting.worst_task)
    return (
        f"{forgetting.arm} gives up {number(-forgetting.mean_change, 100)} percentage points of "
        f"what the base could do, on average over the general tasks "
        f"({span(_negated(forgetting.interval), 100)}), and most in {worst.task}: "
        f"{_percent(worst.base)} before, {_percent(worst.after)} after."
    )


def costs(experiment: Experiment, arms: dict[str, ArmSummary], one: str, other: str) -> str:
    """Money of two arms over the horizon; empty where it was not measured."""
    months, currency = experiment.cost.months, experiment.cost.currency
    a, b = (total_money(arms[name].cost, months) for name in (one, other))
    if a is None or b is None:
        return ""
    volume = f"{experiment.cost.requests_per_month:,} requests a month"
    return (
        f"Over {months} months at {volume}, {one} costs {money(a)} {currency} and {other} "
        f"{money(b)} {currency}, search and training included."
    )


def money(amount: float) -> str:
    """An amount with two decimals, or three digits where it is below 1."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"


def span(interval: Interval, scale: float) -> str:
    """The level of an interval and its ends, rounded as :func:`number` does."""
    low, high = number(interval.low, scale), number(interval.high, scale)
    return f"{interval.level * 100:.3g} % interval {low} to {high}"


def _reversed_gap(contrast: Contrast, scale: float, unit: str) -> str:
    within = span(_negated(contrast.interval), scale)
    return f"{number(-contrast.difference, scale)}{unit} ({within})"


def _negated(interval: Interval) -> Interval:
    return Interval(-interval.high, -interval.low, interval.level)


def _percent(share: float) -> str:
    return f"{number(share, 100)} %"


def number(value: float, scale: float, *, sign: bool = False) -> str:
    """A score with three decimals, or per cent (``scale`` 100) with one, as the tables have it."""
    digits = 1 if scale == 100 else 3
    rounded = round(value * scale, digits) + 0.0  # no negative zero
    text = f"{abs(rounded):.{digits}f}"
    if rounded < 0:
        return f"{MINUS}{text}"
    return f"+{text}" if sign and rounded > 0 else text


__all__ = ["abilities", "costs", "given_up", "money", "number", "result", "span", "what_it_takes"]
