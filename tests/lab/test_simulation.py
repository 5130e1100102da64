"""A fast part of the simulated studies; ``make simulate`` runs all of them, many times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.records import ScoreVector
from lab.simulation.__main__ import END, PAGE, START
from lab.simulation.claims import Claim
from lab.simulation.designs import BY_NAME, SCENARIOS
from lab.simulation.drawing import draw_study
from lab.simulation.running import Tally, run
from lab.simulation.study_design import PROMPT_SCORE, Design

STUDIES = 8


@pytest.mark.parametrize(
    "name",
    [
        "three seeds",
        "one seed, 60 clusters of four",
        "no true difference, three fine-tuned and two prompt arms",
        "the true loss is the margin",
        "fine-tuning is 10 points worse, one setting tried (others would be better)",
        "prompts only: five arms, no true difference",
        "one ability falls from 25 to 1 %, seven others gain 7 points",
    ],
)
def test_what_is_claimed_holds_in_simulated_studies(name: str) -> None:
    for tally in run(BY_NAME[name], STUDIES):
        # A claim may be of the studies of one outcome only, which must be most of these.
        assert STUDIES / 2 < tally.studies <= STUDIES
        assert not tally.broken, f"{tally.claim.text}: {tally.share:.3f}"


def test_the_smallest_detectable_difference_is_found_four_times_in_five() -> None:
    (tally,) = run(BY_NAME["one seed, right or wrong (McNemar)"], STUDIES)
    assert not tally.broken, f"{tally.share:.3f}"


def test_a_claim_that_is_false_is_called_broken() -> None:
    claim = BY_NAME["three seeds"].claims[0]
    assert not Tally("as promised", claim, 285, 300).broken
    assert Tally("too few", claim, 250, 300).broken
    assert Tally("too many", Claim("false", claim.measure, 0.0, 0.05), 40, 300).broken


def test_a_mean_that_is_off_is_called_broken() -> None:
    (claim, *_) = BY_NAME[
        "the search filters eight settings by 16 general items a task, the loss is the margin"
    ].claims
    # 400 values of 0.01 more than promised, with a standard deviation of 0.02.
    happened, squares = 400 * 0.012, 400 * (0.012**2 + 0.02**2)
    off = Tally("off", claim, happened, 400, squares)
    assert off.standard_error == pytest.approx(0.001)
    assert off.broken
    assert not Tally("as promised", claim, 400 * 0.001, 400, 400 * (0.001**2 + 0.02**2)).broken


@pytest.mark.parametrize("binary", [True, False])
def test_the_truth_of_a_design_is_the_mean_over_many_studies(binary: bool) -> None:
    design = Design(items=2000, binary=binary, gain=0.1, change=-0.1, task_items=1000)
    studies = [draw_study(design, np.random.default_rng(number)) for number in range(20)]
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
