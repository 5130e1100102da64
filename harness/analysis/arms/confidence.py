"""How sure arms are that choose among all allowed answers, against how often they are right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.analysis.statistics.pairing import Codes, Floats
from harness.analysis.statistics.scores import DOMAIN, Scores
from harness.answers.metrics import CONFIDENCE, EXACT_MATCH
from harness.findings import Abstention, ArmConfidence, ConfidenceBin, Interval

BINS = 10
# Fewer replies make no bin of which an accuracy could be told.
FEWEST_OF_BIN = 10
ABSTAINED = (0.1, 0.2, 0.3)
RESAMPLES = 1000


def arm_confidence(
    scores: Scores, arm: str, *, level: float, generator: Callable[..., np.random.Generator]
) -> ArmConfidence | None:
    """The confidence of one arm on the test; None where it is not known, or items are few.

    The expected calibration error (Naeini, Cooper and Hauskrecht 2015) is taken over bins of
    equally many replies. It comes out above 0 for an arm that is right exactly as often as it is
    sure, so the interval is that of the root mean square gap, whose square can be freed of chance
    (Kumar, Liang and Ma 2019): a basic bootstrap over clusters of items.

    Args:
        scores: the scores of the study.
        arm: name of the arm.
        level: confidence level of the interval.
        generator: names of a part -> its random numbers.
    """
    sure = scores.runs(arm, CONFIDENCE.name, task=DOMAIN, split="test")
    right = {run.seed: run for run in scores.runs(arm, EXACT_MATCH.name, task=DOMAIN, split="test")}
    runs = []
    for run in sure:
        if run.seed not in right:
            continue
        judged = dict(zip(right[run.seed].doc_hashes, right[run.seed].values, strict=True))
        accuracy = np.array([judged.get(key, np.nan) for key in run.doc_hashes])
        names = [name or key for name, key in zip(run.clusters, run.doc_hashes, strict=True)]
        known = np.isfinite(run.values) & np.isfinite(accuracy)
        kept = [name for name, keep in zip(names, known, strict=True) if keep]
        runs.append((np.asarray(run.values)[known], accuracy[known], kept))
    if not runs or min(len(confidence) for confidence, _, _ in runs) < 2 * FEWEST_OF_BIN:
        return None
    confidence = np.concatenate([run[0] for run in runs])
    accuracy = np.concatenate([run[1] for run in runs])
    _, clusters = np.unique([name for run in runs for name in run[2]], return_inverse=True)
    order = np.argsort(confidence, kind="stable")
    confidence, accuracy, clusters = confidence[order], accuracy[order], clusters[order]
    means = _bin_means(confidence, accuracy)
    bins = tuple(
        ConfidenceBin(int(items), float(mean), float(share))
        for items, mean, share in zip(*means, strict=True)
    )
    return ArmConfidence(
        arm=arm,
        items=len(confidence),
        calibration_error=sum(part.items * abs(part.confidence - part.accuracy) for part in bins)
        / len(confidence),
        gap=_root(_squared_gap(*means)),
        interval=_interval(confidence, accuracy, clusters, level, generator("sure", arm)),
        bins=bins,
        abstentions=tuple(_abstention(runs, share) for share in ABSTAINED),
    )


def _bin_means(confidence: Floats, accuracy: Floats) -> tuple[Floats, Floats, Floats]:
    """Of replies ordered by confidence: number, mean confidence and mean accuracy of each bin."""
    count = max(1, min(BINS, len(confidence) // FEWEST_OF_BIN))
    sizes = np.full(count, float(len(confidence) // count))
    sizes[: len(confidence) % count] += 1
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    sure, right = (np.add.reduceat(values, starts) / sizes for values in (confidence, accuracy))
    return sizes, sure, right


def _squared_gap(sizes: Floats, sure: Floats, right: Floats) -> float:
    """Mean squared gap of confidence and accuracy, less the variance of each bin's accuracy."""
    chance = right * (1 - right) / np.maximum(sizes - 1, 1)
    return float(sizes @ ((sure - right) ** 2 - chance) / sizes.sum())


def _root(square: float) -> float:
    return float(np.sqrt(max(square, 0.0)))


def _interval(
    confidence: Floats,
    accuracy: Floats,
    clusters: Codes,
    level: float,
    generator: np.random.Generator,
) -> Interval | None:
    """Of replies ordered by confidence."""
    count = int(clusters.max()) + 1
    if count < 2:
        return None
    redrawn = []
    for _ in range(RESAMPLES):
        times = np.bincount(generator.integers(0, count, count), minlength=count)[clusters]
        means = _bin_means(np.repeat(confidence, times), np.repeat(accuracy, times))
        redrawn.append(_squared_gap(*means))
    # Redrawing adds the variance of a bin once more, which is not taken off again.
    centre = float(np.mean(redrawn))
    found = _squared_gap(*_bin_means(confidence, accuracy))
    low, high = np.quantile(redrawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(_root(found + centre - high), _root(found + centre - low), level)


def _abstention(runs: list[tuple[Floats, Floats, list[str]]], share: float) -> Abstention:
    kept, dropped = [], []
    for confidence, accuracy, _ in runs:
        order = np.argsort(confidence, kind="stable")
        cut = round(share * len(order))
        dropped.append(accuracy[order[:cut]].mean())
        kept.append(accuracy[order[cut:]].mean())
    return Abstention(share, float(np.mean(kept)), float(np.mean(dropped)))


__all__ = ["arm_confidence"]
