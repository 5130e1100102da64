from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.analysis.forgetting.abilities import pooled_mcnemar
from harness.analysis.forgetting.judgement import families, forgetting_outcome
from harness.analysis.statistics.pairing import Aligned
from harness.analysis.whole_study import analyse
from harness.findings import Findings, Forgetting, Interval

from .study_builder import ACCURACY, StudyBuilder, experiment, right


def forgetting_on(
    base: dict[str, Any], after: list[dict[str, Any]], clusters: Any = None
) -> Forgetting:
    built = StudyBuilder(experiment(), dict.fromkeys(base, ACCURACY))
    named = {f"general:{name}": values for name, values in base.items()}
    where = {f"general:{name}": values for name, values in (clusters or {}).items()}
    built.finalist("base", 0, named, clusters=where)
    for seed, scores in enumerate(after):
        named = {f"general:{name}": values for name, values in scores.items()}
        built.finalist("lora", seed, named, clusters=where)
    return analyse(built.build(), resamples=2000, sensitivity=False).forgetting[0]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.04, 0.1, "kept"),
        (-0.2, -0.06, "forgot"),
        (-0.06, 0.0, "inconclusive"),
        (-0.05, 0.0, "inconclusive"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_non_inferiority(low: float, high: float, outcome: str) -> None:
    assert forgetting_outcome(Interval(low, high), 0.05, p_adjusted=0.001) == outcome


def test_what_blocks_kept() -> None:
    fine = Interval(-0.04, 0.1)
    assert forgetting_outcome(fine, 0.05, p_adjusted=0.024, by_seed=[-0.05, 0.1]) == "kept"
    assert forgetting_outcome(fine, 0.05, p_adjusted=0.026) == "inconclusive"
    assert forgetting_outcome(fine, 0.05, p_adjusted=0.001, by_seed=[-0.051]) == "inconclusive"
    assert forgetting_outcome(fine, 0.05, p_adjusted=0.001, lost=["sums"]) == "lost_ability"
    assert forgetting_outcome(Interval(-0.2, -0.1), 0.05, p_adjusted=1, lost=["sums"]) == "forgot"


def test_who_may_claim_to_have_kept_abilities() -> None:
    kinds: Any = {"p": "prompt", "a": "lora", "b": "full", "c": "qlora"}
    arms = ("a", "b", "c")
    free = families(arms, experiment(kinds))
    assert free == dict.fromkeys(arms, arms)
    named = families(arms, experiment(kinds, contrast={"margin": 0.03, "fine_tuned": "b"}))
    assert named == {"a": arms, "b": ("b",), "c": arms}
    two = {"margin": 0.03, "fine_tuned": "a", "against": "c"}
    assert families(arms, experiment(kinds, contrast=two)) == {
        "a": ("a", "c"), "b": arms, "c": ("a", "c"),
    }  # fmt: skip


def test_flips_changes_and_the_worst_task() -> None:
    after = {"sums": right(0.9), "names": right(0.6)}
    found = forgetting_on({"sums": right(0.8), "names": right(0.8)}, [after] * 3)
    sums, names = found.tasks
    assert (sums.right_to_wrong, sums.wrong_to_right) == (0, 20)
    assert (names.right_to_wrong, names.wrong_to_right) == (40, 0)
    assert (names.base, names.after, names.change) == pytest.approx((0.8, 0.6, -0.2))
    assert found.mean_change == pytest.approx(-0.05)
    assert found.worst_task == "names"
    assert (sums.kept, names.kept) == (True, False)


def test_what_the_base_cannot_do_does_not_count() -> None:
    base = {"sums": right(0.8), "guesses": right(0.26)}
    found = forgetting_on(base, [{"sums": right(0.8), "guesses": right(0.1)}])
    assert found.mean_change == pytest.approx(0.0)
    assert found.tasks[1].kept is None
    alone = forgetting_on({"guesses": right(0.26)}, [{"guesses": right(0.26)}])
    assert math.isnan(alone.mean_change)
    assert alone.outcome == "inconclusive"


def test_the_interval_of_the_mean_is_that_of_independent_tasks() -> None:
    generator = np.random.default_rng(0)
    tasks = {str(number): (generator.random(150) < 0.8).astype(float) for number in range(4)}
    after = {
        name: np.where(generator.random(150) < 0.2, 1 - values, values)
        for name, values in tasks.items()
    }
    found = forgetting_on(tasks, [after])
    changes = [after[name] - tasks[name] for name in tasks]
    error = math.sqrt(sum(change.var(ddof=1) / 150 for change in changes)) / 4
    assert found.mean_change == pytest.approx(np.mean([c.mean() for c in changes]))
    width = found.interval.high - found.interval.low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_clusters_widen_the_interval() -> None:
    generator = np.random.default_rng(1)
    flipped = np.repeat(generator.random(30) < 0.3, 5)
    base = np.ones(150)
    after = [{"sums": np.where(flipped, 0.0, base)}]
    labels = [f"document {item // 5}" for item in range(150)]
    alone = forgetting_on({"sums": base}, after).interval
    together = forgetting_on({"sums": base}, after, {"sums": labels}).interval
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def flips(lost: int, won: int, seeds: int = 1) -> Aligned:
    base = np.array([[1.0] * lost + [0.0] * won + [1.0] * 5])
    after = np.repeat(np.array([[0.0] * lost + [1.0] * won + [1.0] * 5]), seeds, axis=0)
    items = base.shape[1]
    return Aligned(tuple(map(str, range(items))), (after, base), np.arange(items), items, 0, 0)


def test_pooled_mcnemar_is_the_one_sided_binomial_test_of_all_flips() -> None:
    expected = binomtest(9, 12, 0.5, alternative="greater").pvalue
    assert pooled_mcnemar([flips(6, 2), flips(3, 1)]) == pytest.approx(expected)
    assert pooled_mcnemar([flips(0, 0)]) == 1
    assert pooled_mcnemar([]) is None


def test_several_seeds_do_not_count_the_same_items_several_times() -> None:
    one = pooled_mcnemar([flips(9, 3)])
    three = pooled_mcnemar([flips(9, 3, seeds=3)])
    assert one is not None
    assert three == pytest.approx(2 * one)


# ------------------------------------------------------------------ what a claim must withstand


def tuned_arms(
    base: Any, after: dict[str, list[Any]], *, chance: float | None = None, **changes: Any
) -> StudyBuilder:
    """Fine-tuned arms, all better than the prompt; arm -> a mapping of tasks for each seed."""
    kinds: Any = {"few-shot": "prompt", **dict.fromkeys(after, "lora")}
    reading = replace(ACCURACY, chance=chance)
    built = StudyBuilder(experiment(kinds, **changes), dict.fromkeys(base, reading))
    named = {f"general:{name}": values for name, values in base.items()}
    built.finalist("base", 0, {"test": right(0.3), **named})
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5), "validation": right(0.5)})
    for number, (arm, seeds) in enumerate(after.items()):
        test = right(0.8 - number / 100)
        for seed, scores in enumerate(seeds, 1):
            named = {f"general:{name}": values for name, values in scores.items()}
            built.finalist(arm, seed, {"test": test, "validation": test, **named})
    return built


def analysed(built: StudyBuilder) -> Findings:
    return analyse(built.build(), resamples=4000, sensitivity=False)


def turned(lost: int, items: int = 200) -> dict[str, list[float]]:
    """Of items that the base all has right, the first are lost."""
    return {"facts": [0.0] * lost + [1.0] * (items - lost)}


def test_kept_is_corrected_over_the_arms_that_could_claim_it() -> None:
    # Five of 220 lost is kept alone, with a p-value of about 0.016, but not where three may claim
    # it.
    base, lost = {"facts": [1.0] * 220}, [turned(5, 220)] * 3
    alone = analysed(tuned_arms(base, {"a": lost}))
    (one,) = alone.forgetting
    assert (one.outcome, one.p_adjusted, one.family) == ("kept", one.p_value, ("a",))
    assert 0.01 < one.p_value < 0.025
    assert alone.verdict.outcome == "fine_tune"

    three = tuned_arms(base, {"a": lost, "b": lost, "c": lost})
    found = analysed(three)
    assert [f.outcome for f in found.forgetting] == ["inconclusive"] * 3
    assert found.forgetting[0].p_adjusted == pytest.approx(
        3 * min(f.p_value for f in found.forgetting), abs=0.03
    )
    assert all(f.interval.low > -0.05 for f in found.forgetting)
    assert found.verdict.rule == "better_forgetting_open"
    assert "corrected for the 3 arms that could have claimed it" in found.verdict.sentence

    three.experiment = experiment(
        {"few-shot": "prompt", "a": "lora", "b": "lora", "c": "lora"},
        contrast={"margin": 0.03, "fine_tuned": "a"},
    )
    named = analysed(three)
    assert [f.outcome for f in named.forgetting] == ["kept", "inconclusive", "inconclusive"]
    assert named.forgetting[1].family == ("a", "b", "c")
    assert named.verdict.winner == "a"


def test_no_other_arm_takes_the_place_of_one_that_the_experiment_names() -> None:
    base = {"facts": [1.0] * 200}
    arms = {"a": [turned(40)] * 3, "b": [turned(0)] * 3}
    assert analysed(tuned_arms(base, arms)).verdict.rule == "another_kept"
    contrast = {"margin": 0.03, "fine_tuned": "a"}
    named = analysed(tuned_arms(base, arms, contrast=contrast)).verdict
    assert (named.rule, named.outcome) == ("better_but_forgot", "forgets_too_much")


def test_a_collapsed_seed_blocks_kept_and_is_named() -> None:
    base = {"facts": [1.0] * 200, "sums": [1.0] * 200}
    fine = {name: [1.0] * 200 for name in base}
    less = {"facts": [0.0] * 14 + [1.0] * 186, "sums": [0.0] * 12 + [1.0] * 188}
    found = analysed(tuned_arms(base, {"a": [fine, fine, less]}))
    (arm,) = found.forgetting
    assert list(arm.seed_changes.items()) == [(1, 0.0), (2, 0.0), (3, pytest.approx(-0.065))]
    assert arm.outcome == "inconclusive"
    assert arm.items_needed is None
    assert found.verdict.outcome == "inconclusive"
    assert "Seed 3 lost 6.5 points on average" in found.verdict.sentence
    assert not any("repeated ones may" in caveat for caveat in found.verdict.caveats)


def test_trainings_that_went_well_are_named_beside_one_that_did_not() -> None:
    base = {"facts": [1.0] * 200}
    found = analysed(tuned_arms(base, {"a": [turned(0)] * 3, "b": [turned(0)] * 2 + [turned(60)]}))
    (caveat,) = [caveat for caveat in found.verdict.caveats if "repeated ones may" in caveat]
    assert caveat.startswith("None of the trainings of a lost more general ability")


def test_what_the_seeds_cannot_show_is_said_once() -> None:
    base = {"facts": [1.0] * 200}
    found = analysed(tuned_arms(base, {"a": [turned(0)] * 3, "b": [turned(0)] * 3}))
    (caveat,) = [caveat for caveat in found.verdict.caveats if "repeated ones may" in caveat]
    assert "up to 63 % of them, judging by 3 seeds (a, b)." in caveat
    fives = analysed(tuned_arms(base, {"a": [turned(0)] * 5}, seeds=[1, 2, 3, 4, 5]))
    assert any(
        "up to 45 % of them, judging by 5 seeds (a)." in caveat for caveat in fives.verdict.caveats
    )


def one_destroyed(others: float = 0.07, **changes: Any) -> StudyBuilder:
    """Instructions fall from 70 to 0 %, seven other tasks gain."""
    base = {"instructions": right(0.7, 100)} | {str(n): right(0.7, 100) for n in range(7)}
    after = {"instructions": right(0.0, 100)} | {str(n): right(0.7 + others, 100) for n in range(7)}
    return tuned_arms(base, {"a": [after] * 3}, **changes)


def test_one_destroyed_ability_is_not_made_good_by_others() -> None:
    found = analysed(one_destroyed())
    (arm,) = found.forgetting
    assert arm.mean_change == pytest.approx((-0.7 + 7 * 0.07) / 8)
    assert (arm.outcome, arm.lost_tasks) == ("lost_ability", ("instructions",))
    assert arm.worst_task == "instructions"
    verdict = found.verdict
    assert (verdict.rule, verdict.outcome, verdict.winner) == (
        "better_but_lost_ability", "forgets_too_much", "few-shot",
    )  # fmt: skip
    start = verdict.sentence.split(" gets ")[0]
    assert "instructions: 70.0 % before, 0.0 % after" in start


def test_where_the_mean_is_lost_too_the_task_is_named() -> None:
    found = analysed(one_destroyed(others=-0.1))
    assert found.forgetting[0].outcome == "forgot"
    assert "instructions" in found.forgetting[0].lost_tasks
    assert "instructions: 70.0 % before, 0.0 % after" in found.verdict.sentence


def test_the_worst_task_is_named_where_abilities_were_kept() -> None:
    base = {"sums": right(0.8), "names": right(0.8)}
    found = analysed(tuned_arms(base, {"a": [{"sums": right(0.8), "names": right(0.79)}] * 3}))
    assert found.forgetting[0].outcome == "kept"
    worst = "Of the general tasks the worst is names: 80.0 % before, 79.0 % after."
    assert worst in found.verdict.sentence
    assert any(worst in reason for reason in found.verdict.reasons)


def test_a_task_with_less_to_lose_than_the_margin_does_not_count() -> None:
    # 29 % where guessing has 25 %: all that could be lost there is 4 points, of 5 allowed.
    base = {name: right(0.29, 1000) for name in ("one", "two")}
    after = {name: right(0.25, 1000) for name in base}
    found = analysed(tuned_arms(base, {"a": [after] * 3}, chance=0.25))
    (arm,) = found.forgetting
    assert {delta.not_counted for delta in arm.tasks} == {"room"}
    assert math.isnan(arm.mean_change)
    assert arm.outcome == "inconclusive"
    assert found.verdict.outcome == "inconclusive"
    assert any(
        caveat.startswith("On one, two the untouched base is above chance by no more than the 5")
        for caveat in found.verdict.caveats
    )
    wider = tuned_arms(base, {"a": [after] * 3}, chance=0.25, general={"margin": 0.02})
    (arm,) = analysed(wider).forgetting
    assert [delta.kept for delta in arm.tasks] == [False, False]
    assert arm.outcome == "forgot"


def test_flips_are_corrected_for_guessing() -> None:
    # 40 of 160 known items are guessed now: 30 turn wrong, 10 stay right by chance.
    base = {"facts": right(0.8)}
    after = {"facts": [0.0] * 30 + [1.0] * 130 + [0.0] * 40}
    (delta,) = analysed(tuned_arms(base, {"a": [after] * 3}, chance=0.25)).forgetting[0].tasks
    assert (delta.right_to_wrong, delta.wrong_to_right) == (30, 0)
    assert delta.knowledge_lost == pytest.approx(40)
    (open_,) = analysed(tuned_arms(base, {"a": [after] * 3})).forgetting[0].tasks
    assert open_.knowledge_lost == pytest.approx(30)


def searched(seen: int, **changes: Any) -> StudyBuilder:
    """The search saw the first items, where nothing was lost; the last ten were lost."""
    base = {"facts": [1.0] * 100}
    after = {"facts": [1.0] * 90 + [0.0] * 10}
    built = tuned_arms(base, {"a": [after] * 3, "b": [after] * 3}, **changes)
    return built.search("a", [0.8], general=[{"general:facts": [1.0] * seen}])


def test_items_that_a_search_saw_do_not_judge() -> None:
    found = analysed(searched(50))
    for arm in found.forgetting:
        (delta,) = arm.tasks
        assert (delta.items, delta.left_out, delta.searched) == (50, 50, 0)
        assert arm.mean_change == pytest.approx(-0.2)


def test_items_judge_that_a_blind_search_scored_or_that_are_all_there_is() -> None:
    blind = analysed(searched(50, search={"forgetting": "ignore"})).forgetting[0]
    assert blind.tasks[0].items == 100
    assert blind.mean_change == pytest.approx(-0.1)
    whole = analysed(searched(99))
    (delta,) = whole.forgetting[0].tasks
    assert (delta.items, delta.left_out, delta.searched) == (100, 0, 99)
    assert any(
        caveat.startswith("The search looked at forgetting on the items of facts too")
        for caveat in whole.verdict.caveats
    )
