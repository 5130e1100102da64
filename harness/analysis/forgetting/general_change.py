"""What trials changed of the general abilities, each against the untouched base."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from harness.analysis.statistics.pairing import align
from harness.analysis.statistics.scores import BASE, Scores
from harness.records import GeneralTask, Phase, ScoreVector


def general_changes(
    scores: Scores, arm: str, tasks: Mapping[str, GeneralTask]
) -> dict[tuple[str, Phase], float]:
    """Trial id and phase -> mean over ``tasks`` of trial minus base on the items that both have.

    A trial that a study names in two phases is asked other items in each. It holds every complete
    trial of the arm that was scored on all of the tasks; positive is better.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    asked = (arm, *sorted(tasks))
    if asked not in scores.changes:
        scores.changes[asked] = _general_changes(scores, arm, tasks)
    return dict(scores.changes[asked])


def _general_changes(
    scores: Scores, arm: str, tasks: Mapping[str, GeneralTask]
) -> dict[tuple[str, Phase], float]:
    base = {
        task: scores.vectors(BASE, reading.metric, suite="general", task=task, split="test")[:1]
        for task, reading in tasks.items()
    }
    after: defaultdict[tuple[str, Phase], dict[str, ScoreVector]] = defaultdict(dict)
    complete = {trial.trial_id for trial in scores.study.trials if trial.status == "complete"}
    for vector in scores.study.vectors:
        reading = tasks.get(vector.task)
        if (
            reading is not None
            and vector.arm == arm
            and (vector.suite, vector.split) == ("general", "test")
            and vector.metric == reading.metric
            and vector.trial_id in complete
        ):
            after[vector.trial_id, vector.phase][vector.task] = vector
    changes = {}
    for trial, mine in after.items():
        if mine.keys() != tasks.keys() or not all(base.values()):
            continue
        pairs = [align([vector], base[task]) for task, vector in mine.items()]
        if all(pair.items for pair in pairs):
            changes[trial] = float(
                np.mean([pair.scores[0].mean() - pair.scores[1].mean() for pair in pairs])
            )
    return changes


__all__ = ["general_changes"]
