"""Which setting the search selects, and so which finalists count.

The rule is the search's own, :func:`harness.records.selected`. Once finalists have run, the
selected trial is the one whose setting they have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analysis.forgetting.general_change import general_changes
from harness.analysis.statistics.scores import Scores, validation_score, validation_worth
from harness.errors import StoreError
from harness.findings import SearchChoice
from harness.records import (
    Phase,
    ScoreVector,
    SearchEnded,
    Study,
    TrialSummary,
    Worth,
    from_json,
    keeps_abilities,
    selected,
    to_json,
)
from harness.spec import Experiment
from harness.spec.instruction_sources import instruction_source


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete trial of a search with a validation score."""

    trial: TrialSummary
    """The trial."""
    score: float
    """Primary metric on validation, in its own direction."""
    worth: Worth
    """What it is chosen by. See :func:`validation_worth`."""
    general_change: float | None
    """Mean change of the general tasks against the base, -1 to 1, positive is better; None where
    the search does not look at it or it was not measured."""

    @property
    def number(self) -> int:
        """Place in its search, from 0."""
        return self.trial.number

    def keeps(self, margin: float | None) -> bool:
        """Whether no more than the margin is known to be lost."""
        return keeps_abilities(self.general_change, margin)


def search_ends(study: Study) -> dict[tuple[str, int], SearchEnded]:
    """Arm and repeat -> how that search ended, as noted last; a study can be extended."""
    ends = (
        from_json(SearchEnded, to_json(event.detail))
        for event in study.events
        if event.kind == "search_ended"
    )
    return {(end.arm, end.repeat): end for end in ends}


def candidates(
    scores: Scores, arm: str, experiment: Experiment, repeat: int | None = None
) -> list[Candidate]:
    """The trials that a search of the arm chose among, by number; of all its searches if None.

    Those under a written instruction that did no better than the task's own are none of them.
    """
    every = scored_trials(scores, arm, experiment, repeat)
    if experiment.arms[arm].optimiser is None:
        return every
    held = {place: end.confirmation for place, end in search_ends(scores.study).items()}

    def dropped(trial: TrialSummary) -> bool:
        found = held.get((arm, trial.search_repeat))
        if found is None or found.kept:
            return False
        return trial.params.get("instruction") == found.instruction

    return [candidate for candidate in every if not dropped(candidate.trial)]


def scored_trials(
    scores: Scores, arm: str, experiment: Experiment, repeat: int | None = None
) -> list[Candidate]:
    """The complete trials of a search that have a score, by number; of all searches if None."""
    blind = experiment.search_margin(arm) is None
    changes = {} if blind else measured_changes(scores, arm, experiment)
    scored = []
    for trial in scores.complete(arm, "search"):
        if repeat not in (None, trial.search_repeat):
            continue
        metric = experiment.task.primary
        score = validation_score(trial, metric.name)
        if score is not None:
            worth = validation_worth(trial, metric)
            scored.append(Candidate(trial, score, worth, changes.get(trial.trial_id)))
    return scored


def measured_changes(scores: Scores, arm: str, experiment: Experiment) -> dict[str, float]:
    """Trial id -> mean change of the general tasks scored in accuracy, of a fine-tuned arm."""
    readings = scores.study.experiment.general_tasks
    counted = {task: reading for task, reading in readings.items() if reading.accuracy}
    if arm not in experiment.trained_arms():
        return {}
    try:
        changes = general_changes(scores, arm, counted)
        return {trial: change for (trial, phase), change in changes.items() if phase == "search"}
    except StoreError:
        # Vectors that cannot be paired are told where the plane of learning and forgetting is
        # drawn; here nothing is known of the change.
        return {}


def search_winner(
    scores: Scores, arm: str, experiment: Experiment, repeat: int = 0
) -> TrialSummary | None:
    """The search trial whose setting the finalists have; what the rule selects before any ran.

    Of several trials with that setting, the best on validation.
    """
    scored = candidates(scores, arm, experiment, repeat)
    winner = _winner(scores, arm, experiment, scored, repeat)
    return winner.trial if winner else None


def search_choice(
    scores: Scores, arm: str, experiment: Experiment, repeat: int = 0
) -> SearchChoice | None:
    """The selected trial beside the one with the best score; None without a complete trial."""
    scored = candidates(scores, arm, experiment, repeat)
    winner = _winner(scores, arm, experiment, scored, repeat)
    best = max(scored, key=lambda candidate: candidate.worth, default=None)
    if winner is None or best is None:
        return None
    margin = experiment.search_margin(arm)
    return SearchChoice(
        number=winner.trial.number,
        params=dict(winner.trial.params),
        score=winner.score,
        general_change=winner.general_change,
        best_number=best.trial.number,
        best_score=best.score,
        best_change=best.general_change,
        margin=margin,
        kept=sum(candidate.keeps(margin) for candidate in scored),
        candidates=len(scored),
        ways={way.answering: way.score for way in winner.trial.ways},
    )


def current(study: Study) -> Study:
    """The study without finalists of settings no longer selected, or of seeds no longer declared.

    A study can be extended after its test: with more trials another setting may win, and the
    store keeps the finalists of both. Averaging them would describe no candidate at all.
    An arm none of whose finalists has the selected setting, or a declared seed, keeps those it
    has: its new finalists are still to come. Of an arm that takes its instruction from another,
    search trials under one that is no longer selected are left out first. A writing that failed
    counts for nothing once it was done over. Applying this twice changes nothing.
    """
    study = _without_failed_writings(study)
    arms = Scores(study).experiment.arms
    taking = [arm for arm in arms if instruction_source(arms[arm]) is not None]
    study = _without_stale_finalists(study, [arm for arm in arms if arm not in taking])
    if not taking:
        return study
    return _without_stale_finalists(_under_selected(study, taking), taking)


def _without_failed_writings(study: Study) -> Study:
    """The study without writings that failed where the same search has one that did not."""
    writings = [trial for trial in study.trials if trial.phase == "writing"]
    done = {(trial.arm, trial.search_repeat) for trial in writings if trial.writing}
    stale = {
        trial.trial_id
        for trial in writings
        if trial.writing is None and (trial.arm, trial.search_repeat) in done
    }
    return _without(study, stale, "writing") if stale else study


def _under_selected(study: Study, taking: Sequence[str]) -> Study:
    """The study without search trials under an instruction that its source no longer selects."""
    scores = Scores(study)
    experiment = scores.experiment
    stale: set[str] = set()
    for arm in taking:
        source = instruction_source(experiment.arms[arm]) or ""
        for repeat in range(experiment.repeats_of(arm)):
            of_source = experiment.source_repeat(source, repeat)
            winner = search_winner(scores, source, experiment, of_source)
            instruction = winner.params.get("instruction") if winner else None
            stale |= {
                trial.trial_id
                for trial in scores.trials(arm, "search")
                if trial.search_repeat == repeat and trial.params.get("instruction") != instruction
            }
    return _without(study, stale, "search") if stale else study


def _without_stale_finalists(study: Study, arms: Iterable[str]) -> Study:
    scores = Scores(study)
    experiment = scores.experiment
    stale: set[str] = set()
    for arm, repeat in _searches(experiment, arms):
        finalists = _tested(scores.trials(arm, "finalist"), experiment, arm, repeat)
        settings = {repr(trial.params) for trial in finalists}
        fresh = finalists
        if len(settings) > 1:
            scored = candidates(scores, arm, experiment, repeat)
            winner = selected(scored, experiment.search_margin(arm))
            fresh = [t for t in finalists if winner and t.params == winner.trial.params]
        fresh = fresh or finalists
        declared = [t for t in fresh if t.seed in experiment.seeds_of(arm)]
        kept = {t.trial_id for t in declared or fresh}
        stale |= {t.trial_id for t in finalists} - kept
    return _without(study, stale, "finalist") if stale else study


def _without(study: Study, stale: Collection[str], phase: Phase) -> Study:
    """The study without some trials of a phase; the same trial may be another phase's too."""

    def is_stale(of: TrialSummary | ScoreVector) -> bool:
        return of.phase == phase and of.trial_id in stale

    left = tuple(trial for trial in study.trials if not is_stale(trial))
    of_finalists = {(t.arm, t.seed) for t in left if t.phase == "finalist"}
    gone = {(t.arm, t.seed) for t in study.trials if t.phase == "finalist"} - of_finalists
    return replace(
        study,
        trials=left,
        vectors=tuple(vector for vector in study.vectors if not is_stale(vector)),
        items=tuple(row for row in study.items if (row.arm, row.seed) not in gone),
    )


def _searches(experiment: Experiment, arms: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Every one of the arms and repeat of its search."""
    for arm in arms:
        for repeat in range(experiment.repeats_of(arm)):
            yield arm, repeat


def _tested(
    finalists: Iterable[TrialSummary], experiment: Experiment, arm: str, repeat: int
) -> list[TrialSummary]:
    """Those of an arm's finalists that have the setting of one of its searches."""
    return [t for t in finalists if experiment.repeat_of(arm, t.seed) == repeat]


def _winner(
    scores: Scores, arm: str, experiment: Experiment, scored: Sequence[Candidate], repeat: int
) -> Candidate | None:
    finalists = _tested(scores.finalists(arm), experiment, arm, repeat)
    tested = [trial.params for trial in finalists][:1]
    same = [candidate for candidate in scored if candidate.trial.params in tested]
    if same:
        return max(same, key=lambda candidate: candidate.worth)
    return selected(scored, experiment.search_margin(arm))


__all__ = [
    "Candidate",
    "candidates",
    "current",
    "measured_changes",
    "scored_trials",
    "search_choice",
    "search_ends",
    "search_winner",
]
