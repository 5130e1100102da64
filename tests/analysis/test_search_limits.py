"""A winner at the edge of its range, a score still rising, how much of a space was tried."""

from __future__ import annotations

from typing import Any

import pytest

from harness.analysis.whole_study import analyse
from harness.findings import Findings

from .study_builder import StudyBuilder, experiment, right

LORA = {
    "kind": "lora",
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "dropout": {"low": 0.0, "high": 0.5},
    "epochs": {"choices": [1, 2, 4]},
    "schedule": {"choices": ["cosine", "linear"]},
}
MIDDLE: dict[str, Any] = {
    "learning_rate": 1e-3, "dropout": 0.2, "epochs": 2, "schedule": "cosine"
}  # fmt: skip
FEW_SHOT = {
    "kind": "prompt",
    "shots": {"choices": [2, 4, 8]},
    "selection": {"choices": ["random", "nearest", "balanced"]},
    "order": {"choices": ["selected", "reversed"]},
}


def analysed(
    winner: dict[str, Any],
    scores: list[float | None] | None = None,
    others: list[dict[str, Any]] | None = None,
    prompt: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> Findings:
    """A study in which ``lora`` selects a setting after trials of others."""
    spec = experiment({"few-shot": FEW_SHOT, "lora": LORA}, general=None, **changes)
    built = StudyBuilder(spec)
    tried = [*(others if others is not None else [MIDDLE]), {**MIDDLE, **winner}]
    built.search("lora", scores or [0.5] * (len(tried) - 1) + [0.6], params=tried)
    shown = prompt or [{"shots": 2, "selection": "random", "order": "selected"}]
    built.search("few-shot", [0.5] * len(shown), params=shown)
    for arm in ("few-shot", "lora"):
        for seed in (1, 2, 3):
            built.finalist(arm, seed, {"test": right(0.6)})
    return analyse(built.build(), resamples=50, sensitivity=False)


def edges_of(findings: Findings) -> list[tuple[str, bool, float]]:
    (search,) = [one for one in findings.searches if one.arm == "lora"]
    return [(edge.name, edge.upper, edge.beyond) for edge in search.edges]


@pytest.mark.parametrize(
    ("winner", "expected"),
    [
        ({"learning_rate": 9e-3}, [("learning_rate", True, 0.1)]),
        ({"learning_rate": 1.1e-4}, [("learning_rate", False, 1e-5)]),
        # 5 % of two decades is a quarter of a factor of two: 7e-3 is well within.
        ({"learning_rate": 7e-3}, []),
        ({"epochs": 4}, [("epochs", True, 8)]),
        # No epoch is less than one, and no share is below 0.
        ({"epochs": 1}, []),
        ({"dropout": 0.01}, []),
        ({"dropout": 0.49}, [("dropout", True, 1.0)]),
        ({"schedule": "linear"}, []),
    ],
)
def test_a_winner_at_the_edge_is_named_with_what_to_try(
    winner: dict[str, Any], expected: list[tuple[str, bool, float]]
) -> None:
    findings = analysed(winner)
    assert edges_of(findings) == expected
    said = [one for one in findings.verdict.caveats if "at the edge" in one]
    assert len(said) == len(expected)


def test_a_value_that_had_no_rival_is_at_no_edge() -> None:
    assert edges_of(analysed({"epochs": 4}, others=[{**MIDDLE, "epochs": 4, "dropout": 0.1}])) == []


@pytest.mark.parametrize(
    ("scores", "gain"),
    [
        ([0.5, 0.55, 0.5, 0.54, 0.5, 0.6], 0.05),
        ([0.5, 0.55, 0.5, 0.54, 0.5, 0.57], None),
        ([0.5, 0.6, 0.5, 0.55, 0.5, 0.54], None),
        ([0.5, 0.6, None, 0.55, None, None], None),
        ([0.5, 0.6], None),
    ],
)
def test_a_search_still_rising_says_how_many_trials_to_add(
    scores: list[float | None], gain: float | None
) -> None:
    others = [{**MIDDLE, "dropout": 0.1 + n / 100} for n in range(len(scores) - 1)]
    findings = analysed({}, scores, others)
    (search,) = [one for one in findings.searches if one.arm == "lora"]
    said = [one for one in findings.verdict.caveats if "still rising" in one]
    if gain is None:
        assert search.rising is None
        assert said == []
    else:
        assert search.rising is not None
        assert search.rising.gain == pytest.approx(gain)
        assert (search.rising.late, search.rising.more) == (2, 6)
        assert len(said) == 1


def test_one_late_trial_is_no_several() -> None:
    others = [{**MIDDLE, "dropout": 0.1 + n / 100} for n in range(2)]
    (said,) = [
        one
        for one in analysed({}, [0.5, 0.5, 0.6], others).verdict.caveats
        if "still rising" in one
    ]
    assert "its last trial brought 10.0 percentage points" in said


def test_distinct_settings_are_counted_and_a_prompt_that_tried_few_is_named() -> None:
    one = {"shots": 2, "selection": "random", "order": "selected"}
    settings = [{**one, "shots": shots, "selection": selection}
                for shots in (2, 4, 8) for selection in ("random", "nearest")]  # fmt: skip
    few = analysed({}, prompt=[*settings[:5], settings[0]])
    rows = {row.arm: row for row in few.arms}
    assert (rows["few-shot"].settings_tried, rows["few-shot"].settings) == (5, 18)
    assert rows["lora"].settings is None
    (said,) = [one for one in few.verdict.caveats if "of its 18 settings" in one]
    assert said.startswith("few-shot tried 5 of its 18 settings")
    third = analysed({}, prompt=settings)
    assert not [one for one in third.verdict.caveats if "of its 18 settings" in one]


def test_what_one_search_does_not_cover_is_said() -> None:
    assert [one for one in analysed({}).verdict.caveats if "tuned anew" in one]
    twice = analysed({}, search={"repeats": 2}, seeds=[1, 2])
    assert [one for one in twice.verdict.caveats if "Tuned twice only: lora and few-shot" in one]
    thrice = analysed({}, search={"repeats": 3})
    assert not [one for one in thrice.verdict.caveats if one.startswith("Tuned")]
