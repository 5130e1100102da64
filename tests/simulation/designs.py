"""What is claimed of a study's numbers, and the designs on which each claim is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harness.findings import Findings, Interval
from simulation.drawing import PROMPT_SCORE, Design

Measure = Callable[[Findings, Design], bool | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A share of studies, and the range in which it is promised to lie.

    measure: True where the event happened, False where not, None where the study cannot tell.
    """

    text: str
    measure: Measure
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A design with the claims tried on it. at_detectable: its gain is set to the smallest
    difference that such studies say they can find."""

    name: str
    design: Design
    claims: tuple[Claim, ...]
    at_detectable: bool = False


def _holds(interval: Interval | None, truth: float) -> bool | None:
    # Rounding must not throw out a truth that is an end of the interval.
    return None if interval is None else interval.low - 1e-9 <= truth <= interval.high + 1e-9


def _difference(findings: Findings, design: Design) -> bool | None:
    return _holds(findings.primary.interval if findings.primary else None, design.gain)


def _one_arm(findings: Findings, design: Design) -> bool | None:
    arm = next(arm for arm in findings.arms if arm.kind != "prompt")
    return _holds(arm.test_interval, PROMPT_SCORE + design.gain)


def _ability(findings: Findings, design: Design) -> bool | None:
    return _holds(findings.forgetting[0].interval, design.change) if findings.forgetting else None


def _gap(findings: Findings, design: Design) -> bool | None:
    # Training and test scores are drawn alike: there is no true gap.
    return _holds(findings.overfitting[-1].gap_interval, 0.0)


def _outcome(wanted: str) -> Measure:
    return lambda findings, _: findings.primary is not None and findings.primary.outcome == wanted


def _verdict(wanted: str) -> Measure:
    return lambda findings, _: findings.verdict.outcome == wanted


def _abilities(wanted: str) -> Measure:
    return lambda findings, _: (
        bool(findings.forgetting) and all(one.outcome == wanted for one in findings.forgetting)
    )


COVERAGE = (
    Claim("95 % interval of the difference holds the truth", _difference, 0.94, 0.96),
    Claim("95 % interval of one arm's score holds the truth", _one_arm, 0.94, 0.96),
    Claim("95 % interval of the mean general change holds the truth", _ability, 0.94, 0.96),
    Claim("95 % interval of train minus test holds the truth", _gap, 0.94, 0.96),
)
NO_FALSE_GAIN = (
    Claim('false "fine-tune"', _verdict("fine_tune"), 0.0, 0.05),
    Claim('false "better" of the primary contrast', _outcome("better"), 0.0, 0.05),
)
NO_FALSE_EQUALITY = (
    Claim('false "equivalent" (two tests at 5 %)', _outcome("equivalent"), 0.0, 0.06),
)
NO_FALSE_KEEPING = (
    Claim('false "no forgetting"', _abilities("kept"), 0.0, 0.05),
    Claim('false "forgot"', _abilities("forgot"), 0.0, 0.05),
)
POWER = (Claim("the smallest detectable difference is found", _outcome("better"), 0.77, 0.83),)

USUAL = Design(gain=0.05, change=-0.02)
SCENARIOS: tuple[Scenario, ...] = (
    Scenario("one seed, right or wrong", replace(USUAL, seeds=1, seed_spread=0.0), COVERAGE),
    Scenario("three seeds", USUAL, COVERAGE),
    Scenario(
        "three seeds, answers noisy, seeds alike",
        replace(USUAL, seed_spread=0.0, noise=0.8),
        COVERAGE,
    ),
    Scenario("three seeds that differ by 7 points", replace(USUAL, seed_spread=0.25), COVERAGE),
    Scenario("five seeds", replace(USUAL, seeds=5, seed_spread=0.2), COVERAGE),
    Scenario(
        "one seed, 60 clusters of four",
        replace(USUAL, seeds=1, seed_spread=0.0, items=240, cluster_size=4),
        COVERAGE,
    ),
    Scenario(
        "three seeds, 60 clusters of four", replace(USUAL, items=240, cluster_size=4), COVERAGE
    ),
    Scenario(
        "three seeds, 30 clusters of four, scores between 0 and 1",
        replace(USUAL, items=120, cluster_size=4, binary=False),
        COVERAGE,
    ),
    Scenario(
        "three seeds, the prompt always answers alike", replace(USUAL, still_prompt=True), COVERAGE
    ),
    Scenario("three seeds, 1,000 items", replace(USUAL, items=1000, task_items=200), COVERAGE),
    Scenario("no true difference, one arm a side", Design(), NO_FALSE_GAIN),
    Scenario(
        "no true difference, one seed, 100 items",
        Design(seeds=1, seed_spread=0.0, items=100),
        NO_FALSE_GAIN,
    ),
    Scenario(
        "no true difference, three fine-tuned and two prompt arms",
        Design(trained=3, prompts=2),
        NO_FALSE_GAIN,
    ),
    Scenario(
        "the true gain is the margin",
        Design(gain=0.05, margin=0.05, items=1500, seed_spread=0.05),
        NO_FALSE_EQUALITY,
    ),
    Scenario("the true loss is the margin", Design(change=-0.05), NO_FALSE_KEEPING),
    Scenario(
        "the true loss is the margin, one seed",
        Design(change=-0.05, seeds=1, seed_spread=0.0),
        NO_FALSE_KEEPING,
    ),
    Scenario(
        "the true loss is the margin, one task of 60 items, one seed",
        Design(change=-0.05, seeds=1, seed_spread=0.0, tasks=1, task_items=60),
        NO_FALSE_KEEPING,
    ),
    Scenario(
        "one seed, right or wrong (exact McNemar)",
        Design(seeds=1, seed_spread=0.0),
        POWER,
        at_detectable=True,
    ),
    Scenario(
        "one seed, scores between 0 and 1 (permutation)",
        Design(seeds=1, seed_spread=0.0, binary=False),
        POWER,
        at_detectable=True,
    ),
    Scenario("three seeds (bootstrap)", Design(items=300, seed_spread=0.1), POWER, True),
    Scenario(
        "five seeds, 100 clusters of three (bootstrap)",
        Design(items=300, cluster_size=3, seeds=5, seed_spread=0.1),
        POWER,
        at_detectable=True,
    ),
)
BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}

__all__ = ["BY_NAME", "SCENARIOS", "Claim", "Scenario"]
