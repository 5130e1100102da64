"""Which setting is selected, and which finalists count after a study was extended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.searches.selection import current, search_choice
from harness.analysis.statistics.scores import Scores
from harness.analysis.whole_study import analyse
from harness.findings import SearchChoice
from harness.records import Study, TrialSummary
from harness.search import ArmSearch, PastTrial

from .study_builder import ACCURACY, StudyBuilder, experiment, right, whole_study


def _with_second_generation(study: Study) -> tuple[Study, set[str]]:
    """The study, and a new search trial of `lora` that wins, with one finalist of its setting."""
    searched = next(t for t in study.trials if t.arm == "lora" and t.phase == "search")
    finalist = next(t for t in study.trials if t.arm == "lora" and t.phase == "finalist")
    better = tuple(replace(a, value=0.999) for a in searched.aggregates)
    params = {**searched.params, "learning_rate": 0.123}
    winner = replace(
        searched, trial_id="winner", number=99, params=params, aggregates=better, status="complete"
    )
    fresh = replace(finalist, trial_id="fresh", params=params)
    vectors = [
        replace(v, trial_id="fresh") for v in study.vectors if v.trial_id == finalist.trial_id
    ]
    old = {t.trial_id for t in study.trials if t.arm == "lora" and t.phase == "finalist"}
    extended = replace(
        study, trials=(*study.trials, winner, fresh), vectors=(*study.vectors, *vectors)
    )
    return extended, old


def test_replies_that_could_not_be_scored_win_no_search() -> None:
    """Trial 1 has the better mean of what was scored; the rest counts as wrong."""
    built = whole_study(seeds=())
    study = built.build()
    searched = [t for t in study.trials if t.arm == "lora" and t.phase == "search"]
    values = {searched[0].trial_id: (0.6, 0), searched[1].trial_id: (0.9, 100)}

    def scored(trial: TrialSummary) -> TrialSummary:
        if trial.trial_id not in values:
            return trial
        value, unscored = values[trial.trial_id]
        return replace(
            trial,
            aggregates=tuple(
                replace(a, value=value, items=200, unscored=unscored, worst=0.5)
                for a in trial.aggregates
            ),
        )

    scores = Scores(replace(study, trials=tuple(map(scored, study.trials))))
    chosen = search_choice(scores, "lora", scores.experiment)
    assert chosen is not None
    assert (chosen.number, chosen.score) == (searched[0].number, 0.6)


def test_a_study_with_one_generation_is_left_alone() -> None:
    study = whole_study().build()
    assert current(study) == study


def test_finalists_of_a_setting_no_longer_selected_do_not_count() -> None:
    extended, old = _with_second_generation(whole_study().build())
    kept = current(extended)
    lora = {t.trial_id for t in kept.trials if t.arm == "lora" and t.phase == "finalist"}
    assert lora == {"fresh"}
    assert not old & {v.trial_id for v in kept.vectors}
    assert current(kept) == kept


def test_without_new_finalists_the_old_ones_stand() -> None:
    extended, old = _with_second_generation(whole_study().build())
    waiting = replace(
        extended,
        trials=tuple(t for t in extended.trials if t.trial_id != "fresh"),
        vectors=tuple(v for v in extended.vectors if v.trial_id != "fresh"),
    )
    kept = {t.trial_id for t in current(waiting).trials if t.phase == "finalist"}
    assert old <= kept


def test_seeds_that_an_arm_declares_for_itself_are_kept() -> None:
    lora = {"kind": "lora", "seeds": [1, 2, 3, 4]}
    study = whole_study(arms={"few-shot": "prompt", "lora": lora}, seeds=(1, 2, 3, 4)).build()
    kept = {t.seed for t in current(study).trials if t.arm == "lora" and t.phase == "finalist"}
    assert kept == {1, 2, 3, 4}
    final = [t for t in current(study).trials if t.phase == "finalist"]
    others = {t.seed for t in final if t.arm == "few-shot"}
    assert others == {1, 2, 3}


# --------------------------------------------------------------------------- the margin


def _searched(
    general: tuple[float, ...], scores: tuple[float | None, ...], forgetting: str = "constraint"
) -> StudyBuilder:
    """`lora` searched with scores on validation and shares right on 20 general items each.

    The base has the first 16 of them right, so that 0.7 of them right is a loss of 0.1.
    """
    spec = experiment(search={"forgetting": forgetting, "pruner": "none"})
    built = StudyBuilder(spec, {"facts": ACCURACY})
    built.finalist("base", 0, {"test": right(0.3, 20), "general:facts": right(0.8, 20)})
    built.search("lora", scores, general=[{"general:facts": right(share, 20)} for share in general])
    return built


def _choice(built: StudyBuilder) -> SearchChoice:
    found = search_choice(Scores(built.build()), "lora", built.experiment)
    assert found is not None
    return found


def test_the_best_score_is_passed_over_where_it_forgets() -> None:
    built = _searched((0.8, 0.6, 0.8), (0.5, 0.9, 0.7))
    choice = _choice(built)
    assert (choice.number, choice.score, choice.general_change) == (2, 0.7, 0.0)
    assert (choice.best_number, choice.best_score) == (1, 0.9)
    assert choice.best_change == pytest.approx(-0.2)
    assert (choice.kept, choice.candidates, choice.margin) == (2, 3, 0.05)


def test_where_nothing_keeps_the_margin_the_least_loss_is_selected() -> None:
    choice = _choice(_searched((0.5, 0.7, 0.6), (0.5, 0.4, 0.9)))
    assert (choice.number, choice.best_number, choice.kept) == (1, 2, 0)


def test_a_loss_of_just_the_margin_is_kept() -> None:
    # 15 of 20 in place of 16: a loss of exactly 0.05.
    assert _choice(_searched((0.8, 0.75), (0.5, 0.9))).number == 1


@pytest.mark.parametrize(("forgetting", "number"), [("ignore", 1), ("objective", 2)])
def test_the_rule_is_the_experiments(forgetting: str, number: int) -> None:
    choice = _choice(_searched((0.8, 0.6, 0.8), (0.5, 0.9, 0.7), forgetting))
    assert choice.number == number
    assert (choice.margin is None) is (forgetting == "ignore")


def test_the_rule_is_that_of_the_search_itself() -> None:
    shares, scores = (0.8, 0.6, 0.75, 0.7, 0.8), (0.5, 0.9, 0.7, None, 0.7)
    built = _searched(shares, scores)
    past = [
        PastTrial(
            number,
            {},
            "failed" if score is None else "complete",
            score,
            None if score is None else share - 0.8,
        )
        for number, (share, score) in enumerate(zip(shares, scores, strict=True))
    ]
    arm = built.experiment.arms["lora"]
    search = ArmSearch("lora", arm, 0, built.experiment.search, 0.05, past)
    best = search.best()
    assert best is not None and best.number == _choice(built).number == 2


def test_finalists_name_the_selected_trial_whatever_its_score() -> None:
    built = _searched((0.8, 0.6, 0.8), (0.5, 0.9, 0.7))
    built.finalist("lora", 1, {"test": right(0.5, 20)}, setting=0)
    assert _choice(built).number == 0
    (lora,) = [one for one in analyse(built.build(), resamples=50).arms if one.arm == "lora"]
    assert lora.validation == 0.5


def test_finalists_of_the_best_score_give_way_to_those_within_the_margin() -> None:
    built = _searched((0.8, 0.6, 0.8), (0.5, 0.9, 0.7))
    for seed, setting in ((1, 1), (2, 2)):
        built.finalist("lora", seed, {"test": right(0.5, 20)}, setting=setting)
    kept = [t for t in current(built.build()).trials if t.phase == "finalist"]
    assert [(t.seed, t.params) for t in kept] == [(2, {"setting": 2})]


def test_a_pruned_trial_is_no_candidate() -> None:
    built = _searched((0.8, 0.8), (0.5, 0.4))
    last = built.trials[-1]
    # Even one with the best of scores: a pruned trial was not seen through.
    better = tuple(replace(a, value=0.99) for a in last.aggregates)
    built.trials[-1] = replace(last, status="pruned", aggregates=better)
    choice = _choice(built)
    assert (choice.number, choice.best_number, choice.candidates) == (0, 0, 1)


def test_a_search_without_a_setting_within_the_margin_is_a_caveat() -> None:
    found = analyse(_searched((0.5, 0.6), (0.5, 0.4)).build(), resamples=50)
    told = [text for text in found.verdict.caveats if "within the margin on the search's" in text]
    assert len(told) == 1 and told[0].startswith("No setting of lora kept")


def test_a_better_setting_that_forgot_too_much_is_a_caveat() -> None:
    told = [
        text
        for shares in ((0.8, 0.6, 0.8), (0.8, 0.8, 0.8))
        for text in analyse(
            _searched(shares, (0.5, 0.9, 0.7)).build(), resamples=50
        ).verdict.caveats
        if "passed over" in text
    ]
    assert len(told) == 1
    assert told[0].startswith("lora: the setting with the best validation score was passed over")
    assert "lost 20.0 percentage points" in told[0]
