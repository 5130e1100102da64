"""What is claimed of general abilities, on the designs where such claims are hard to keep."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Findings, Interval
from lab.simulation.claims import Claim, Measure, Scenario
from lab.simulation.study_design import Design, Trouble

DESTROYED = "task-0"


def _verdict(wanted: str) -> Measure:
    return lambda findings, _: findings.verdict.outcome == wanted


def _first(wanted: str) -> Measure:
    return lambda findings, _: findings.forgetting[0].outcome == wanted


def _any_kept(findings: Findings, _: Design) -> bool:
    return any(one.outcome == "kept" for one in findings.forgetting)


def _kept_beside_collapse(findings: Findings, design: Design) -> bool | None:
    (found,) = findings.forgetting
    collapsed = min(found.seed_changes.values()) < -design.trouble.depth / 2
    return found.outcome == "kept" if collapsed else None


def _named(findings: Findings, _: Design) -> bool | None:
    if findings.primary is None or findings.primary.outcome != "better":
        return None  # nothing is said of abilities where the task itself is open
    return f"{DESTROYED}: " in findings.verdict.sentence


def _bias(findings: Findings, design: Design) -> float:
    return findings.forgetting[0].mean_change - design.mean_change


def _holds(findings: Findings, design: Design) -> bool:
    interval: Interval = findings.forgetting[0].interval
    return interval.low - 1e-9 <= design.mean_change <= interval.high + 1e-9


# All arms are clearly better on the task, so that abilities decide.
BETTER = Design(gain=0.2)
AT_MARGIN = replace(BETTER, change=-0.05)
NO_FALSE_GAIN = Claim('false "fine-tune"', _verdict("fine_tune"), 0.0, 0.05)
NO_FALSE_KEEPING = Claim('false "no forgetting"', _first("kept"), 0.0, 0.05)
NO_FALSE_LOSS = (
    Claim('false "forgot"', _first("forgot"), 0.0, 0.05),
    Claim('false "lost an ability"', _first("lost_ability"), 0.0, 0.05),
)
ONE_DESTROYED = (
    NO_FALSE_GAIN,
    Claim("better on the task: the sentence names the lost ability", _named, 0.999, 1.0),
)
COVERAGE = Claim("95 % interval of the mean general change holds the truth", _holds, 0.94, 0.96)

ABILITY_SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "six fine-tuned arms, all better, each loses the margin",
        replace(AT_MARGIN, trained=6),
        (NO_FALSE_GAIN, Claim('false "no forgetting" of any arm', _any_kept, 0.0, 0.05)),
    ),
    Scenario(
        "one seed in seven collapses by 40 points",
        replace(BETTER, trouble=Trouble(collapse=1 / 7)),
        (
            Claim(
                '"no forgetting" with a collapsed seed among those tested',
                _kept_beside_collapse,
                0.0,
                0.0,
            ),
        ),
    ),
    Scenario(
        "one ability falls from 70 to 0 %, seven others gain 7 points",
        replace(BETTER, tasks=8, trouble=Trouble((0.7,) * 8, (-0.7, *(0.07,) * 7), chance=None)),
        ONE_DESTROYED,
    ),
    Scenario(
        "one ability falls from 25 to 1 %, seven others gain 7 points",
        replace(
            BETTER,
            tasks=8,
            trouble=Trouble((0.25, *(0.7,) * 7), (-0.24, *(0.07,) * 7), chance=None),
        ),
        ONE_DESTROYED,
    ),
    Scenario(
        "the base has 29 % and falls to chance, 25 %, on five tasks of 400 items",
        replace(BETTER, task_items=400, change=-0.04, trouble=Trouble((0.29,) * 5)),
        (Claim('"no forgetting"', _first("kept"), 0.0, 0.05), NO_FALSE_GAIN),
    ),
    Scenario(
        "the base has 35 % where chance is 25 %, five tasks of 400 items, the loss is the margin",
        replace(AT_MARGIN, task_items=400, trouble=Trouble((0.35,) * 5)),
        (NO_FALSE_KEEPING, *NO_FALSE_LOSS),
    ),
    Scenario(
        "every task loses the margin, eight tasks",
        replace(AT_MARGIN, tasks=8),
        (NO_FALSE_KEEPING, *NO_FALSE_LOSS),
    ),
    Scenario(
        "the search filters eight settings by 16 general items a task, the loss is the margin",
        replace(AT_MARGIN, trouble=Trouble(tried=8)),
        (
            Claim("mean error of the mean general change", _bias, -0.002, 0.002, mean=True),
            COVERAGE,
            NO_FALSE_KEEPING,
        ),
    ),
    Scenario(
        "a loss of 1 point, one arm, five tasks of 300 items, seeds differ there by 2 points",
        replace(BETTER, change=-0.01, task_items=300),
        (Claim('"no forgetting" (true)', _first("kept"), 0.45, 1.0),),
    ),
    Scenario(
        "a loss of 1 point, one arm, five tasks of 300 items, seeds differ there by 1 point",
        replace(BETTER, change=-0.01, task_items=300, seed_spread=0.07),
        (Claim('"no forgetting" (true)', _first("kept"), 0.8, 1.0),),
    ),
)

__all__ = ["ABILITY_SCENARIOS"]
