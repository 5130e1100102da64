"""Runs of one search taken together, and how much tuning moves a score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.arms.table import validation_worths
from harness.analysis.searches.selection import current
from harness.analysis.statistics.repeats import assess_retuning, averaged, by_search
from harness.analysis.statistics.scores import Scores
from harness.analysis.whole_study import analyse
from harness.records import SEARCH_SEED, ScoreVector

from .study_builder import METRIC, StudyBuilder, experiment, right, whole_study


def vector(values: list[float], seed: int = 1) -> ScoreVector:
    names = tuple(f"item-{n}" for n in range(len(values)))
    return ScoreVector(
        "t", "lora", "lora", "finalist", seed, "domain", "domain", "test", METRIC, True, None,
        names, ("",) * len(values), np.array(values), names,
    )  # fmt: skip


def test_seeds_are_dealt_over_searches_in_turn() -> None:
    spec = experiment(search={"repeats": 2}, seeds=[5, 6, 7, 8])
    assert by_search(spec, "lora", [5, 6, 7, 8]) == [(5, 7), (6, 8)]
    assert by_search(spec, "lora", [6, 7, 8]) == [(6, 8), (7,)]
    assert by_search(spec, "base", [0]) == [(0,)]
    assert by_search(experiment(), "lora", [3, 1]) == [(1,), (3,)]


def test_runs_are_averaged_item_by_item() -> None:
    one, other = vector([1.0, 0.0, np.nan, 1.0]), vector([0.0, 0.0, 1.0, 1.0], 3)
    turned = replace(other, doc_hashes=other.doc_hashes[::-1], values=other.values[::-1])
    found = averaged([one, turned])
    assert found.seed == 1
    assert found.doc_hashes == one.doc_hashes
    np.testing.assert_array_equal(found.values, [0.5, 0.0, np.nan, 1.0])
    short = replace(other, doc_hashes=other.doc_hashes[1:], values=other.values[1:])
    assert averaged([one, short]).doc_hashes == one.doc_hashes[1:]
    assert averaged([one]) is one


def repeated(seeds: int, repeats: int = 3, spreads: tuple[float, ...] = (0.5, 0.6, 0.7)) -> Scores:
    built = _built(seeds, repeats, spreads)
    return Scores(built.build())


def _built(seeds: int, repeats: int, shares: tuple[float, ...]) -> StudyBuilder:
    built = StudyBuilder(
        experiment(seeds=list(range(1, seeds + 1)), search={"repeats": repeats}, general=None)
    )
    for arm in ("few-shot", "lora"):
        for repeat in range(repeats):
            built.search(arm, [0.5 + repeat / 100, 0.4])
            for place in (-2, -1):
                trial = built.trials[place]
                built.trials[place] = replace(
                    trial, trial_id=f"{trial.trial_id}-{repeat}", seed=SEARCH_SEED + repeat,
                    params={"setting": 10 * repeat + trial.number},
                )  # fmt: skip
        for seed in range(1, seeds + 1):
            repeat = (seed - 1) % repeats
            share = shares[repeat] if arm == "lora" else 0.5
            built.finalist(arm, seed, {"test": right(share)}, setting=10 * repeat)
    return built


def test_an_interval_is_taken_over_searches() -> None:
    scores = repeated(6)
    found = scores.vectors("lora", METRIC, split="test")
    assert [one.seed for one in found] == [1, 2, 3]
    assert [float(one.values.mean()) for one in found] == pytest.approx([0.5, 0.6, 0.7])
    assert [one.seed for one in scores.runs("lora", METRIC, split="test")] == [1, 2, 3, 4, 5, 6]
    findings = analyse(scores.study, resamples=200)
    assert findings.primary is not None
    assert (findings.primary.seeds_a, findings.primary.seeds_b) == (3, 3)
    row = next(one for one in findings.arms if one.arm == "lora")
    assert (row.searches, row.seeds, row.budget_trials) == (3, (1, 2, 3, 4, 5, 6), 6)
    choices = [one.choice for one in findings.searches if one.arm == "lora"]
    assert [one and one.params["setting"] for one in choices] == [0, 10, 20]
    assert findings.sensitivity is not None
    left_out = [one.left_out for one in findings.sensitivity.perturbations]
    assert left_out[:3] == ["seeds 1 and 4", "seeds 2 and 5", "seeds 3 and 6"]


def test_the_searches_of_an_arm_pick_it_together() -> None:
    arms: dict[str, Any] = {"few-shot": "prompt", "lora": "lora", "full": "full"}
    built = StudyBuilder(experiment(arms, seeds=[1, 2], search={"repeats": 2}, general=None))
    found = {"few-shot": (0.5, 0.5), "lora": (0.7, 0.5), "full": (0.6, 0.8)}
    for arm, of_searches in found.items():
        for repeat, score in enumerate(of_searches):
            built.search(arm, [score])
            built.trials[-1] = replace(
                built.trials[-1], trial_id=f"{arm}-{repeat}", seed=SEARCH_SEED + repeat
            )
        for seed in (1, 2):
            built.finalist(arm, seed, {"test": right(0.5)})
    findings = analyse(built.build(), resamples=200)
    assert {one.arm: one.validation for one in findings.arms}["full"] == pytest.approx(0.7)
    # The first search alone would pick lora.
    assert findings.primary is not None
    assert findings.primary.a == "full"


def test_searches_that_are_seeds_change_nothing() -> None:
    study = repeated(3).study
    spec = experiment(seeds=[1, 2, 3], general=None).plain()
    plain = replace(study, experiment=replace(study.experiment, spec=spec))
    for arm in ("lora", "few-shot"):
        several, once = (Scores(one).vectors(arm, METRIC, split="test") for one in (study, plain))
        assert all(a is b for a, b in zip(several, once, strict=True))


def test_a_setting_that_its_search_no_longer_selects_does_not_count() -> None:
    built = _built(3, 3, (0.5, 0.6, 0.7))
    # Seed 2 was tested with the first search's setting before searches were repeated.
    built.finalist("lora", 2, {"test": right(0.1)}, setting=0)
    place = max(n for n, trial in enumerate(built.trials) if trial.phase == "finalist")
    built.trials[place] = replace(built.trials[place], trial_id="stale")
    built.vectors[-1] = replace(built.vectors[-1], trial_id="stale")
    kept = current(built.build())
    assert "stale" not in {trial.trial_id for trial in kept.trials}
    settings = {t.seed: t.params["setting"] for t in Scores(kept).finalists("lora")}
    assert settings == {1: 0, 2: 10, 3: 20}


def test_what_seeds_explain_is_not_tunings() -> None:
    def runs(*means: float) -> list[ScoreVector]:
        return [vector(right(mean, 100), seed) for seed, mean in enumerate(means)]

    alike = assess_retuning("lora", [runs(0.4, 0.6), runs(0.6, 0.4), runs(0.5, 0.5)])
    assert alike is not None
    assert (alike.spread, alike.beyond_seeds) == (0.0, 0.0)
    apart = assess_retuning("lora", [runs(0.4, 0.4), runs(0.5, 0.5), runs(0.6, 0.6)])
    assert apart is not None
    assert apart.spread == pytest.approx(0.1)
    assert apart.beyond_seeds == pytest.approx(0.1)
    single = assess_retuning("lora", [runs(0.4), runs(0.6)])
    assert single is not None
    assert single.beyond_seeds is None
    assert assess_retuning("lora", [runs(0.4, 0.5)]) is None


def test_the_spread_of_tuning_is_found_in_drawn_studies() -> None:
    generator = np.random.default_rng(5)
    found = []
    for _ in range(300):
        tuned = generator.normal(0.5, 0.03, 4)
        drawn = [[vector([float(one)] * 2, n) for n, one in enumerate(generator.normal(t, 0.02, 3))]
                 for t in tuned]  # fmt: skip
        spread = assess_retuning("lora", drawn)
        assert spread is not None
        assert spread.beyond_seeds is not None
        found.append(spread.beyond_seeds**2)
    assert np.sqrt(np.mean(found)) == pytest.approx(0.03, abs=0.002)


def test_the_arm_that_is_picked_did_best_over_all_its_searches() -> None:
    built = _built(3, 3, (0.5, 0.6, 0.7))
    study = built.build()
    spec = experiment(
        {"few-shot": "prompt", "lora": "lora"}, seeds=[1, 2, 3], search={"repeats": 3}
    )
    worths = validation_worths(Scores(study), spec)
    row = next(one for one in analyse(study, resamples=100).arms if one.arm == "lora")
    assert row.validation == pytest.approx(0.51)
    assert {name: worth.value for name, worth in worths.items()} == pytest.approx(
        {"few-shot": 0.51, "lora": 0.51}
    )


def test_searches_whose_final_runs_are_missing_cover_nothing() -> None:
    built = _built(3, 3, (0.5, 0.6, 0.7))
    gone = {one.trial_id for one in built.trials
            if (one.arm, one.phase) == ("lora", "finalist") and one.seed > 1}  # fmt: skip
    built.trials = [one for one in built.trials if one.trial_id not in gone]
    built.vectors = [one for one in built.vectors if one.trial_id not in gone]
    found = analyse(built.build(), resamples=100, sensitivity=False)
    (row,) = [one for one in found.not_covered if one.source == "Tuning anew"]
    assert row.size.endswith("searches tested: lora 1 of 3")
    assert not row.known
    assert any(text.startswith("Tuned once: lora.") for text in found.verdict.caveats)


def test_a_run_that_lost_too_much_is_not_hidden_by_the_other_run_of_its_search() -> None:
    built = whole_study(seeds=())
    built.experiment = experiment(seeds=[1, 2, 3, 4, 5, 6], search={"repeats": 3})
    for seed in (1, 2, 3, 4, 5, 6):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        kept = right(0.72 if seed == 2 else 0.8)
        built.finalist("lora", seed, {"test": right(0.8), "general:facts": kept})
    found = analyse(built.build(), resamples=400)
    (lora,) = found.forgetting
    changes = {1: 0.0, 2: -0.08, 3: 0.0, 4: 0.0, 5: 0.0, 6: 0.0}
    assert lora.seed_changes == pytest.approx(changes)
    assert lora.outcome == "inconclusive"
    assert "Seed 2 lost 8.0 points on average: that training" in found.verdict.sentence
    assert found.sensitivity is not None
    told = {one.left_out: one.outcome for one in found.sensitivity.perturbations}
    assert told["seeds 1 and 4"] == "inconclusive"
    assert told["seeds 2 and 5"] == "fine_tune"
