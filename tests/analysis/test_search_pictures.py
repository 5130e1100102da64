"""What is drawn of a search: its trials in order, and where they lie in each setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.searches.pictures import search_picture
from harness.analysis.statistics.scores import Scores
from harness.findings import PicturedSetting, SearchPicture
from harness.records import Study

from .study_builder import ACCURACY, StudyBuilder, experiment, right

LORA = {
    "kind": "lora",
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "rank": {"choices": [4, 8, 16]},
    "epochs": {"low": 1, "high": 4},
}
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-3, 2e-3, 5e-4)


def setting(number: int) -> dict[str, Any]:
    return {"learning_rate": RATES[number], "rank": (4, 16)[number % 2], "epochs": 1 + number % 4}


def built(margin: float = 0.05) -> Study:
    """Trials that gain by the learning rate and forget by the epochs; the sixth failed."""
    declared = experiment(
        {"few-shot": "prompt", "lora": LORA},
        general={"margin": margin},
        budget={"trials": 8},
    )
    study = StudyBuilder(declared, {"facts": ACCURACY})
    study.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    study.search(
        "lora",
        [0.4, 0.45, 0.5, 0.55, 0.6, None, 0.52, 0.47],
        params=[setting(number) for number in range(8)],
        general=[{"general:facts": right(0.8 - 0.1 * (n % 4))} for n in range(8)],
    )
    return study.build()


def picture(study: Study) -> SearchPicture:
    return search_picture(Scores(study), "lora", 0, 4)


def test_trials_that_failed_are_left_out_and_keep_their_place() -> None:
    found = picture(built())
    assert [trial.place for trial in found.trials] == [0, 1, 2, 3, 4, 6, 7]
    assert [trial.score for trial in found.trials] == [0.4, 0.45, 0.5, 0.55, 0.6, 0.52, 0.47]
    assert (found.selected, found.repeat, found.higher_is_better) == (4, 0, True)


def test_trials_that_lost_more_than_the_margin_are_told() -> None:
    assert [trial.lost for trial in picture(built()).trials] == [
        n % 4 > 0 for n in (0, 1, 2, 3, 4, 6, 7)
    ]
    assert not any(trial.lost for trial in picture(built(margin=0.35)).trials)


def test_settings_lie_on_their_axes() -> None:
    epochs, rate, rank = picture(built()).settings
    kept = [0, 1, 2, 3, 4, 6, 7]
    assert rate == PicturedSetting("learning_rate", tuple(RATES[n] for n in kept), log=True)
    assert epochs == PicturedSetting("epochs", tuple(1.0 + n % 4 for n in kept), whole=True)
    # A choice that nobody tried has no place.
    assert rank == PicturedSetting("rank", tuple(float(n % 2) for n in kept), choices=("4", "16"))


def test_importances_of_the_score_and_of_the_change() -> None:
    found = picture(built())
    assert next(iter(found.importances)) == "learning_rate"
    assert next(iter(found.forgetting)) == "epochs"


def test_without_a_change_of_every_trial_none_is_explained() -> None:
    study = built()
    trials = {trial.trial_id for trial in study.trials if trial.arm == "lora" and trial.number < 2}
    vectors = tuple(vector for vector in study.vectors if vector.trial_id not in trials)
    found = picture(replace(study, vectors=vectors))
    assert found.forgetting == {} and found.importances


def test_at_most_six_settings_are_drawn() -> None:
    many = {**LORA, **{name: {"choices": values} for name, values in (
        ("alpha_over_rank", [1, 2]), ("dropout", [0.0, 0.1]), ("batch_size", [4, 8]),
        ("warmup", [0.0, 0.1]),
    )}}  # fmt: skip
    declared = experiment({"few-shot": "prompt", "lora": many}, budget={"trials": 8})
    params = [
        {**setting(n), "alpha_over_rank": 1 + n % 2, "dropout": 0.1 * (n % 2),
         "batch_size": 4 + 4 * (n % 2), "warmup": 0.0}
        for n in range(8)
    ]  # fmt: skip
    study = StudyBuilder(declared).search("lora", [0.1 * n for n in range(8)], params=params)
    assert len(picture(study.build()).settings) == 6


def test_a_setting_outside_what_is_declared_is_refused() -> None:
    study = built()
    odd = replace(study.trials[1], params={**setting(0), "epochs": 9})
    with pytest.raises(ValueError, match="epochs lies outside"):
        picture(replace(study, trials=(study.trials[0], odd, *study.trials[2:])))
