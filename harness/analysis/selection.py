"""Which finalists count: those of the setting that validation selects now, on the declared seeds.

A study can be extended after its test: with more trials another setting may win, and the store
keeps the finalists of both. Averaging them would describe no candidate at all.
"""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.scores import Scores, validation_score, validation_worth
from harness.records import Study
from harness.spec import Experiment


def current(study: Study) -> Study:
    """The study without finalists of settings no longer selected, or of seeds no longer declared.

    An arm none of whose finalists has the selected setting, or a declared seed, keeps those it
    has: its new finalists are still to come. Applying this twice changes nothing.
    """
    experiment = Experiment.model_validate(study.experiment.spec)
    scores = Scores(study)
    metric = experiment.task.primary_metric
    stale: set[str] = set()
    for arm in experiment.arms:
        finalists = scores.trials(arm, "finalist")
        searched = [
            trial
            for trial in scores.trials(arm, "search")
            if trial.status == "complete" and validation_score(trial, metric) is not None
        ]
        # The first of equals wins, as in the search itself.
        winner = max(searched, key=lambda trial: validation_worth(trial, metric), default=None)
        chosen = [t for t in finalists if winner is not None and t.params == winner.params]
        chosen = chosen or finalists
        declared = [t for t in chosen if t.seed in experiment.seeds_of(arm)]
        kept = {t.trial_id for t in declared or chosen}
        stale |= {t.trial_id for t in finalists} - kept
    if not stale:
        return study
    gone = {(t.arm, t.seed) for t in study.trials if t.trial_id in stale} - {
        (t.arm, t.seed) for t in study.trials if t.phase == "finalist" and t.trial_id not in stale
    }
    return replace(
        study,
        trials=tuple(t for t in study.trials if t.trial_id not in stale),
        vectors=tuple(v for v in study.vectors if v.trial_id not in stale),
        items=tuple(row for row in study.items if (row.arm, row.seed) not in gone),
    )
