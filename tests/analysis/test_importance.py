"""Importances of settings, of searches whose truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest

from harness.analysis.searches.importance import importances
from harness.search.space import distributions
from harness.spec import Choice, FloatRange, IntRange, Space

SPACE: dict[str, Space] = {
    "learning_rate": FloatRange(low=1e-4, high=1e-2, log=True),
    "rank": Choice(choices=(4, 8, 16)),
    "epochs": IntRange(low=1, high=4),
    "decay": FloatRange(low=0.0, high=1.0),
}
# Variances of what each adds to the score, over the space.
TRUTH = {
    "learning_rate": 0.1**2 * 4 / 45,
    "rank": 0.03**2 * 2 / 9,
    "epochs": 0.01**2 * 5 / 4,
    "decay": 0.0,
}


def searched(trials: int, seed: int, noise: float = 0.0) -> tuple[list[dict[str, Any]], Any]:
    generator = np.random.default_rng(seed)
    settings = [
        {
            "learning_rate": float(10 ** generator.uniform(-4, -2)),
            "rank": int(generator.choice([4, 8, 16])),
            "epochs": int(generator.integers(1, 5)),
            "decay": float(generator.uniform()),
        }
        for _ in range(trials)
    ]
    scores = [
        0.8
        - 0.1 * (math.log10(one["learning_rate"]) + 3) ** 2
        + 0.03 * (one["rank"] == 8)
        + 0.01 * one["epochs"]
        + noise * float(generator.standard_normal())
        for one in settings
    ]
    return settings, scores


def test_shares_are_those_of_the_variance_over_the_space() -> None:
    whole = sum(TRUTH.values())
    found = importances(SPACE, *searched(600, seed=0))
    assert list(found) == ["learning_rate", "rank", "epochs", "decay"]
    assert sum(found.values()) == pytest.approx(1)
    for name, share in found.items():
        assert share == pytest.approx(TRUTH[name] / whole, abs=0.04)


@pytest.mark.parametrize("trials", [24, 100])
def test_optunas_forests_give_the_same_over_several_searches(trials: int) -> None:
    searches = [searched(trials, seed, noise=0.01) for seed in range(6)]
    ours = [importances(SPACE, *search) for search in searches]
    theirs = [by_optuna(*search) for search in searches]
    for name in SPACE:
        # Optuna gives the first and the last whole number half the room of the others, and counts
        # several choices at once as a setting, too.
        mean, other = (float(np.mean([one[name] for one in found])) for found in (ours, theirs))
        assert mean == pytest.approx(other, abs=0.07)


def by_optuna(settings: list[dict[str, Any]], scores: list[float]) -> dict[str, float]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, space = optuna.create_study(), distributions(SPACE)
    space["learning_rate"] = optuna.distributions.FloatDistribution(-4, -2)
    for setting, score in zip(settings, scores, strict=True):
        params = {**setting, "learning_rate": math.log10(setting["learning_rate"])}
        trial = optuna.trial.create_trial(value=score, params=params, distributions=space)
        study.add_trial(trial)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=16, max_depth=8, seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def test_settings_that_say_the_same_share_what_they_explain() -> None:
    generator = np.random.default_rng(3)
    space: dict[str, Space] = {name: FloatRange(low=0, high=1) for name in ("a", "b", "c")}
    drawn = generator.uniform(size=80)
    settings = [{"a": float(x), "b": float(1 - x), "c": 0.5} for x in drawn]
    found = importances(space, settings, [float(x) for x in drawn])
    # Where both split alike, rounding prefers one a little.
    assert found["a"] == pytest.approx(0.5, abs=0.15)
    assert found["c"] == 0


def test_the_same_trials_give_the_same_shares() -> None:
    assert importances(SPACE, *searched(30, 0)) == importances(SPACE, *searched(30, 0))


def test_equal_scores_have_no_importances() -> None:
    settings, _ = searched(8, 0)
    assert importances(SPACE, settings, [0.5] * 8) == {}
    assert importances({}, [{}] * 8, [float(n) for n in range(8)]) == {}


def test_scores_that_differ_by_nothing_searched_have_none() -> None:
    settings = searched(1, 0)[0] * 6
    assert importances(SPACE, settings, [float(n) for n in range(6)]) == {}


def test_a_setting_outside_the_space_is_refused() -> None:
    settings, scores = searched(8, 0)
    for name, value in (("epochs", 5), ("rank", 32)):
        with pytest.raises(ValueError, match=f"{name} lies outside|not in list"):
            importances(SPACE, [{**settings[0], name: value}, *settings[1:]], scores)
