"""How a search went, trial by trial, and which settings mattered in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.analysis.searches.importance import EVALUATOR, importances, place_of
from harness.analysis.searches.selection import measured_changes, scored_trials
from harness.analysis.statistics.scores import Scores
from harness.findings import PicturedSetting, PicturedTrial, SearchPicture
from harness.records import TrialSummary, keeps_abilities
from harness.spec import Arm, Choice, IntRange, Space

# More axes than this cannot be read beside one another.
DRAWN_SETTINGS = 6


def searched_space(arm: Arm, trials: Sequence[TrialSummary]) -> dict[str, Space]:
    """What was searched; of an instruction that was written, what was tried of it."""
    if arm.optimiser is None:
        return arm.search_space()
    tried = [trial.params["instruction"] for trial in trials]
    return arm.with_written([str(text) for text in tried if text is not None]).search_space()


def search_picture(scores: Scores, arm: str, repeat: int, selected: int) -> SearchPicture:
    """One search, which has complete trials.

    Args:
        scores: the scores of the study.
        arm: name of the arm.
        repeat: which of the arm's searches.
        selected: number of the trial that was selected.

    Raises:
        ValueError: a trial's setting lies outside the search space.
    """
    experiment = scores.experiment
    trials = [t for t in scores.trials(arm, "search") if t.search_repeat == repeat]
    places = {trial.number: place for place, trial in enumerate(trials)}
    complete = scored_trials(scores, arm, experiment, repeat)
    changes = measured_changes(scores, arm, experiment)
    known = [changes[one.trial.trial_id] for one in complete if one.trial.trial_id in changes]
    space = searched_space(experiment.arms[arm], trials)
    settings = [one.trial.params for one in complete]
    shares = importances(space, settings, [one.score for one in complete])
    margin = experiment.search_margin(arm)
    return SearchPicture(
        arm=arm,
        trials=tuple(
            PicturedTrial(
                places[one.number],
                one.score,
                not keeps_abilities(changes.get(one.trial.trial_id), margin),
            )
            for one in complete
        ),
        evaluator=EVALUATOR,
        importances=shares,
        forgetting=importances(space, settings, known) if len(known) == len(complete) else {},
        settings=tuple(
            _setting(name, space[name], settings)
            for name in sorted(tuple(shares or space)[:DRAWN_SETTINGS])
        ),
        selected=places[selected],
        higher_is_better=experiment.task.higher_is_better,
        repeat=repeat,
    )


def _setting(name: str, space: Space, settings: Sequence[Mapping[str, Any]]) -> PicturedSetting:
    own = [setting[name] for setting in settings]
    if not isinstance(space, Choice):
        whole = isinstance(space, IntRange)
        return PicturedSetting(name, tuple(map(float, own)), log=space.log, whole=whole)
    codes = [place_of(value, space) for value in own]
    tried = sorted(set(codes))
    return PicturedSetting(
        name,
        tuple(float(tried.index(code)) for code in codes),
        choices=tuple(str(space.choices[code]) for code in tried),
    )


__all__ = ["DRAWN_SETTINGS", "search_picture", "searched_space"]
