"""Learning against forgetting: every candidate as a point, and the fronts of the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.forgetting.general_change import general_changes
from harness.analysis.statistics.pairing import align
from harness.analysis.statistics.scores import BASE, DOMAIN, Scores, validation_score
from harness.findings import TradeOffPoint
from harness.records import GeneralTask, ScoreVector, TrialSummary


def trade_off_points(
    scores: Scores,
    arm: str,
    metric: str,
    counted: Mapping[str, GeneralTask],
    *,
    changes_model: bool,
) -> list[TradeOffPoint]:
    """One point per finalist and search trial; both coordinates: positive is better.

    The gain is over the untouched base on validation, the only split that search trials have
    seen. Where the base was not scored there, the finalists are shown with their gain on test.
    A candidate without a score on every counted task has no point.

    Args:
        counted: general tasks that count in the mean change of this arm.
        changes_model: False for a prompt, which leaves the model as it is: its general change is
            0 by construction.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    base = scores.vectors(BASE, metric, task=DOMAIN, split="validation")[:1]
    if base and np.isfinite(base[0].values).any():
        gains = [
            *_searched(scores, arm, metric, base[0]),
            *_finalists(scores, arm, metric, "validation"),
        ]
    else:
        gains = list(_finalists(scores, arm, metric, "test"))
    changes = general_changes(scores, arm, counted) if changes_model and gains and counted else {}
    points = []
    for trial, gain in gains:
        change = changes.get((trial.trial_id, trial.phase)) if changes_model else 0.0
        if change is not None:
            points.append(
                TradeOffPoint(
                    arm=arm,
                    trial_id=trial.trial_id,
                    seed=trial.seed,
                    domain_gain=gain,
                    general_change=change,
                    on_front=False,
                    phase="search" if trial.phase == "search" else "finalist",
                    params=dict(trial.params),
                )
            )
    return points


def with_fronts(points: Sequence[TradeOffPoint]) -> tuple[TradeOffPoint, ...]:
    """Mark the points that no other beats in one coordinate without losing in the other.

    ``on_front`` is asked of all points, ``on_arm_front`` of those of the point's own arm.
    """
    places = np.array([(point.domain_gain, point.general_change) for point in points])
    arms = np.array([point.arm for point in points])
    marked = []
    for point, place, arm in zip(points, places, arms, strict=True):
        beats = (places >= place).all(axis=1) & (places != place).any(axis=1)
        on_arm_front = not (beats & (arms == arm)).any()
        marked.append(replace(point, on_front=not beats.any(), on_arm_front=on_arm_front))
    return tuple(marked)


def _finalists(
    scores: Scores, arm: str, metric: str, split: str
) -> Iterator[tuple[TrialSummary, float]]:
    """Finalists and their gains over the base, paired item by item."""
    base = scores.vectors(BASE, metric, task=DOMAIN, split=split)[:1]
    trials = {trial.trial_id: trial for trial in scores.finalists(arm)} if base else {}
    for vector in scores.runs(arm, metric, task=DOMAIN, split=split):
        aligned = align([vector], base)
        if aligned.items and vector.trial_id in trials:
            gain = float(aligned.scores[0].mean() - aligned.scores[1].mean())
            yield trials[vector.trial_id], gain


def _searched(
    scores: Scores, arm: str, metric: str, base: ScoreVector
) -> Iterator[tuple[TrialSummary, float]]:
    """Search trials and their gains; no domain scores by item are kept, so means are compared."""
    sign = 1.0 if base.higher_is_better else -1.0
    before = sign * float(np.nanmean(base.values))
    for trial in scores.complete(arm, "search"):
        score = validation_score(trial, metric)
        if score is not None:
            yield trial, sign * score - before


__all__ = ["trade_off_points", "with_fronts"]
