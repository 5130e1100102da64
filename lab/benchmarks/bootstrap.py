"""The bootstrap of a difference against scipy's: same scores, same number of resamples, same run.

    python -m lab.benchmarks.bootstrap [--pairs 5] [--items 2000] [--seeds 5] [--resamples 10000]

scipy redraws items only, of the means over seeds; ours redraws seeds too. Prints the median seconds
of each, their ratio, and both intervals of a case without seed effects, where they must agree.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import bootstrap

from harness.analysis.statistics.difference import difference_sampling
from harness.analysis.statistics.pairing import Aligned, Floats
from harness.findings import Interval

BATCH = 500


def main() -> None:
    """Time both, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("pairs", 5), ("items", 2000), ("seeds", 5), ("resamples", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    a, b = drawn(options.items, options.seeds)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(options.pairs):
        theirs.append(_seconds(lambda: scipys(a, b, options.resamples)))
        ours.append(_seconds(lambda: harness(a, b, options.resamples)))
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"harness: {one:.3f} s, seeds and items; scipy: {other:.3f} s, items only")
    print(f"ratio: {one / other:.2f}")
    print(f"intervals: harness {harness(a, b, options.resamples)}")
    print(f"           scipy   {scipys(a, b, options.resamples)}")


def drawn(items: int, seeds: int) -> tuple[Floats, Floats]:
    """Right-or-wrong scores of two arms, shape (seeds, items) each."""
    generator = np.random.default_rng(0)
    difficulty = generator.random(items)
    scores = generator.random((2, seeds, items)) < difficulty
    return scores[0].astype(np.float64), scores[1].astype(np.float64)


def harness(a: Floats, b: Floats, resamples: int) -> Interval:
    """95 % interval by this project's bootstrap."""
    items = a.shape[1]
    aligned = Aligned(tuple(map(str, range(items))), (a, b), np.arange(items), items, 0, 0)
    return difference_sampling(aligned, resamples, np.random.default_rng(1)).interval(0.95)


def scipys(a: Floats, b: Floats, resamples: int) -> Interval:
    """95 % percentile interval by scipy."""
    found = bootstrap(
        (a.mean(axis=0) - b.mean(axis=0),),
        np.mean,
        n_resamples=resamples,
        batch=BATCH,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
