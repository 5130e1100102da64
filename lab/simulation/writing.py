"""Instructions that an optimiser writes: of another worth in every run, and kept by the own rule.

Each run writes one for its search. Where it does better than the task's own on validation rows by
more than chance, the search goes on with it; elsewhere the arm stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from harness.records import KEPT_LEVEL, Worth
from harness.search.confirming import confirmation

Floats = NDArray[np.float64]
# Runs from which the true mean over runs is taken.
RUNS = 40_000


@dataclass(frozen=True, slots=True)
class Written:
    """What is written, run by run; in the unit in which an item's difficulty has 1."""

    worth: float
    """Mean of what it adds to an answer."""
    spread: float
    """Standard deviation of that between runs."""
    rows: int = 60
    """Validation rows on which it is held against the task's own."""
    apart: float = 0.6
    """Standard deviation of what a wording makes of an item, and of its single answer."""


def kept_worths(written: Written, bar: float, runs: int, generator: np.random.Generator) -> Floats:
    """What the instruction of each run adds, 0 where it is not kept; shape (runs,).

    Args:
        bar: above it an answer is right.
    """
    worths, own, theirs = _tried(written, bar, runs, generator)
    kept = [
        confirmation(
            "written",
            dict(enumerate(theirs[run].tolist())),
            dict(enumerate(own[run].tolist())),
            (Worth(True, float(theirs[run].mean())), Worth(True, float(own[run].mean()))),
            generator,
        ).kept
        for run in range(runs)
    ]
    return np.where(kept, worths, 0.0)


@cache
def mean_score(written: Written, score: float, spread: float) -> float:
    """True score of the arm, as the mean over runs.

    Args:
        score: that under the task's own instruction.
        spread: standard deviation of an answer's latent value.
    """
    bar = spread * float(norm.ppf(1 - score))
    worths, own, theirs = _tried(written, bar, RUNS, np.random.default_rng(1))
    gained = ((theirs > own).sum(axis=1)).astype(int)
    lost = ((theirs < own).sum(axis=1)).astype(int)
    # Of right and wrong answers the rule is this one.
    chance = binom.sf(gained - 1, gained + lost, 0.5)
    kept = np.where((gained > lost) & (chance <= KEPT_LEVEL), worths, 0.0)
    return float(norm.cdf((kept - bar) / spread).mean())


def _tried(
    written: Written, bar: float, runs: int, generator: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Worths, and what is right under the task's own and under what was written, (runs, rows)."""
    shape = (runs, written.rows)
    worths = generator.normal(written.worth, written.spread, runs)
    difficulty = generator.normal(0, 1, shape)
    own, theirs = (difficulty + generator.normal(0, written.apart, shape) for _ in range(2))
    return (
        worths,
        (own > bar).astype(np.float64),
        (theirs + worths[:, None] > bar).astype(np.float64),
    )


__all__ = ["Written", "kept_worths", "mean_score"]
