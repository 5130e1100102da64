"""A search that was repeated: its final runs taken together, and how much tuning moved the score.

Runs of one search share the setting that it selected. What tuning again would change differs
between searches, not between the runs of one; so where an arm was searched several times, its
searches are what the seed part of an interval is taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.statistics.pairing import align
from harness.findings import Retuning
from harness.records import ScoreVector
from harness.spec import Experiment


def by_search(experiment: Experiment, arm: str, seeds: Iterable[int]) -> list[tuple[int, ...]]:
    """The seeds of an arm's final runs, those of one search together; each alone if it had one."""
    ordered = sorted(seeds)
    if arm not in experiment.arms or experiment.repeats_of(arm) == 1:
        return [(seed,) for seed in ordered]
    groups: dict[int, tuple[int, ...]] = {}
    for seed in ordered:
        repeat = experiment.repeat_of(arm, seed)
        groups[repeat] = (*groups.get(repeat, ()), seed)
    return sorted(groups.values())


def searches_tested(experiment: Experiment, arm: str, seeds: Iterable[int]) -> int:
    """How many searches of an arm have a final run among these seeds."""
    return len({experiment.repeat_of(arm, seed) for seed in seeds})


def without_seed(vectors: list[ScoreVector], seed: int | None) -> list[ScoreVector]:
    """The vectors of other seeds; all of an arm with one seed, as nothing would be left of it."""
    return [v for v in vectors if v.seed != seed] if len(vectors) > 1 else vectors


def averaged(vectors: Sequence[ScoreVector]) -> ScoreVector:
    """The mean over some runs, item by item, under the first run's name.

    Items that not all of them have are left out; those that not all could score are unscored.
    """
    first = vectors[0]
    if len(vectors) == 1:
        return first
    rows = [dict(zip(vector.doc_hashes, vector.values.tolist(), strict=True)) for vector in vectors]
    places = [n for n, key in enumerate(first.doc_hashes) if all(key in row for row in rows)]
    keys = [first.doc_hashes[n] for n in places]
    return replace(
        first,
        doc_hashes=tuple(keys),
        clusters=tuple(first.clusters[n] for n in places),
        item_ids=tuple(first.item_ids[n] for n in places) if first.item_ids else (),
        values=np.array([[row[key] for key in keys] for row in rows]).mean(axis=0),
    )


def assess_retuning(arm: str, searches: Sequence[Sequence[ScoreVector]]) -> Retuning | None:
    """How much the test score differs between an arm's searches; None with fewer than two.

    The variance of the searches' means has a part that comes from the seeds of the final runs:
    the pooled variance within searches, divided by the runs of one. What is left, not below 0, is
    tuning's; it cannot be told apart where a search has one final run.

    Args:
        arm: name of the arm.
        searches: the primary metric on test of each search, one vector per final run.

    Raises:
        StoreError: the vectors cannot be put on common items.
    """
    finished = [list(runs) for runs in searches if runs]
    if len(finished) < 2:
        return None
    means = [scores.mean(axis=1) for scores in align(*finished).scores]
    centres = np.array([values.mean() for values in means])
    spread = float(centres.std(ddof=1))
    freedom = sum(len(values) - 1 for values in means)
    beyond = None
    if freedom:
        within = sum(float(((values - values.mean()) ** 2).sum()) for values in means) / freedom
        runs = len(means) / sum(1 / len(values) for values in means)
        beyond = float(np.sqrt(max(0.0, spread**2 - within / runs)))
    return Retuning(
        arm=arm,
        searches=len(means),
        runs=sum(map(len, means)),
        spread=spread,
        beyond_seeds=beyond,
    )


__all__ = [
    "assess_retuning",
    "averaged",
    "by_search",
    "searches_tested",
    "without_seed",
]
