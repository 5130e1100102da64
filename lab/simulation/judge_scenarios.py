"""Designs in which a judge that favours fine-tuned arms scores the task, and people check some."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Findings
from lab.simulation.claims import Claim, Scenario
from lab.simulation.judging import Judge
from lab.simulation.study_design import Design

JUDGED = Design(tasks=0, binary=False, judge=Judge())
ONE_SEED = replace(JUDGED, seeds=1, seed_spread=0.0)


def _corrected(findings: Findings, design: Design) -> bool | None:
    primary = findings.primary
    if primary is None:
        return None
    return primary.interval.low - 1e-9 <= design.gain <= primary.interval.high + 1e-9


def _uncorrected(findings: Findings, design: Design) -> bool | None:
    (judge,) = findings.trust
    if not judge.contrasts:
        return None
    interval = judge.contrasts[0].judged_interval
    return interval.low <= design.gain <= interval.high


def _fine_tune(findings: Findings, _: Design) -> bool:
    return findings.verdict.outcome == "fine_tune"


COVERED = Claim("95 % interval of the corrected difference holds what people say", _corrected,
                0.94, 0.96)  # fmt: skip
NOT_FOOLED = Claim('false "fine-tune"', _fine_tune, 0.0, 0.05)
# Facts that show what the correction is for.
ALONE = Claim("95 % interval of the judge alone holds what people say", _uncorrected, 0.0, 1.0)
FOOLED = Claim('false "fine-tune" by the judge alone', _fine_tune, 0.0, 1.0)

JUDGE_SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "a judge that favours fine-tuning by 0.1, people mark 40 items, one seed",
        ONE_SEED,
        (COVERED, NOT_FOOLED, ALONE),
    ),
    Scenario(
        "a judge that favours fine-tuning by 0.1, people mark 40 items, three seeds",
        JUDGED,
        (COVERED, NOT_FOOLED, ALONE),
    ),
    Scenario(
        "a judge that favours fine-tuning by 0.1, people mark 20 items, one seed",
        replace(ONE_SEED, judge=Judge(marked=20)),
        (COVERED, NOT_FOOLED, ALONE),
    ),
    Scenario(
        "a judge that favours fine-tuning by 0.1, a true gain of 0.05, people mark 100 items",
        replace(ONE_SEED, gain=0.05, judge=Judge(marked=100)),
        (COVERED, ALONE),
    ),
    Scenario(
        "a judge that favours fine-tuning by 0.1, nobody marks",
        replace(ONE_SEED, judge=Judge(marked=0)),
        (FOOLED,),
    ),
)

__all__ = ["JUDGE_SCENARIOS"]
