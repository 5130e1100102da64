"""Designs in which tuning is a source of chance: each search picks a setting of its own worth.

A search's setting deviates from the arm's mean over tunings with a standard deviation of 3 points;
seeds of final runs differ by 2. Where an optimiser writes an instruction for each search of the
prompt arm, that is worth 3 points on average and differs by 6 between its runs, and is kept or
dropped by the product's own rule on 60 validation rows.
"""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Findings, Interval
from lab.simulation.claims import Claim, Scenario
from lab.simulation.study_design import Design
from lab.simulation.writing import Written, mean_score

WRITTEN = Design(
    gain=0.05,
    change=-0.02,
    seed_spread=0.06,
    repeats=3,
    written=Written(worth=0.092, spread=0.184),
)
TUNED = Design(gain=0.05, change=-0.02, seed_spread=0.06, tuning_spread=0.092)


def _holds(interval: Interval | None, truth: float) -> bool | None:
    return None if interval is None else interval.low - 1e-9 <= truth <= interval.high + 1e-9


def _one_arm(findings: Findings, design: Design) -> bool | None:
    arm = next(arm for arm in findings.arms if arm.kind != "prompt")
    return _holds(arm.test_interval, design.score + design.gain)


def _difference(findings: Findings, design: Design) -> bool | None:
    return _holds(findings.primary.interval if findings.primary else None, design.gain)


def _score_over_runs(design: Design) -> float:
    """True score of the prompt arm, as the mean over runs of the optimiser."""
    if design.written is None:
        raise ValueError("nothing is written in studies of this design")
    return mean_score(design.written, design.score, design.latent_spread())


def _written_arm(findings: Findings, design: Design) -> bool | None:
    arm = next(arm for arm in findings.arms if arm.kind == "prompt")
    return _holds(arm.test_interval, _score_over_runs(design))


def _against_written(findings: Findings, design: Design) -> bool | None:
    truth = design.score + design.gain - _score_over_runs(design)
    return _holds(findings.primary.interval if findings.primary else None, truth)


def _written(low: float, high: float) -> tuple[Claim, ...]:
    return (
        Claim("95 % interval of its score holds its mean over runs", _written_arm, low, high),
        Claim("95 % interval of the difference holds the same", _against_written, low, high),
    )


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
    Scenario("an instruction is written anew: three runs", WRITTEN, _written(0.94, 0.96)),
    Scenario(
        "an instruction is written anew: three runs, two final seeds each",
        replace(WRITTEN, seeds=6),
        _written(0.94, 0.96),
    ),
    Scenario(
        "an instruction is written anew: one run, three final seeds",
        replace(WRITTEN, repeats=1),
        _written(0.0, 1.0),
    ),
)

__all__ = ["TUNING_SCENARIOS"]
