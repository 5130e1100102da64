"""Which general items judge what was forgotten: those that no search looked at.

A search that looks at forgetting selects the setting that did well on its items, so on these the
selected setting looks better than it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.analysis.forgetting.abilities import GeneralScores
from harness.analysis.statistics.pairing import align
from harness.analysis.statistics.repeats import by_search, without_seed
from harness.analysis.statistics.scores import BASE, Scores, on_rows
from harness.records import ScoreVector, Study
from harness.spec import Experiment


def searched_items(study: Study, experiment: Experiment) -> dict[str, frozenset[str]]:
    """General task in accuracy -> hashes of the items on which fine-tuned arms were searched.

    Empty where the search does not look at forgetting.
    """
    watching = {arm for arm in experiment.arms if experiment.search_margin(arm) is not None}
    hashes_of: defaultdict[str, set[str]] = defaultdict(set)
    for vector in study.vectors:
        reading = study.experiment.general_tasks.get(vector.task)
        if (
            (vector.suite, vector.phase) == ("general", "search")
            and vector.arm in watching
            and reading is not None
            and reading.accuracy
        ):
            hashes_of[vector.task].update(vector.doc_hashes)
    return {task: frozenset(hashes) for task, hashes in hashes_of.items()}


def general_scores(
    scores: Scores,
    experiment: Experiment,
    arm: str,
    without: int | None,
    searched: Mapping[str, frozenset[str]],
) -> Iterator[GeneralScores]:
    """The general tasks of an arm beside the base, on the items that judge.

    Args:
        without: seed to leave out, with all runs of its search.
        searched: items that the search looked at; see :func:`searched_items`.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    for name, reading in scores.study.experiment.general_tasks.items():
        mine, base = (
            scores.vectors(who, reading.metric, suite="general", task=name, split="test")
            for who in (arm, BASE)
        )
        if mine and base:
            tested = tuple(without_seed(mine, without))
            runs: list[ScoreVector] = []
            if experiment.repeats_of(arm) > 1:
                runs = scores.runs(arm, reading.metric, suite="general", task=name, split="test")
            groups = by_search(experiment, arm, [run.seed for run in runs])
            first = {vector.seed for vector in tested}
            seeds = {seed for group in groups if group[0] in first for seed in group}
            chosen = tuple(run for run in runs if run.seed in seeds)
            task = GeneralScores(name, reading, tested, tuple(base[:1]), runs=chosen)
            yield on_unseen(task, searched.get(name, frozenset()))


def on_unseen(task: GeneralScores, searched: frozenset[str]) -> GeneralScores:
    """The task without the searched items; with them where fewer than two clusters are left.

    Raises:
        StoreError: the vectors cannot be paired.
    """
    whole = align(task.arm, task.base)
    seen = len(searched.intersection(whole.doc_hashes))
    if not seen:
        return task
    arm, base = (
        tuple(_without(vector, searched) for vector in vectors) for vectors in (task.arm, task.base)
    )
    if align(arm, base).cluster_count < 2:
        return replace(task, searched=seen)
    return replace(task, arm=arm, base=base, left_out=seen)


def _without(vector: ScoreVector, hashes: frozenset[str]) -> ScoreVector:
    return on_rows(
        vector, [row for row, item in enumerate(vector.doc_hashes) if item not in hashes]
    )


__all__ = ["general_scores", "on_unseen", "searched_items"]
