"""The difference between two arms that a judge scored, corrected by marks of people.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023; the weight of
Angelopoulos, Duchi and Zrnic 2023): the judge scores every item, people mark a few of them. With
w the weight of the judge, D a difference of scores on one item, the estimate is

    w mean(D of the judge, items not marked) + mean(D of people - w D of the judge, marked items),

whose mean is the people's, whatever the judge favours. A judge that agrees with people earns a
weight near 1 and shortens the interval; one that does not earns 0, and the marks alone decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from harness.analysis.statistics.bootstrap import SeedEffect, sampling_of
from harness.analysis.statistics.item_sample import ItemSample
from harness.analysis.statistics.pairing import Codes, Floats
from harness.analysis.statistics.sampling import Sampling

# With fewer an interval of the correction is wider than what it corrects, and not exact.
FEWEST_MARKED = 20
POWER = 0.8
# Of a judge that sees less than this of a difference, what seeds do cannot be read off its marks.
LEAST_SEEN = 1 / 3


@dataclass(frozen=True, slots=True)
class Marked:
    """Items of which people marked the replies of both arms; higher is better."""

    human: Floats
    """Marks of people, the first arm's in row 0, the second's in row 1, shape (2, items)."""
    judged: Floats
    """Scores of the judge for the very same replies, shape (2, items)."""
    clusters: Codes
    """Which cluster, 0 to the greatest, each belongs to, shape (items,)."""


@dataclass(frozen=True, slots=True)
class Unmarked:
    """The other items, which the judge alone scored; higher is better."""

    judged: Floats
    """Mean score over seeds, the first arm's in row 0, the second's in row 1, shape (2, items)."""
    clusters: Codes
    """Which cluster, 0 to the greatest, each belongs to, shape (items,)."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A difference as people would have found it, as far as their marks tell."""

    sampling: Sampling
    """Sampling distribution of the first arm minus the second."""
    weight: float
    """How much of the judge is used, 0 to 1."""
    means: tuple[float, float]
    """Corrected mean of each arm; their difference is the estimate."""


def correct_difference(
    marked: Marked,
    unmarked: Unmarked,
    seeds: list[SeedEffect],
    resamples: int,
    generator: np.random.Generator,
) -> Corrected:
    """The corrected difference of two arms.

    Args:
        marked: at least :data:`FEWEST_MARKED` items, in two clusters or more.
        unmarked: the rest; with fewer than two clusters the marks alone decide.
        seeds: what seeds do to the judge's mean of each arm, as of a comparison without marks. They
            count in full, as marks are of one run's replies, and in people's unit: a judge that
            sees a part of what differs sees that part of what seeds do.
        resamples: draws of the bootstrap.
        generator: source of the draws.

    Raises:
        ValueError: fewer items are marked.
    """
    if marked.human.shape[1] < FEWEST_MARKED:
        raise ValueError(f"{marked.human.shape[1]} marked items, of {FEWEST_MARKED} at least")
    human, judged = (rows[0] - rows[1] for rows in (marked.human, marked.judged))
    rest = unmarked.judged[0] - unmarked.judged[1]
    usable = len(np.unique(unmarked.clusters)) > 1
    weight = judge_weight(human, judged, len(rest)) if usable else 0.0
    values = human - weight * judged
    if weight > 0:
        # A weight fitted to few marks fits them too well: the variance of a regression estimate.
        groups = len(np.unique(marked.clusters))
        values = values.mean() + (values - values.mean()) * np.sqrt(
            (groups - 1) / max(groups - 3, 1)
        )
    # Marks that never differ do not prove that replies never would, at least by one.
    shown = (marked.human, marked.judged, unmarked.judged)
    scale = max(rows.max(initial=-np.inf) for rows in shown) - min(
        rows.min(initial=np.inf) for rows in shown
    )
    samples = [
        ItemSample(
            values,
            marked.clusters,
            int(marked.clusters.max()) + 1,
            size=max(1.0, (1 + weight) * scale),
            paired=True,
        )
    ]
    if weight > 0:
        samples.append(
            ItemSample(
                rest,
                unmarked.clusters,
                int(unmarked.clusters.max()) + 1,
                weight,
                bounded=False,
                size=max(1.0, scale),
                paired=True,
            )
        )
    first, second = (
        float(
            (marked.human[arm] - weight * marked.judged[arm]).mean()
            + (weight * unmarked.judged[arm].mean() if weight > 0 else 0.0)
        )
        for arm in (0, 1)
    )
    return Corrected(
        sampling=sampling_of(
            samples, [_stretched(effect, marked) for effect in seeds], resamples, generator
        ),
        weight=weight,
        means=(first, second),
    )


def _stretched(effect: SeedEffect, marked: Marked) -> SeedEffect:
    """A seed effect on the judge's mean as one on people's: divided by what the judge makes of a
    difference of one in people's marks, within 1 and a third."""
    human, judged = (rows - rows.mean(axis=1, keepdims=True) for rows in
                     (marked.human, marked.judged))  # fmt: skip
    variance = float((human**2).mean())
    seen = float((human * judged).mean()) / variance if variance > 0 else 1.0
    factor = 1 / float(np.clip(seen, LEAST_SEEN, 1.0))
    return SeedEffect(effect.means * factor, effect.noise * factor**2)


def judge_weight(human: Floats, judged: Floats, others: int) -> float:
    """The weight that makes the variance of the corrected mean least, within 0 and 1.

    cov(human, judged) / ((1 + marked / others) var(judged)); of a judge that never differs, 0.

    Args:
        human: what people say of the marked items, shape (marked,).
        judged: what the judge says of them, shape (marked,).
        others: number of items that only the judge scored.
    """
    covariance = np.cov(human, judged)
    if others == 0 or covariance[1, 1] <= 0:
        return 0.0
    best = covariance[0, 1] / ((1 + len(human) / others) * covariance[1, 1])
    return float(np.clip(best, 0.0, 1.0))


def marks_to_find(spread: float, items: int, difference: float, level: float) -> int:
    """Items to be marked so that the correction leaves 80 % power to find a difference.

    Args:
        spread: standard deviation of a difference of people's marks minus what the judge says.
        items: number of test items, no more than which can be marked.
        difference: the difference to be found, in marks.
        level: confidence level.
    """
    wanted = (float(ndtri((1 + level) / 2) + ndtri(POWER)) * spread / difference) ** 2
    return int(min(items, max(FEWEST_MARKED, np.ceil(wanted))))


__all__ = [
    "FEWEST_MARKED",
    "Corrected",
    "Marked",
    "Unmarked",
    "correct_difference",
    "judge_weight",
    "marks_to_find",
]
