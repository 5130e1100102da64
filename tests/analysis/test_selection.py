"""Which finalists count after a study was extended."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis import current
from harness.records import Study

from .study_builder import whole_study


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
    others = {t.seed for t in current(study).trials if t.arm == "few-shot" and t.seed}
    assert others == {1, 2, 3}
