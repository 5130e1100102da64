"""What is claimed where fine-tuning was tried hard or hardly, and where prompts are ranked."""

from __future__ import annotations

from harness.findings import Findings
from lab.simulation.claims import Claim, Measure, Scenario
from lab.simulation.effort import Tried
from lab.simulation.study_design import Design


def _verdict(wanted: str) -> Measure:
    return lambda findings, _: findings.verdict.outcome == wanted


def _prompt_where_worse(findings: Findings, _: Design) -> bool | None:
    if findings.primary is None or findings.primary.outcome != "worse":
        return None
    return findings.verdict.outcome == "prompt"


def _beats_all(findings: Findings, _: Design) -> bool:
    contrasts = [one for one in (findings.primary, *findings.secondary) if one is not None]
    equal = any(one.outcome == "equivalent" for one in contrasts)
    return findings.verdict.outcome == "best_prompt" and not equal


def _any_difference(findings: Findings, _: Design) -> bool:
    contrasts = [one for one in (findings.primary, *findings.secondary) if one is not None]
    return any(one.outcome in ("better", "worse") for one in contrasts)


# However good a training that was given its chance would be: these are the scores without it.
NO_PROMPT = Claim('"prompt"', _verdict("prompt"), 0.0, 0.0)
HARD = Tried(settings=2, steps=300)

EFFORT_SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "fine-tuning is 10 points worse, one setting tried (others would be better)",
        Design(gain=-0.1, tried=Tried(settings=1, steps=300)),
        (NO_PROMPT,),
    ),
    Scenario(
        "fine-tuning is 10 points worse after 28 steps (more would be better)",
        Design(gain=-0.1, tried=Tried(settings=2, steps=28)),
        (NO_PROMPT,),
    ),
    Scenario(
        "fine-tuning loses 15 points of general ability, one setting tried",
        Design(change=-0.15, tried=Tried(settings=1, steps=300)),
        (NO_PROMPT,),
    ),
    Scenario(
        "fine-tuning is 10 points worse and was tried hard",
        Design(gain=-0.1, tried=HARD),
        (
            Claim('"prompt" where fine-tuning is shown worse', _prompt_where_worse, 0.999, 1.0),
            Claim('"hardly tried"', _verdict("hardly_tried"), 0.0, 0.0),
        ),
    ),
    Scenario(
        "prompts only: five arms, no true difference",
        Design(prompts=5, trained=0),
        (
            Claim('false "better than every other prompt"', _beats_all, 0.0, 0.05),
            Claim("a difference from the leader is claimed", _any_difference, 0.0, 0.05),
        ),
    ),
    Scenario(
        "prompts only: five arms, no true difference, one seed, 100 items",
        Design(prompts=5, trained=0, seeds=1, seed_spread=0.0, items=100),
        (
            Claim('false "better than every other prompt"', _beats_all, 0.0, 0.05),
            Claim("a difference from the leader is claimed", _any_difference, 0.0, 0.05),
        ),
    ),
)

__all__ = ["EFFORT_SCENARIOS"]
