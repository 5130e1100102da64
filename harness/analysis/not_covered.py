"""Sources of chance that no interval of the report covers, each with its size where it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.analysis.statistics.repeats import searches_tested
from harness.analysis.wording import number, span
from harness.findings import ArmSummary, Interval, LearningCurve, NotCovered
from harness.records import ExperimentRecord
from harness.spec import Experiment
from harness.spec.served_arms import endpoints
from harness.wording import UNKNOWN, listed

MOST_NAMED = 3  # tasks; more stand in the table of them


def not_covered(
    experiment: Experiment,
    record: ExperimentRecord,
    arms: Mapping[str, ArmSummary],
    curves: Sequence[LearningCurve],
) -> tuple[NotCovered, ...]:
    """One row a source, the same in every study."""
    return (
        _abilities(experiment, record),
        _training_set(curves),
        _tuning(experiment, arms),
        _decoding(experiment),
        _machine(record, arms),
    )


def _abilities(experiment: Experiment, record: ExperimentRecord) -> NotCovered:
    tasks = [*record.general_tasks]
    asked = listed(tasks) if len(tasks) <= MOST_NAMED else f"{len(tasks)} general tasks"
    which = f"only {asked} were asked" if asked else "none were asked"
    if not experiment.trained_arms():
        return NotCovered("Other abilities than those asked", "no arm is trained: none", known=True)
    return NotCovered("Other abilities than those asked", f"{UNKNOWN}: {which}", known=False)


def _training_set(curves: Sequence[LearningCurve]) -> NotCovered:
    source = "Another training set"
    gains = [
        f"{curve.arm} changed by {_signed(curve.last_gain, curve.last_gain_interval)} from "
        f"{curve.points[-2].train_items:,} to {curve.points[-1].train_items:,} examples"
        for curve in curves
        if curve.last_gain is not None and len(curve.points) > 1
    ]
    if not gains:
        return NotCovered(source, f"{UNKNOWN}: all runs learn from the same examples", known=False)
    return NotCovered(
        source,
        f"{UNKNOWN} for other examples; with more of them, {'; '.join(gains)}",
        known=False,
    )


def _tuning(experiment: Experiment, arms: Mapping[str, ArmSummary]) -> NotCovered:
    source = "Tuning anew"
    if not any(arm.search_space() for arm in experiment.arms.values()):
        return NotCovered(source, "no arm is tuned: none", known=True)
    repeats = experiment.search.repeats
    short = [
        f"{name} {tested} of {repeats}"
        for name, arm in arms.items()
        if arm.seeds
        and (tested := searches_tested(experiment, name, arm.seeds)) < experiment.repeats_of(name)
    ]
    if short:
        coverage = f"covered in part: final runs are missing, searches tested: {', '.join(short)}"
        return NotCovered(source, coverage, known=False)
    if repeats > 1:
        coverage = f"covered: each arm was tuned {repeats} times, and the intervals hold for that"
        return NotCovered(source, coverage, known=True)
    return NotCovered(source, f"{UNKNOWN}: each arm was tuned once", known=False)


def _decoding(experiment: Experiment) -> NotCovered:
    source = "Chance in the replies"
    served = ", ".join(endpoints(experiment))
    greedy = "replies are greedy, so that only rounding can change one"
    if served:
        return NotCovered(
            source, f"{UNKNOWN} for {served}, whose server may answer otherwise; else {greedy}",
            known=False,
        )  # fmt: skip
    return NotCovered(source, f"none: {greedy}", known=True)


def _machine(record: ExperimentRecord, arms: Mapping[str, ArmSummary]) -> NotCovered:
    device = record.environment.get("device", "this device")
    timed = any(arm.cost.latency is not None for arm in arms.values())
    money = "; latencies and money hold for this machine alone" if timed else ""
    return NotCovered(
        "Another machine",
        f"{UNKNOWN}: all was computed on {device}, and rounding differs elsewhere{money}",
        known=False,
    )


def _signed(value: float, interval: Interval | None) -> str:
    shown = number(value, 1.0, sign=True)
    return shown if interval is None else f"{shown} ({span(interval, 1.0)})"


__all__ = ["not_covered"]
