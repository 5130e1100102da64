"""What is claimed where an arm is trained under the instruction of a prompt arm."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Findings
from lab.simulation.claims import Claim, Measure, Scenario
from lab.simulation.study_design import Design


def _verdict(wanted: str) -> Measure:
    return lambda findings, _: findings.verdict.outcome == wanted


# Without a general suite, where nothing is claimed of it.
ALIKE = Design(tasks=0, added=0.0)
NEVER = (Claim('false "both"', _verdict("both"), 0.0, 0.05),)
FOUND = (Claim('"both"', _verdict("both"), 0.0, 1.0),)


def _names_it(findings: Findings, _: Design) -> bool | None:
    """Whether "both" names the arm that is trained under the instruction."""
    return findings.verdict.winner == "both" if findings.verdict.outcome == "both" else None


BOTH_SCENARIOS: tuple[Scenario, ...] = (
    Scenario("both: no better than either, which are alike", ALIKE, NEVER),
    Scenario(
        "both: 15 points better than the prompt, no better than training without it",
        replace(ALIKE, gain=0.15),
        NEVER,
    ),
    Scenario(
        "both: 15 points better than training without it, no better than the prompt",
        replace(ALIKE, gain=-0.15, added=0.15),
        NEVER,
    ),
    Scenario(
        "both: no better than training without it, seeds that differ by 7 points, 1,000 items",
        replace(ALIKE, gain=0.15, seed_spread=0.25, items=1000),
        NEVER,
    ),
    Scenario(
        "both: no better than training without it, one seed, 100 items",
        replace(ALIKE, gain=0.2, seeds=1, seed_spread=0.0, items=100),
        NEVER,
    ),
    Scenario("both: 10 points better than either", replace(ALIKE, added=0.1), FOUND),
    Scenario(
        "both: 10 points better than either, seeds that differ by 2 points, 500 items",
        replace(ALIKE, added=0.1, seed_spread=0.06, items=500),
        (*FOUND, Claim('"both" names the arm that is', _names_it, 1.0, 1.0)),
    ),
)

__all__ = ["BOTH_SCENARIOS"]
