"""What is claimed of a study's numbers, and the designs on which each claim is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.analysis.whole_study import analyse
from harness.findings import Findings, Interval
from lab.simulation.ability_scenarios import ABILITY_SCENARIOS
from lab.simulation.both_scenarios import BOTH_SCENARIOS
from lab.simulation.claims import RESAMPLES, Claim, Measure, Scenario
from lab.simulation.drawing import draw_study
from lab.simulation.effort_scenarios import EFFORT_SCENARIOS
from lab.simulation.judge_scenarios import JUDGE_SCENARIOS
from lab.simulation.study_design import Design
from lab.simulation.tuning_scenarios import TUNING_SCENARIOS


def _holds(interval: Interval | None, truth: float) -> bool | None:
    # Rounding must not throw out a truth that is an end of the interval.
    return None if interval is None else interval.low - 1e-9 <= truth <= interval.high + 1e-9


def _difference(findings: Findings, design: Design) -> bool | None:
    return _holds(findings.primary.interval if findings.primary else None, design.gain)


def _one_arm(findings: Findings, design: Design) -> bool | None:
    arm = next(arm for arm in findings.arms if arm.kind != "prompt")
    return _holds(arm.test_interval, design.score + design.gain)


def _ability(findings: Findings, design: Design) -> bool | None:
    return (
        _holds(findings.forgetting[0].interval, design.mean_change) if findings.forgetting else None
    )


def _gap(findings: Findings, design: Design) -> bool | None:
    # Training and test scores are drawn alike: there is no true gap.
    return _holds(findings.overfitting[-1].gap_interval, 0.0)


def _settled_by_follow_up(findings: Findings, design: Design) -> bool | None:
    """Whether a study of the items that the open contrast asks for settles it, were it true."""
    primary = findings.primary
    if primary is None or primary.items_needed is None or primary.items_needed > MOST_ITEMS:
        return None
    again = replace(design, items=primary.items_needed, gain=primary.difference)
    found = analyse_study(again, primary.interval)
    return found.primary is not None and found.primary.outcome != "inconclusive"


def _abilities_settled_by_follow_up(findings: Findings, design: Design) -> bool | None:
    """The same of an open question of general abilities, by the items a task that it asks for."""
    (found,) = findings.forgetting
    if found.outcome != "inconclusive" or not found.items_needed:
        return None
    if found.items_needed > MOST_ITEMS:
        return None
    again = replace(design, task_items=found.items_needed, change=found.mean_change)
    (after,) = analyse_study(again, found.interval).forgetting
    return after.outcome != "inconclusive"


def analyse_study(design: Design, seed: Interval) -> Findings:
    """Findings of another study; ``seed`` is what its random numbers are made from."""
    generator = np.random.default_rng([round(abs(end) * 1e9) for end in (seed.low, seed.high)])
    return analyse(draw_study(design, generator), resamples=RESAMPLES, sensitivity=False)


def _parted(findings: Findings, _: Design) -> bool | None:
    """Whether the primary contrast is open although its interval excludes 0."""
    found = findings.primary
    if found is None:
        return None
    return found.outcome == "inconclusive" and not found.interval.low <= 0 <= found.interval.high


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
NO_FALSE_LOSS = (
    Claim('false "worse" of the primary contrast', _outcome("worse"), 0.0, 0.05),
    Claim("95 % interval of the difference holds the truth", _difference, 0.94, 0.96),
)
# Where one cluster weighs as much as the rest together, no method is exact; it must not be short.
AT_LEAST = tuple(replace(claim, high=1.0) for claim in COVERAGE[:2])
NO_PARTING = (Claim("called open, though the interval excludes 0", _parted, 0.0, 0.0),)
FOLLOW_UP = (Claim("a study of the items asked for settles it", _settled_by_follow_up, 0.77, 0.83),)
ABILITY_FOLLOW_UP = (
    Claim(
        "a study of the items a task asked for settles it",
        _abilities_settled_by_follow_up,
        0.77,
        0.83,
    ),
)
NO_FALSE_EQUALITY = (
    Claim('false "equivalent" (two tests at 5 %)', _outcome("equivalent"), 0.0, 0.06),
)
NO_FALSE_KEEPING = (
    Claim('false "no forgetting"', _abilities("kept"), 0.0, 0.05),
    Claim('false "forgot"', _abilities("forgot"), 0.0, 0.05),
)
POWER = (Claim("the smallest detectable difference is found", _outcome("better"), 0.77, 0.83),)

# Items of a follow-up study that are drawn at most.
MOST_ITEMS = 20_000
USUAL = Design(gain=0.05, change=-0.02)
# Without a general suite, where nothing is claimed of it.
TASK_ONLY = replace(USUAL, tasks=0)
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
    Scenario(
        "no true difference, the best of six fine-tuned arms, seeds that differ by 7 points",
        Design(tasks=0, trained=6, seed_spread=0.25),
        NO_FALSE_GAIN + COVERAGE[:1],
    ),
    Scenario(
        "no true difference, the best of five prompt arms, seeds that differ by 7 points",
        Design(tasks=0, prompts=5, seed_spread=0.25),
        NO_FALSE_LOSS,
    ),
    Scenario(
        "one seed, 40 customers, the largest with a quarter of the items",
        replace(TASK_ONLY, seeds=1, seed_spread=0.0, items=240, customers=40),
        COVERAGE[:2],
    ),
    Scenario(
        "three seeds, 40 customers, the largest with a quarter of the items",
        replace(TASK_ONLY, items=240, customers=40),
        COVERAGE[:2],
    ),
    Scenario(
        "three seeds, one customer with 40 % of the items",
        replace(TASK_ONLY, items=240, cluster_size=2, giant=0.4),
        AT_LEAST,
    ),
    Scenario(
        "no true difference, seven customers with ten items each",
        Design(tasks=0, items=70, cluster_size=10, cluster=0.8),
        NO_FALSE_GAIN + AT_LEAST[:1],
    ),
    Scenario(
        "no true difference, one seed, ten customers with three items each",
        Design(tasks=0, seeds=1, seed_spread=0.0, items=30, cluster_size=3, cluster=0.8),
        NO_FALSE_GAIN + AT_LEAST[:1],
    ),
    Scenario(
        "one seed, 97 % right",
        replace(TASK_ONLY, seeds=1, seed_spread=0.0, score=0.95, gain=0.02),
        COVERAGE[:2] + NO_PARTING,
    ),
    Scenario(
        "three seeds, 97 % right",
        replace(TASK_ONLY, score=0.95, gain=0.02),
        COVERAGE[:2] + NO_PARTING,
    ),
    Scenario(
        "three seeds, scores between 0 and 1, 97 % on average",
        replace(TASK_ONLY, score=0.95, gain=0.02, binary=False),
        COVERAGE[:2],
    ),
    Scenario(
        "one seed, 45 items, 85 against 92 %",
        replace(TASK_ONLY, seeds=1, seed_spread=0.0, items=45, score=0.85, gain=0.07),
        COVERAGE[:2] + NO_PARTING,
    ),
    Scenario(
        "three seeds, 45 items, 85 against 92 %",
        replace(TASK_ONLY, items=45, score=0.85, gain=0.07),
        COVERAGE[:2] + NO_PARTING,
    ),
    Scenario(
        "an open difference, one seed, 100 items",
        Design(tasks=0, seeds=1, seed_spread=0.0, items=100, gain=0.05),
        FOLLOW_UP,
    ),
    Scenario(
        "an open difference, three seeds that differ little, 100 items",
        Design(tasks=0, items=100, gain=0.05, seed_spread=0.03, noise=0.05),
        FOLLOW_UP,
    ),
    Scenario(
        "an open difference, five seeds that differ by 2 points, 100 items",
        Design(tasks=0, items=100, gain=0.05, seed_spread=0.05, seeds=5),
        FOLLOW_UP,
    ),
    Scenario(
        "no true difference, three seeds that differ little, margin of 5 points",
        Design(tasks=0, seed_spread=0.03, noise=0.1, margin=0.05),
        FOLLOW_UP,
    ),
    Scenario(
        "open abilities, one seed, 50 items a task",
        Design(seeds=1, seed_spread=0.0, change=-0.02, task_items=50),
        ABILITY_FOLLOW_UP,
    ),
    Scenario(
        "open abilities, three seeds that differ little, 50 items a task",
        Design(change=-0.02, seed_spread=0.03, noise=0.1, task_items=50),
        ABILITY_FOLLOW_UP,
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
        "one seed, right or wrong (McNemar)",
        Design(seeds=1, seed_spread=0.0),
        POWER,
        at_detectable=True,
    ),
    Scenario(
        "one seed, scores between 0 and 1 (bootstrap)",
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
    *ABILITY_SCENARIOS,
    *EFFORT_SCENARIOS,
    *TUNING_SCENARIOS,
    *JUDGE_SCENARIOS,
    *BOTH_SCENARIOS,
)
BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}

__all__ = ["BY_NAME", "SCENARIOS"]
