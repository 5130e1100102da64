"""Importances and drawings of a search whose truth is known."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from harness.search.figures import Look, picture
from harness.search.rebuilt import StoredSearch, StoredTrial
from harness.spec import Choice, FloatRange, IntRange, Space

INK, COLOUR = "#123456", "#0072b2"
LOOK = Look(
    rc={"svg.fonttype": "none", "svg.hashsalt": "s", "text.parse_math": False, "font.size": 9},
    width=5.2,
    ink=INK,
    colour=COLOUR,
    score="Accuracy (%)",
    factor=100,
    margin="lost too much",
    value=lambda text: text[:8],
)
SPACE: dict[str, Space] = {
    "learning_rate": FloatRange(low=1e-4, high=1e-2, log=True),
    "rank": Choice(choices=(4, 8, 16)),
    "epochs": IntRange(low=1, high=4),
    "instruction": Choice(choices=("Sort <b>this</b> now", "Name $it_")),
}
TIMES = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z")


def trial(number: int, generator: np.random.Generator) -> StoredTrial:
    """The score hangs on the learning rate, the general change on the epochs."""
    params: dict[str, Any] = {
        "learning_rate": float(10 ** generator.uniform(-4, -2)),
        "rank": int(generator.choice([4, 8, 16])),
        "epochs": int(generator.integers(1, 5)),
        "instruction": ("Sort <b>this</b> now", "Name $it_")[number % 2],
    }
    score = 0.8 - 0.1 * (math.log10(params["learning_rate"]) + 3) ** 2
    change = -0.03 * (params["epochs"] - 1)
    shown = {"general_change": change}
    return StoredTrial(number, "complete", params, score, change, (), *TIMES, shown)


def search(trials: int = 24, margin: float | None = 0.05) -> StoredSearch:
    generator = np.random.default_rng(0)
    found = tuple(trial(number, generator) for number in range(trials))
    return StoredSearch("x/lora", "lora", 0, SPACE, "acc", True, margin, False, found)


def test_importances_find_what_the_score_and_the_change_hang_on() -> None:
    found = picture(search(), "lora", 0, LOOK)
    assert next(iter(found.importances)) == "learning_rate"
    assert next(iter(found.forgetting)) == "epochs"
    for shares in (found.importances, found.forgetting):
        assert set(shares) == set(SPACE)
        assert sum(shares.values()) == pytest.approx(1)
    assert (found.trials, found.evaluator) == (24, "fANOVA")


def test_a_drawing_is_the_same_each_time_and_leaves_nothing_behind() -> None:
    style, figures = dict(mpl.rcParams), plt.get_fignums()
    first, second = (picture(search(8), "lora", 1, LOOK) for _ in range(2))
    assert first == second
    assert dict(mpl.rcParams) == style
    assert plt.get_fignums() == figures


def test_drawings_hold_no_colours_of_their_own() -> None:
    found = picture(search(8), "lora", 1, LOOK)
    for svg in (found.history, found.parallel):
        colours = {colour.lower() for colour in re.findall(r"#[0-9a-fA-F]{6}\b", svg)}
        assert COLOUR in colours and INK in colours
        assert colours <= {COLOUR, INK}


def test_what_is_written_in_the_drawings() -> None:
    found = picture(search(8), "lora", 1, LOOK)
    for text in ("Accuracy (%)", "best so far", "lost too much", "selected"):
        assert f">{text}<" in found.history
    assert "Sort &lt;b" in found.parallel and "<b>" not in found.parallel
    assert ">rate<" in found.parallel  # learning over rate
    assert found.drawn == ("epochs", "instruction", "learning_rate", "rank")


def test_without_a_margin_nothing_is_said_of_it() -> None:
    assert "lost too much" not in picture(search(8, margin=None), "lora", 1, LOOK).history


def test_stopped_and_failed_trials_are_left_out() -> None:
    whole = search(10)
    trials = tuple(
        replace(one, status="pruned" if number % 2 else "failed", score=None, attributes={})
        if number in (2, 5)
        else one
        for number, one in enumerate(whole.trials)
    )
    found = picture(replace(whole, trials=trials), "lora", 9, LOOK)
    assert found.trials == 8
    assert found.forgetting


def test_equal_scores_have_no_importances_and_are_drawn() -> None:
    whole = search(8)
    alike = tuple(replace(one, score=0.5) for one in whole.trials)
    found = picture(replace(whole, trials=alike), "lora", 0, LOOK)
    assert found.importances == {}
    assert "<svg" in found.parallel


def test_two_objectives_are_drawn_by_the_score() -> None:
    found = picture(replace(search(8), two_objectives=True), "lora", 0, LOOK)
    assert found.trials == 8 and "Accuracy (%)" in found.history


def test_a_search_without_a_complete_trial_is_refused() -> None:
    whole = search(2)
    none = tuple(replace(one, status="failed", score=None) for one in whole.trials)
    with pytest.raises(ValueError, match="no trial of x/lora is complete"):
        picture(replace(whole, trials=none), "lora", None, LOOK)
