"""A fast part of the simulated studies; ``make simulate`` runs all of them, many times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.records import ScoreVector
from simulation.__main__ import END, PAGE, START
from simulation.designs import BY_NAME, SCENARIOS, Claim
from simulation.drawing import PROMPT_SCORE, Design, draw_study
from simulation.running import Tally, run

STUDIES = 120


@pytest.mark.parametrize(
    "name",
    [
        "three seeds",
        "one seed, 60 clusters of four",
        "no true difference, three fine-tuned and two prompt arms",
        "the true loss is the margin",
    ],
)
def test_what_is_claimed_holds_in_simulated_studies(name: str) -> None:
    for tally in run(BY_NAME[name], STUDIES):
        assert tally.studies == STUDIES
        assert not tally.broken, f"{tally.claim.text}: {tally.share:.3f}"


def test_the_smallest_detectable_difference_is_found_four_times_in_five() -> None:
    (tally,) = run(BY_NAME["one seed, right or wrong (exact McNemar)"], STUDIES)
    assert not tally.broken, f"{tally.share:.3f}"


def test_a_claim_that_is_false_is_called_broken() -> None:
    claim = BY_NAME["three seeds"].claims[0]
    assert not Tally("as promised", claim, 285, 300).broken
    assert Tally("too few", claim, 250, 300).broken
    assert Tally("too many", Claim("false", claim.measure, 0.0, 0.05), 40, 300).broken


@pytest.mark.parametrize("binary", [True, False])
def test_the_truth_of_a_design_is_the_mean_over_many_studies(binary: bool) -> None:
    design = Design(items=2000, binary=binary, gain=0.1, change=-0.1, task_items=1000)
    studies = [draw_study(design, np.random.default_rng(number)) for number in range(40)]
    vectors = [vector for study in studies for vector in study.vectors]

    def mean(arm: str, where: str) -> float:
        return float(np.mean([np.mean(v.values) for v in vectors if _is(v, arm, where)]))

    assert mean("tuned-0", "domain") == pytest.approx(PROMPT_SCORE + 0.1, abs=0.02)
    assert mean("prompt-0", "domain") == pytest.approx(PROMPT_SCORE, abs=0.02)
    after, before = mean("tuned-0", "general"), mean("base", "general")
    assert after - before == pytest.approx(-0.1, abs=0.02)


def _is(vector: ScoreVector, arm: str, suite: str) -> bool:
    return vector.arm == arm and vector.suite == suite and vector.split == "test"


def test_the_page_shows_every_scenario_and_claim() -> None:
    text = Path(PAGE).read_text(encoding="utf-8")
    table = text.split(START)[1].split(END)[0]
    for scenario in SCENARIOS:
        for claim in scenario.claims:
            assert f"| {scenario.name} | {claim.text} |" in table
