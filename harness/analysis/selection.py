"""Which setting the search selects, and so which finalists count.

The rule is the search's own: the highest validation score among the settings that keep general
abilities within the margin, the earliest of equals; where none keeps them, the one that loses
least. Once finalists have run, the selected trial is the one whose setting they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.analysis.general_change import general_changes
from harness.analysis.scores import Scores, aggregates, validation_score
from harness.errors import StoreError
from harness.findings import SearchChoice
from harness.records import Study, TrialSummary
from harness.spec import Experiment


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete trial of a search with a validation score.

    change: mean change of the general tasks against the base, 0 to 1; None where the search does
    not look at it or it was not measured.
    """

    trial: TrialSummary
    score: float
    higher_is_better: bool
    change: float | None

    @property
    def worth(self) -> float:
        """The score, signed so that higher is better."""
        return self.score if self.higher_is_better else -self.score

    def keeps(self, margin: float | None) -> bool:
        """Whether no more than the margin is known to be lost."""
        if margin is None or self.change is None:
            return True
        # Rounded as in the search: a change is a mean of shares, and may be just the margin.
        return round(-self.change - margin, 12) <= 0


def search_margin(experiment: Experiment, arm: str) -> float | None:
    """Loss of general abilities (0 to 1) that the arm's search accepts; None where it is blind."""
    general = experiment.general
    blind = experiment.search.forgetting == "ignore" or arm not in experiment.trained_arms()
    return None if blind or general is None or not general.search_limit else general.margin


def candidates(scores: Scores, arm: str, experiment: Experiment) -> list[Candidate]:
    """The trials that the arm's search chose among, by number."""
    blind = search_margin(experiment, arm) is None
    changes = {} if blind else measured_changes(scores, arm, experiment)
    found = []
    for trial in scores.complete(arm, "search"):
        metric = experiment.task.primary_metric
        score = validation_score(trial, metric)
        if score is not None:
            higher = aggregates([trial], "domain", "validation", metric)[0].higher_is_better
            found.append(Candidate(trial, score, higher, changes.get(trial.trial_id)))
    return found


def measured_changes(scores: Scores, arm: str, experiment: Experiment) -> dict[str, float]:
    """Trial id -> mean change of the general tasks scored in accuracy, of a fine-tuned arm."""
    readings = scores.study.experiment.general_tasks
    counted = {task: reading for task, reading in readings.items() if reading.accuracy}
    if arm not in experiment.trained_arms():
        return {}
    try:
        return general_changes(scores, arm, counted)
    except StoreError:
        # Vectors that cannot be paired are told where the plane of learning and forgetting is
        # drawn; here nothing is known of the change.
        return {}


def chosen(found: Sequence[Candidate], margin: float | None) -> Candidate | None:
    """What the rule selects; None among no candidates."""
    kept = [one for one in found if one.keeps(margin)]
    if kept:
        return max(kept, key=lambda one: one.worth)
    return max(found, key=lambda one: one.change or 0.0, default=None)


def search_winner(scores: Scores, arm: str, experiment: Experiment) -> TrialSummary | None:
    """The search trial whose setting the finalists have; what the rule selects before any ran.

    Of several trials with that setting, the best on validation.
    """
    winner = _winner(scores, arm, experiment, candidates(scores, arm, experiment))
    return winner.trial if winner else None


def search_choice(scores: Scores, arm: str, experiment: Experiment) -> SearchChoice | None:
    """The selected trial beside the one with the best score; None without a complete trial."""
    found = candidates(scores, arm, experiment)
    winner = _winner(scores, arm, experiment, found)
    best = max(found, key=lambda one: one.worth, default=None)
    if winner is None or best is None:
        return None
    margin = search_margin(experiment, arm)
    return SearchChoice(
        number=winner.trial.number,
        score=winner.score,
        general_change=winner.change,
        best_number=best.trial.number,
        best_score=best.score,
        best_change=best.change,
        margin=margin,
        kept=sum(one.keeps(margin) for one in found),
        candidates=len(found),
    )


def current(study: Study) -> Study:
    """The study without finalists of settings no longer selected, or of seeds no longer declared.

    A study can be extended after its test: with more trials another setting may win, and the
    store keeps the finalists of both. Averaging them would describe no candidate at all.
    An arm none of whose finalists has the selected setting, or a declared seed, keeps those it
    has: its new finalists are still to come. Applying this twice changes nothing.
    """
    experiment = Experiment.model_validate(study.experiment.spec)
    scores = Scores(study)
    stale: set[str] = set()
    for arm in experiment.arms:
        finalists = scores.trials(arm, "finalist")
        settings = {repr(trial.params) for trial in finalists}
        fresh = finalists
        if len(settings) > 1:
            winner = chosen(candidates(scores, arm, experiment), search_margin(experiment, arm))
            fresh = [t for t in finalists if winner and t.params == winner.trial.params]
        fresh = fresh or finalists
        declared = [t for t in fresh if t.seed in experiment.seeds_of(arm)]
        kept = {t.trial_id for t in declared or fresh}
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


def _winner(
    scores: Scores, arm: str, experiment: Experiment, found: Sequence[Candidate]
) -> Candidate | None:
    tested = [trial.params for trial in scores.finalists(arm)][:1]
    same = [one for one in found if one.trial.params in tested]
    if same:
        return max(same, key=lambda one: one.worth)
    return chosen(found, search_margin(experiment, arm))


__all__ = [
    "Candidate",
    "candidates",
    "chosen",
    "current",
    "measured_changes",
    "search_choice",
    "search_margin",
    "search_winner",
]
