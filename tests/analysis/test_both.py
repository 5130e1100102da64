"""Prompt, then weights: what is trained under a prompt arm's instruction, against either alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.statistics.scores import Scores
from harness.analysis.whole_study import analyse
from harness.findings import Findings

from .study_builder import ACCURACY, StudyBuilder, cost, experiment, right

LORA = {"kind": "lora", "rank": 8}
BOTH = {**LORA, "instruction": {"from": "written"}}
WRITTEN = {"kind": "prompt", "instruction": {"choices": ["Name it.", "Say which."]}}
# Share of right answers on test, by arm.
USUAL = {"few-shot": 0.4, "written": 0.5, "lora": 0.6, "both": 0.8}


def study(
    shares: dict[str, float] | None = None,
    *,
    arms: dict[str, Any] | None = None,
    kept: float = 0.8,
    best: str = "both",
    **changes: Any,
) -> StudyBuilder:
    """A study of which validation picks ``best`` among the fine-tuned arms."""
    declared = arms or {"few-shot": "prompt", "written": WRITTEN, "lora": LORA, "both": BOTH}
    built = StudyBuilder(experiment(declared, **changes), {"facts": ACCURACY})
    for arm in declared:
        built.search(arm, [0.9 if arm == best else 0.7 if arm == "written" else 0.6])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in (1, 2, 3):
        for arm in declared:
            scores = {"test": right((shares or USUAL)[arm])}
            if arm in ("lora", "both", "other"):
                scores["general:facts"] = right(kept)
            built.finalist(arm, seed, scores)
    return built


PAIR = {"margin": 0.03, "fine_tuned": "both", "against": "lora"}
# As of the cases of the other rules: a study, its outcome, its winner and a part of the sentence.
BOTH_CASES: dict[str, tuple[Callable[[], StudyBuilder], str, str, str]] = {
    "both": (study, "both", "both", "the search of written selected"),
    "two_tuned_both": (lambda: study(contrast=PAIR), "both", "both", "Do both"),
}


def found_in(built: StudyBuilder, *, sensitivity: bool = False) -> Findings:
    return analyse(built.build(), resamples=400, sensitivity=sensitivity)


def test_better_than_either_alone_is_both() -> None:
    found = found_in(study(), sensitivity=True)
    verdict = found.verdict
    assert (verdict.outcome, verdict.winner, verdict.rule) == ("both", "both", "both")
    assert "take the instruction that the search of written selected" in verdict.sentence
    for beaten in ("written 50", "lora 60"):
        assert beaten in verdict.sentence
    assert ("both", "lora") in [(one.a, one.b) for one in found.secondary]
    assert verdict.items_needed is None
    assert found.sensitivity is not None
    # A margin above the gain makes one of the contrasts no gain any more.
    flips = {(flip.assumption, flip.direction): flip for flip in found.sensitivity.flips}
    flip = flips["contrast.margin", "up"]
    assert flip.outcome == "fine_tune"
    assert flip.at is not None
    assert 0.2 < flip.at < 0.3


@pytest.mark.parametrize(
    ("changed", "outcome", "winner"),
    [
        # No better than the same training under the plain instruction.
        ({"lora": 0.8}, "fine_tune", "both"),
        ({"lora": 0.79}, "fine_tune", "both"),
        # No better than the instruction alone.
        ({"written": 0.8}, "equivalent", "written"),
        ({"written": 0.9, "lora": 0.5}, "hardly_tried", ""),
        # The arm whose instruction it has is not the best prompt arm on test.
        ({"few-shot": 0.9}, "inconclusive", ""),
    ],
)
def test_what_beats_only_one_of_them_is_not_both(
    changed: dict[str, float], outcome: str, winner: str
) -> None:
    verdict = found_in(study({**USUAL, **changed})).verdict
    assert (verdict.outcome, verdict.winner) == (outcome, winner)


def test_the_contrast_that_is_missing_stands_among_the_reasons() -> None:
    verdict = found_in(study({**USUAL, "lora": 0.79})).verdict
    (reason,) = [text for text in verdict.reasons if text.startswith("Against either alone:")]
    assert "lora 79" in reason


def test_all_trainings_of_the_kind_must_be_beaten() -> None:
    own = {**LORA, "instruction": "Say what it is about."}
    arms = {"written": WRITTEN, "lora": LORA, "other": own, "both": BOTH}
    shares = {"written": 0.5, "lora": 0.6, "other": 0.8, "both": 0.8}
    assert found_in(study(shares, arms=arms)).verdict.outcome == "fine_tune"
    assert found_in(study({**shares, "other": 0.5}, arms=arms)).verdict.outcome == "both"


def test_validation_decides_which_training_may_claim_it() -> None:
    # On test both is better; it was not the one that validation picked.
    verdict = found_in(study(best="lora")).verdict
    assert (verdict.outcome, verdict.winner) == ("fine_tune", "lora")


def test_both_forgets_as_any_training_does() -> None:
    verdict = found_in(study(kept=0.5)).verdict
    assert (verdict.outcome, verdict.winner) == ("forgets_too_much", "written")
    assert found_in(study(kept=0.5, general=None)).verdict.outcome == "both"


def test_without_a_training_under_an_own_instruction_what_it_adds_is_not_known() -> None:
    found = found_in(study(arms={"written": WRITTEN, "both": BOTH}))
    assert (found.verdict.outcome, found.verdict.winner) == ("fine_tune", "both")
    unknown = "what the instruction adds to training is not known"
    assert any(unknown in caveat for caveat in found.verdict.caveats)


@pytest.mark.parametrize("swapped", [False, True])
def test_two_trainings_declared_against_each_other_may_be_both(swapped: bool) -> None:
    sides = ("lora", "both") if swapped else ("both", "lora")
    contrast = {"margin": 0.03, "fine_tuned": sides[0], "against": sides[1]}
    verdict = found_in(study(contrast=contrast)).verdict
    assert (verdict.outcome, verdict.winner, verdict.rule) == ("both", "both", "two_tuned_both")
    worse = found_in(study({**USUAL, "few-shot": 0.85}, contrast=contrast)).verdict
    # Another prompt arm that validation did not pick says nothing here.
    assert worse.outcome == "both"
    worse = found_in(study({**USUAL, "written": 0.8}, contrast=contrast)).verdict
    assert (worse.outcome, worse.winner) == ("fine_tune", "both")


def test_it_costs_what_the_search_of_its_instruction_took_too() -> None:
    built = study()
    before = {arm.arm: arm.cost for arm in found_in(built).arms}
    built.search("written", [0.4], trial_cost=cost(train_seconds=0.0), params=[{"setting": 5}])
    built.trials[-1] = replace(built.trials[-1], number=7, trial_id="more")
    after = {arm.arm: arm.cost for arm in found_in(built).arms}
    added = 30.0
    for arm, more in (("written", added), ("both", added), ("lora", 0.0)):
        assert after[arm].search_seconds - before[arm].search_seconds == pytest.approx(more)
    assert after["both"].upfront is not None
    assert before["both"].upfront is not None
    assert after["both"].upfront > before["both"].upfront
    assert before["both"].search_seconds > before["lora"].search_seconds


def test_search_trials_of_an_instruction_that_is_no_longer_selected_do_not_count() -> None:
    built = study()
    built.search("both", [0.99], params=[{"setting": 0, "instruction": "Of old."}])
    built.trials[-1] = replace(built.trials[-1], trial_id="old")
    found = found_in(built)
    assert {row.arm: row.asked for row in found.searches}["both"] == 1
    assert len(Scores(built.build()).trials("both", "search")) == 2


def test_what_hangs_on_a_seed_of_the_training_alone_is_told() -> None:
    built = study(general=None)
    for place, vector in enumerate(built.vectors):
        if (vector.arm, vector.split) == ("lora", "test"):
            values = np.asarray(right(0.69 if vector.seed == 3 else 0.74), dtype=np.float64)
            built.vectors[place] = replace(vector, values=values)
    found = found_in(built, sensitivity=True)
    assert found.verdict.outcome == "both"
    assert found.sensitivity is not None
    of_seeds = {one.left_out: one for one in found.sensitivity.perturbations}
    # With two seeds that differ so it is no longer told apart from the training alone.
    assert of_seeds["seed 1"].outcome == "fine_tune"
    assert of_seeds["seed 1"].changed
    assert not of_seeds["seed 3"].changed


def test_the_tasks_own_instruction_makes_no_both() -> None:
    built = study()
    for place, trial in enumerate(built.trials):
        if trial.arm in ("both", "written"):
            built.trials[place] = replace(trial, params={**trial.params, "instruction": None})
    found = found_in(built)
    assert (found.verdict.outcome, found.verdict.winner) == ("fine_tune", "both")
    said = "The search of written selected the task's own instruction"
    assert any(said in caveat for caveat in found.verdict.caveats)


@pytest.mark.parametrize("order", [("lora", "both"), ("both", "lora")])
def test_of_arms_that_validation_ranks_alike_the_simpler_one_is_named(
    order: tuple[str, str],
) -> None:
    of_both = {"lora": LORA, "both": BOTH}
    arms = {"written": WRITTEN, **{arm: of_both[arm] for arm in order}}
    # Neither is the best alone: each has 0.6 on validation, as the same training twice has.
    built = study({**USUAL, "both": 0.6}, arms=arms, best="")
    verdict = found_in(built).verdict
    assert (verdict.outcome, verdict.winner) == ("fine_tune", "lora")
