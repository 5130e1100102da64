"""Simulated studies: how often the interval holds the truth, how often a verdict is false."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from harness.analysis.statistics.difference import difference_sampling
from harness.analysis.statistics.pairing import Aligned
from harness.analysis.whole_study import analyse

from .study_builder import whole_study
from .unpowered import unpowered

__all__ = ["unpowered"]

STUDIES = 300
# With true coverage 95 % fewer than this many of 300 intervals hold the truth in 1 run of 1,000.
FEWEST = int(binom.ppf(0.001, STUDIES, 0.95))


def simulated(
    generator: np.random.Generator, clusters: int, size: int, seeds: int, seed_spread: float
) -> Aligned:
    """Two arms with the same true share of right answers, of items in clusters."""
    codes = np.repeat(np.arange(clusters), size)
    item = generator.normal(0, 1, codes.size)

    def arm() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        shared = generator.normal(0, 0.5 if size > 1 else 0, clusters)[codes]
        own = generator.normal(0, 0.7, codes.size)
        training = generator.normal(0, seed_spread, (seeds, 1))
        noise = generator.normal(0, 0.3, (seeds, codes.size))
        return np.asarray(item + shared + own + training + noise > 0, dtype=np.float64)

    names = tuple(map(str, range(codes.size)))
    return Aligned(names, (arm(), arm()), codes, clusters, 0, 0)


@pytest.mark.parametrize(
    ("clusters", "size", "seeds", "seed_spread"),
    [(150, 1, 1, 0.0), (40, 4, 1, 0.0), (100, 1, 3, 0.0), (100, 1, 3, 0.4), (30, 4, 5, 0.2)],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(
    clusters: int, size: int, seeds: int, seed_spread: float
) -> None:
    generator = np.random.default_rng(20)
    held = 0
    for _ in range(STUDIES):
        study = simulated(generator, clusters, size, seeds, seed_spread)
        interval = difference_sampling(study, 600, generator).interval(0.95)
        held += interval.low <= 0 <= interval.high
    assert held >= FEWEST


def test_ignoring_clusters_would_be_caught_by_this_simulation() -> None:
    generator = np.random.default_rng(21)
    held = 0
    for _ in range(STUDIES):
        study = simulated(generator, 15, 10, 1, 0.0)
        naive = Aligned(study.doc_hashes, study.scores, np.arange(study.items), study.items, 0, 0)
        interval = difference_sampling(naive, 300, generator).interval(0.95)
        held += interval.low <= 0 <= interval.high
    assert held < FEWEST


@pytest.mark.usefixtures("unpowered")
def test_without_a_true_difference_a_fine_tuning_verdict_is_rare() -> None:
    generator = np.random.default_rng(22)
    studies, false = 60, 0
    for _ in range(studies):
        built = whole_study(seeds=())
        difficulty = generator.random(80)
        keeps = (generator.random(200) < 0.8).astype(float)
        built.finalist("base", 0, {"general:facts": keeps})
        for seed in (1, 2, 3):
            for arm in ("few-shot", "lora"):
                draws = (generator.random(80) < difficulty).astype(float)
                built.finalist(arm, seed, {"test": draws, "general:facts": keeps})
        false += (
            analyse(built.build(), resamples=300, sensitivity=False).verdict.outcome == "fine_tune"
        )
    # A one-sided error of 2.5 %: more than this in 60 studies has probability 0.001.
    assert false <= int(binom.ppf(0.999, studies, 0.025))
