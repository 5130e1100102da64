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
    bins = _bins(confidence, accuracy)
    return ArmConfidence(
        arm=arm,
        items=len(confidence),
        calibration_error=sum(part.items * abs(part.confidence - part.accuracy) for part in bins)
        / len(confidence),
        gap=_root(_squared_gap(bins)),
        interval=_interval(confidence, accuracy, clusters, level, generator("sure", arm)),
        bins=bins,
        abstentions=tuple(_abstention(runs, share) for share in ABSTAINED),
    )


def _bins(confidence: Floats, accuracy: Floats) -> tuple[ConfidenceBin, ...]:
    order = np.argsort(confidence, kind="stable")
    count = min(BINS, len(order) // FEWEST_OF_BIN)
    return tuple(
        ConfidenceBin(len(rows), float(confidence[rows].mean()), float(accuracy[rows].mean()))
        for rows in np.array_split(order, max(1, count))
    )


def _squared_gap(bins: tuple[ConfidenceBin, ...]) -> float:
    """Mean squared gap of confidence and accuracy, less the variance of each bin's accuracy."""
    total = sum(part.items for part in bins)
    return (
        sum(
            part.items
            * (
                (part.confidence - part.accuracy) ** 2
                - part.accuracy * (1 - part.accuracy) / max(part.items - 1, 1)
            )
            for part in bins
        )
        / total
    )


def _root(square: float) -> float:
    return float(np.sqrt(max(square, 0.0)))


def _interval(
    confidence: Floats,
    accuracy: Floats,
    clusters: Codes,
    level: float,
    generator: np.random.Generator,
) -> Interval | None:
    count = int(clusters.max()) + 1
    if count < 2:
        return None
    order = np.argsort(clusters, kind="stable")
    members = np.split(order, np.searchsorted(clusters[order], np.arange(1, count)))
    redrawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[code] for code in generator.integers(0, count, count)])
        redrawn.append(_squared_gap(_bins(confidence[rows], accuracy[rows])))
    # Redrawing adds the variance of a bin once more, which is not taken off again.
    centre = float(np.mean(redrawn))
    found = _squared_gap(_bins(confidence, accuracy))
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
