"""Designs in which tuning is a source of chance: each search picks a setting of its own worth.

A search's setting deviates from the arm's mean over tunings with a standard deviation of 3 points;
seeds of final runs differ by 2.
"""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Findings, Interval
from lab.simulation.claims import Claim, Scenario
from lab.simulation.study_design import Design

TUNED = Design(gain=0.05, change=-0.02, seed_spread=0.06, tuning_spread=0.092)


def _holds(interval: Interval | None, truth: float) -> bool | None:
    return None if interval is None else interval.low - 1e-9 <= truth <= interval.high + 1e-9


def _one_arm(findings: Findings, design: Design) -> bool | None:
    arm = next(arm for arm in findings.arms if arm.kind != "prompt")
    return _holds(arm.test_interval, design.score + design.gain)


def _difference(findings: Findings, design: Design) -> bool | None:
    return _holds(findings.primary.interval if findings.primary else None, design.gain)


def _covered(low: float, high: float) -> tuple[Claim, ...]:
    return (
        Claim("95 % interval of one arm's score holds its mean over tunings", _one_arm, low, high),
        Claim("95 % interval of the difference holds the same", _difference, low, high),
    )


TUNING_SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "tuned anew: three searches of one final seed each",
        replace(TUNED, repeats=3),
        _covered(0.94, 0.96),
    ),
    Scenario(
        "tuned anew: three searches of two final seeds each",
        replace(TUNED, repeats=3, seeds=6),
        _covered(0.94, 0.96),
    ),
    Scenario("tuned anew: one search, three final seeds", TUNED, _covered(0.0, 1.0)),
    Scenario(
        "tuned anew: one search, three final seeds, 1,000 items",
        replace(TUNED, items=1000),
        _covered(0.0, 1.0),
    ),
)

__all__ = ["TUNING_SCENARIOS"]
