"""Run many studies of a scenario and count."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from harness.analysis.statistics.single_arm import wilson
from harness.analysis.whole_study import analyse
from harness.findings import Interval
from lab.simulation.claims import RESAMPLES, Claim, Scenario
from lab.simulation.designs import BY_NAME
from lab.simulation.drawing import draw_study
from lab.simulation.study_design import Design

PILOT = 400
PILOT_ROUNDS = 3
CHUNK = 50


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a claim's event happened in the studies that could tell."""

    scenario: str
    """Name of the scenario."""
    claim: Claim
    """The claim."""
    happened: float
    """Number of studies in which the event happened; of a claim on a mean, the sum of its values.
    """
    studies: int
    """Number of studies that could tell."""
    squares: float = 0.0
    """Sum of the squared values of a claim on a mean; 0 for others."""

    @property
    def share(self) -> float:
        """Share of studies; of a claim on a mean, that mean."""
        return self.happened / max(self.studies, 1)

    @property
    def interval(self) -> Interval:
        """99.9 % interval of the share (Wilson) or of the mean (normal)."""
        if not self.claim.mean:
            return wilson(round(self.happened), self.studies, 0.999)
        half = norm.ppf(0.9995) * self.standard_error
        return Interval(self.share - half, self.share + half, 0.999)

    @property
    def standard_error(self) -> float:
        """Of the share or the mean."""
        squares = self.squares if self.claim.mean else self.happened
        return math.sqrt(
            max(0.0, squares / max(self.studies, 1) - self.share**2) / max(self.studies, 1)
        )

    @property
    def broken(self) -> bool:
        """The claim's range cannot be reconciled with what was counted; nothing could tell."""
        return (
            not self.studies
            or self.interval.high < self.claim.low
            or self.interval.low > self.claim.high
        )


def run(scenario: Scenario, studies: int, pool: ProcessPoolExecutor | None = None) -> list[Tally]:
    """Tallies of one scenario, one a claim. The same studies whatever the pool."""
    design = scenario.design
    if scenario.at_detectable:
        design = detectable(design, min(studies, PILOT), pool)
    parts = [range(start, min(start + CHUNK, studies)) for start in range(0, studies, CHUNK)]
    work = [(scenario.name, design, part) for part in parts]
    counted = pool.map(_count, work) if pool else map(_count, work)
    total = np.sum(list(counted), axis=0)
    return [
        Tally(scenario.name, claim, float(happened), int(told), float(squares))
        for claim, (happened, told, squares) in zip(scenario.claims, total, strict=True)
    ]


def run_all(scenarios: Sequence[Scenario], studies: int) -> Iterator[Tally]:
    """Every scenario, on every core."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for scenario in scenarios:
            yield from run(scenario, studies, pool)


def detectable(
    design: Design, pilot: int = PILOT, pool: ProcessPoolExecutor | None = None
) -> Design:
    """The design whose true gain is what its studies name as smallest detectable difference."""
    for round_ in range(PILOT_ROUNDS):
        starts = range(0, pilot, CHUNK)
        work = [
            (design, [(7, round_, n) for n in range(start, min(start + CHUNK, pilot))])
            for start in starts
        ]
        named = pool.map(_named, work) if pool else map(_named, work)
        design = replace(design, gain=float(np.mean([gain for part in named for gain in part])))
    return design


def _named(work: tuple[Design, list[tuple[int, int, int]]]) -> list[float]:
    design, seeds = work
    studies = (draw_study(design, np.random.default_rng(seed)) for seed in seeds)
    found = (analyse(study, resamples=RESAMPLES, sensitivity=False).primary for study in studies)
    return [primary.minimum_detectable for primary in found if primary is not None]


def _count(work: tuple[str, Design, range]) -> list[tuple[float, int, float]]:
    name, design, numbers = work
    claims = BY_NAME[name].claims
    happened, told, squares = [0.0] * len(claims), [0] * len(claims), [0.0] * len(claims)
    for number in numbers:
        study = draw_study(design, np.random.default_rng([1, number]))
        findings = analyse(study, resamples=RESAMPLES, seed=number, sensitivity=False)
        for place, claim in enumerate(claims):
            answer = claim.measure(findings, design)
            told[place] += answer is not None
            happened[place] += answer or 0.0
            squares[place] += (answer or 0.0) ** 2
    return list(zip(happened, told, squares, strict=True))


__all__ = ["Tally", "detectable", "run", "run_all"]
