"""Look scores up in a study: which vectors, which trials, by arm."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np

from harness.records import Aggregate, Phase, ScoreVector, Study, SuiteKind, TrialSummary

BASE = "base"
DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Scores:
    """The vectors of a study, and its trials, by arm.

    changes: what general_changes() found before, by arm and tasks; several parts of the analysis
    ask for the same.
    """

    study: Study
    changes: dict[tuple[str, ...], dict[str, float]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _found: dict[tuple[str, ...], list[ScoreVector]] = field(init=False, compare=False, repr=False)
    _ended: dict[str, str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        found: defaultdict[tuple[str, ...], list[ScoreVector]] = defaultdict(list)
        unusable = {t.trial_id for t in self.study.trials if t.status != "complete"}
        for one in self.study.vectors:
            if one.trial_id not in unusable:
                found[one.arm, one.metric, one.suite, one.split, one.phase].append(one)
        object.__setattr__(self, "_found", dict(found))
        object.__setattr__(self, "_ended", {t.trial_id: t.ended_at for t in self.study.trials})

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
        """One vector per seed, by seed; of a seed that ran twice, the run that ended last.

        phase: the finalists', or the baseline's for the base, unless another is asked for.
        trial_ids: only of these trials, where a phase has several of one seed.
        """
        phase = phase or ("baseline" if arm == BASE else "finalist")
        ended = self._ended
        found: dict[int, ScoreVector] = {}
        for vector in self._found.get((arm, metric, suite, split, phase), ()):
            if task and vector.task != task:
                continue
            if trial_ids is not None and vector.trial_id not in trial_ids:
                continue
            before = found.get(vector.seed)
            if before is None or ended.get(before.trial_id, "") <= ended.get(vector.trial_id, ""):
                found[vector.seed] = vector
        return [found[seed] for seed in sorted(found)]

    def trials(self, arm: str, phase: Phase) -> list[TrialSummary]:
        """The trials of an arm in one phase, by number and seed."""
        chosen = [t for t in self.study.trials if t.arm == arm and t.phase == phase]
        return sorted(chosen, key=lambda trial: (trial.number, trial.seed, trial.started_at))

    def finalists(self, arm: str) -> list[TrialSummary]:
        """The complete finalists of an arm."""
        return self.complete(arm, "finalist")

    def complete(self, arm: str, phase: Phase) -> list[TrialSummary]:
        """The complete trials of an arm in one phase."""
        return [t for t in self.trials(arm, phase) if t.status == "complete"]


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


def validation_worth(trial: TrialSummary, metric: str) -> float:
    """Validation score with its sign turned so that higher is better; -inf where there is none."""
    value = validation_score(trial, metric)
    if value is None:
        return float("-inf")
    found = aggregates([trial], "domain", "validation", metric)
    return value if found[0].higher_is_better else -value


def repeated_accesses(study: Study) -> dict[tuple[str, str, str], int]:
    """(arm, seed, task) -> looks at the test split, where there was more than one.

    The planned test of an arm's default setting is a look of its own, not a second one. A trial
    that was interrupted and started again looks once: its first start left nothing to see.
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
        if event.kind == "test_access"
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
