"""Every flip is the verdict that the moved assumption gives, and none comes nearer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from harness.analysis import whole_study as module
from harness.analysis.verdict.sensitivity import LEVELS, assess_sensitivity, with_field
from harness.analysis.whole_study import analyse
from harness.findings import Contrast, Findings, Flip, Interval, Sensitivity, WithoutFlagged
from harness.records import Study

from .study_builder import ACCURACY, StudyBuilder, cost, experiment, right, whole_study
from .test_two_tuned import pair_study
from .unpowered import unpowered

__all__ = ["unpowered"]


def found_in(study: Study, *, sensitivity: bool = True) -> Findings:
    return analyse(study, resamples=400, sensitivity=sensitivity)


def sensitivity_of(found: Findings) -> Sensitivity:
    assert found.sensitivity is not None
    return found.sensitivity


def decided(study: Study, field: str, value: float) -> tuple[str, str]:
    """The verdict of the whole analysis, made again with one assumption moved."""
    declared = experiment().model_validate(study.experiment.spec)
    whole = field in ("cost.requests_per_month", "cost.months")
    spec = with_field(declared, field, round(value) if whole else value).plain()
    moved = replace(study, experiment=replace(study.experiment, spec=spec))
    verdict = found_in(moved, sensitivity=False).verdict
    return verdict.outcome, verdict.winner


def just_before(flip: Flip) -> float:
    """A value nearer to the declared one: for margins and money, by one in the second digit."""
    assert flip.at is not None
    down = flip.direction == "down"
    if flip.assumption.startswith("constraints."):
        return flip.at * (1.001 if down else 0.999)
    if flip.assumption == "contrast.level":
        return LEVELS[LEVELS.index(flip.at) + (1 if down else -1)]
    if flip.at == 0:
        return 1e-9
    step = 10.0 ** (np.floor(np.log10(flip.at)) - 1)
    if flip.assumption in ("cost.requests_per_month", "cost.months"):
        step = max(1.0, step)
    return float(flip.at + (step if down else -step))


def serving(**changes: Any) -> StudyBuilder:
    """Two equivalent arms; fine-tuning costs more upfront and less to serve."""
    built = StudyBuilder(experiment(**changes), {"facts": ACCURACY})
    built.search("few-shot", [0.5]).search("lora", [0.5], trial_cost=cost(9000.0))
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in (1, 2, 3):
        built.finalist(
            "few-shot", seed, {"test": right(0.5)}, latencies=(0.9,), trial_cost=cost(0.0)
        )
        scores = {"test": right(0.5), "general:facts": right(0.79)}
        built.finalist("lora", seed, scores, latencies=(0.5,), trial_cost=cost(9000.0))
    return built


MONEY = {"requests_per_month": 5000, "months": 12}
STUDIES: dict[str, Callable[[], StudyBuilder]] = {
    "better": whole_study,
    "forgot": lambda: whole_study(general=0.6),
    "open": lambda: whole_study(tuned=0.52),
    "worse, no suite": lambda: whole_study(tuned=0.44, general_suite=None),
    "cost decides for lora": lambda: serving(cost=MONEY),
    "cost decides for the prompt": lambda: serving(cost={**MONEY, "months": 2}),
    "limits": lambda: serving(constraints={"latency_ms": 600}),
    "two fine-tuned": pair_study,
    "no price": lambda: serving(cost={"machine_per_hour": 0, "requests_per_month": 0}),
}


@cache
def case(name: str) -> tuple[Study, Findings]:
    study = STUDIES[name]().build()
    return study, found_in(study)


@pytest.mark.usefixtures("unpowered")
@pytest.mark.parametrize("name", STUDIES)
def test_flips_are_what_the_whole_analysis_says(name: str) -> None:
    study, found = case(name)
    base = (found.verdict.outcome, found.verdict.winner)
    flips = sensitivity_of(found).flips
    assert len({(flip.assumption, flip.direction) for flip in flips}) == len(flips)
    for flip in flips:
        assert flip.sentence.endswith(".")
        if flip.at is None:
            assert (flip.outcome, flip.winner) == (None, "")
            assert "changes the verdict" in flip.sentence
            if flip.searched > 0:
                assert decided(study, flip.assumption, flip.searched) == base, flip
            continue
        assert flip.outcome is not None
        assert (flip.outcome, flip.winner) != base
        assert decided(study, flip.assumption, flip.at) == (flip.outcome, flip.winner), flip
        if flip.value is None or abs(flip.at - flip.value) > 0.02 * flip.value:
            assert decided(study, flip.assumption, just_before(flip)) == base, flip


def test_every_kind_of_assumption_flips_somewhere() -> None:
    fields = {
        flip.assumption
        for name in STUDIES
        for flip in sensitivity_of(case(name)[1]).flips
        if flip.at is not None
    }
    assert fields == {
        "contrast.margin", "contrast.level", "general.margin", "cost.requests_per_month",
        "cost.machine_per_hour", "cost.months", "constraints.latency_ms",
        "constraints.memory_mib", "constraints.artifact_mib",
    }  # fmt: skip


def flip_of(found: Findings, assumption: str, direction: str) -> Flip:
    return next(
        flip
        for flip in sensitivity_of(found).flips
        if (flip.assumption, flip.direction) == (assumption, direction)
    )


def test_a_flip_in_words() -> None:
    flip = flip_of(found_in(whole_study(general=0.78).build()), "general.margin", "down")
    assert flip.value == 0.05
    assert flip.at is not None
    assert flip.sentence == (
        f"If only {flip.at:g} of general accuracy might be lost (now 0.05), "
        "the verdict would be: not decided."
    )
    limit = flip_of(found_in(whole_study().build()), "constraints.memory_mib", "down")
    assert "limit on training memory below 1,000 MiB (now none)" in limit.sentence
    assert limit.sentence.endswith("use prompting (few-shot).")


def test_a_loss_that_could_not_be_seen_is_not_tried() -> None:
    # The base has 80 % where chance is 25 %: 55 points are all that can be lost.
    flip = flip_of(found_in(whole_study().build()), "general.margin", "up")
    assert (flip.at, flip.searched) == (None, 0.54)


def test_the_price_changes_nothing_where_both_kinds_of_money_scale() -> None:
    found = found_in(serving(cost=MONEY).build())
    assert flip_of(found, "cost.machine_per_hour", "up").at is None
    assert flip_of(found, "cost.machine_per_hour", "down").at == 0


def test_a_study_without_comparison_has_no_sensitivity() -> None:
    assert found_in(StudyBuilder(experiment()).build()).sensitivity is None


def test_a_seed_that_decides_is_found() -> None:
    built = StudyBuilder(experiment(general=None))
    for seed, share in ((1, 0.8), (2, 0.8), (3, 0.3)):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        built.finalist("lora", seed, {"test": right(share)})
    found = found_in(built.build())
    left_out = {p.left_out: p for p in sensitivity_of(found).perturbations}
    assert list(left_out) == ["seed 1", "seed 2", "seed 3"]
    assert found.verdict.outcome == "inconclusive"
    assert (left_out["seed 3"].outcome, left_out["seed 3"].changed) == ("fine_tune", True)
    assert left_out["seed 1"].changed is False


def test_one_seed_is_not_left_out_nor_are_many() -> None:
    assert sensitivity_of(found_in(whole_study(seeds=(1,)).build())).perturbations == ()
    many = whole_study(seeds=(1, 2, 3))
    many.experiment = experiment(seeds=list(range(1, 8)))
    for seed in range(4, 8):
        many.finalist("few-shot", seed, {"test": right(0.5)})
        many.finalist("lora", seed, {"test": right(0.8), "general:facts": right(0.8)})
    assert sensitivity_of(found_in(many.build())).perturbations == ()


def test_the_second_prompt_is_tried() -> None:
    built = StudyBuilder(
        experiment({"picked": "prompt", "other": "prompt", "lora": "lora"}, general=None)
    )
    for name, searched, share in (("picked", 0.6, 0.4), ("other", 0.5, 0.5), ("lora", 0.8, 0.8)):
        built.search(name, [searched]).finalist(name, 1, {"test": right(share)})
    (found,) = sensitivity_of(found_in(built.build())).perturbations
    assert found.left_out == "picked, with other compared in its place"
    assert (found.outcome, found.winner, found.changed) == ("fine_tune", "lora", False)


def test_without_flagged_items(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = WithoutFlagged(90, 0.5, 0.5, 0.0, Interval(-0.1, 0.1), "inconclusive")
    plain = assess_sensitivity

    def flagged(measured: Any, judgement: Any, primary: Contrast, seeds: Any) -> Any:
        return plain(measured, judgement, replace(primary, without_flagged=clean), seeds)

    monkeypatch.setattr(module, "assess_sensitivity", flagged)
    found = sensitivity_of(found_in(whole_study(seeds=(1,)).build()))
    (perturbation,) = found.perturbations
    assert perturbation.left_out == "items flagged by the leakage audit"
    assert (perturbation.outcome, perturbation.changed) == ("inconclusive", True)


def test_it_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, Any] = {
        "p": "prompt", "q": "prompt", "r": "prompt", "full": "full", "lora": "lora",
        "qlora": "qlora",
    }  # fmt: skip
    generator = np.random.default_rng(0)
    built = StudyBuilder(experiment(kinds, general=None))
    for arm, kind in kinds.items():
        for seed in (1, 2, 3):
            share = 0.5 if kind == "prompt" else 0.7
            answers = (generator.random(1000) < share).astype(float)
            built.finalist(arm, seed, {"test": answers})
    plain, took = assess_sensitivity, list[float]()

    def timed(*args: Any) -> Any:
        start = time.process_time()
        result = plain(*args)
        took.append(time.process_time() - start)
        return result

    monkeypatch.setattr(module, "assess_sensitivity", timed)
    analyse(built.build(), resamples=10_000)
    assert took[0] < 4  # about 1 s; generous, for machines under load
