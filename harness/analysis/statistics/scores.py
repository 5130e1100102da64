"""Look scores up in a study: which vectors, which trials, by arm."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from harness.analysis.statistics.repeats import averaged, by_search
from harness.answers.answer import ReplyReader
from harness.answers.metrics import MetricInfo
from harness.records import (
    NO_WORTH,
    Aggregate,
    Phase,
    ScoreVector,
    Study,
    SuiteKind,
    TrialSummary,
    Worth,
    filled_mean,
)
from harness.spec import Experiment

BASE = "base"
DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Scores:
    """The vectors of a study, and its trials, by arm."""

    study: Study
    """The study as read from the store."""
    experiment: Experiment = field(init=False, compare=False, repr=False)
    """The experiment as declared."""
    changes: dict[tuple[str, ...], dict[tuple[str, Phase], float]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """Arm and tasks -> the general changes found before, as several parts of the analysis ask for
    the same."""
    _found: dict[tuple[str, ...], list[ScoreVector]] = field(init=False, compare=False, repr=False)
    """Arm, metric, suite, split and phase -> its vectors, of complete trials only."""
    _ended: dict[str, str] = field(init=False, compare=False, repr=False)
    """Trial id -> when it ended."""

    def __post_init__(self) -> None:
        experiment = Experiment.model_validate(self.study.experiment.spec)
        own = {info.name: info for one in experiment.task.measures for info in one.infos}
        vectors_of: defaultdict[tuple[str, ...], list[ScoreVector]] = defaultdict(list)
        unusable = {t.trial_id for t in self.study.trials if t.status != "complete"}
        for vector in self.study.vectors:
            if vector.trial_id not in unusable:
                vectors_of[
                    vector.arm, vector.metric, vector.suite, vector.split, vector.phase
                ].append(_declared(vector, own))
        object.__setattr__(self, "_found", dict(vectors_of))
        object.__setattr__(self, "_ended", {t.trial_id: t.ended_at for t in self.study.trials})
        object.__setattr__(self, "experiment", experiment)

    def vectors(
        self,
        arm: str,
        metric: str,
        *,
        suite: SuiteKind = "domain",
        task: str = "",
        split: str,
        phase: Phase | None = None,
        trial_ids: Collection[str] | None = None,
    ) -> list[ScoreVector]:
        """What an interval's seed part is taken over: one vector per seed, by seed.

        Of an arm whose search was repeated, one per search: the mean of its runs, item by item, so
        that intervals cover tuning again. Arguments as of :meth:`runs`.
        """
        runs = self.runs(
            arm, metric, suite=suite, task=task, split=split, phase=phase, trial_ids=trial_ids
        )
        of_seed = {run.seed: run for run in runs}
        groups = by_search(self.experiment, arm, of_seed)
        return [averaged([of_seed[seed] for seed in seeds]) for seeds in groups]

    def runs(
        self,
        arm: str,
        metric: str,
        *,
        suite: SuiteKind = "domain",
        task: str = "",
        split: str,
        phase: Phase | None = None,
        trial_ids: Collection[str] | None = None,
    ) -> list[ScoreVector]:
        """One vector per seed, by seed; of a seed that ran twice, the run that ended last.

        Args:
            phase: the phase of the trials; None for the finalists, or for the base its baseline.
            trial_ids: ids of the only trials that count, where a phase has several of one seed.
        """
        phase = phase or ("baseline" if arm == BASE else "finalist")
        ended = self._ended
        by_seed: dict[int, ScoreVector] = {}
        for vector in self._found.get((arm, metric, suite, split, phase), ()):
            if task and vector.task != task:
                continue
            if trial_ids is not None and vector.trial_id not in trial_ids:
                continue
            before = by_seed.get(vector.seed)
            if before is None or ended.get(before.trial_id, "") <= ended.get(vector.trial_id, ""):
                by_seed[vector.seed] = vector
        return [by_seed[seed] for seed in sorted(by_seed)]

    def reply_reader(self) -> ReplyReader:
        """What reads replies to the task as they were read when they were scored, each once."""
        known = self.study.experiment.data.answers.get("train", {}).get("label", {})
        return cache(self.experiment.task.answer.reader(tuple(sorted(known))))

    def trials(self, arm: str, phase: Phase) -> list[TrialSummary]:
        """The trials of an arm in one phase, by number and seed.

        Of searches, those that are declared: a study may be restated with fewer repeats.
        """
        chosen = [t for t in self.study.trials if t.arm == arm and t.phase == phase]
        if phase == "search" and chosen:
            searches = self.experiment.repeats_of(arm)
            chosen = [trial for trial in chosen if trial.search_repeat < searches]
        return sorted(chosen, key=lambda trial: (trial.number, trial.seed, trial.started_at))

    def upfront(self, arm: str) -> list[TrialSummary]:
        """What an arm ran before its finalists: its searches, and what was written for them."""
        phases: tuple[Phase, ...] = ("search", "writing", "bootstrap")
        return [trial for phase in phases for trial in self.trials(arm, phase)]

    def finalists(self, arm: str) -> list[TrialSummary]:
        """The complete finalists of an arm."""
        return self.complete(arm, "finalist")

    def complete(self, arm: str, phase: Phase) -> list[TrialSummary]:
        """The complete trials of an arm in one phase."""
        return [t for t in self.trials(arm, phase) if t.status == "complete"]


def _declared(vector: ScoreVector, own: Mapping[str, MetricInfo]) -> ScoreVector:
    """The vector with what is declared of a metric that the study brings."""
    info = own.get(vector.metric)
    if info is None or vector.suite not in ("domain", "out_of_domain"):
        return vector
    within = info.lowest >= 0 and info.highest <= 1
    return replace(vector, label=info.label, within_unit=within)


def on_rows(vector: ScoreVector, rows: Sequence[int]) -> ScoreVector:
    """The vector with some of its items only."""
    if len(rows) == len(vector.doc_hashes):
        return vector
    return replace(
        vector,
        doc_hashes=tuple(vector.doc_hashes[row] for row in rows),
        clusters=tuple(vector.clusters[row] for row in rows),
        item_ids=tuple(vector.item_ids[row] for row in rows) if vector.item_ids else (),
        values=vector.values[list(rows)],
    )


def aggregates(
    trials: Iterable[TrialSummary], suite: SuiteKind, split: str, metric: str = ""
) -> list[Aggregate]:
    """Aggregates of some trials on one split; of all metrics unless one is named."""
    return [
        aggregate
        for trial in trials
        for aggregate in trial.aggregates
        if aggregate.suite == suite
        and aggregate.split == split
        and (not metric or aggregate.metric == metric)
    ]


def validation_score(trial: TrialSummary, metric: str) -> float | None:
    """The trial's score on domain validation; None where it has none."""
    values = [a.value for a in aggregates([trial], "domain", "validation", metric)]
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def validation_worth(trial: TrialSummary, metric: MetricInfo) -> Worth:
    """What a trial is chosen by: its validation score.

    A reply that the metric could not score counts as the worst
    (:func:`harness.records.filled_mean`).
    """
    found = [
        a for a in aggregates([trial], "domain", "validation", metric.name) if np.isfinite(a.value)
    ]
    if not found:
        return NO_WORTH
    values = [
        filled_mean(
            a.value, a.items, a.unscored, metric.worst, a.value if a.worst is None else a.worst
        )
        for a in found
    ]
    whole = math.isfinite(metric.worst) or not any(a.unscored for a in found)
    return Worth(whole, float(np.mean(values)) * (1 if metric.higher_is_better else -1))


def repeated_accesses(study: Study) -> dict[tuple[str, str, str], int]:
    """(arm, seed, task) -> looks at the test split, where there was more than one.

    The planned test of an arm's default setting is a look of its own, not a second one; requests
    that are only timed show no score. A trial that was interrupted and started again looks once:
    its first start left nothing to see.
    """
    looks = {
        (
            str(event.detail.get("phase") == "default"),
            str(event.detail.get("arm", "")),
            str(event.detail.get("seed", "")),
            str(event.detail.get("task", "")),
            event.detail.get("trial_id", place),
        )
        for place, event in enumerate(study.events)
        if event.kind == "test_access" and event.detail.get("phase") != "latency"
    }
    counts = Counter(look[:4] for look in looks)
    return {key[1:]: count for key, count in counts.items() if count > 1}


def mean_of(vectors: Iterable[ScoreVector]) -> float | None:
    """Mean over seeds of the mean over scored items; None where nothing was scored."""
    means = [
        float(np.nanmean(vector.values)) for vector in vectors if np.isfinite(vector.values).any()
    ]
    return float(np.mean(means)) if means else None


__all__ = [
    "BASE",
    "DOMAIN",
    "Scores",
    "aggregates",
    "mean_of",
    "repeated_accesses",
    "validation_score",
    "validation_worth",
]
