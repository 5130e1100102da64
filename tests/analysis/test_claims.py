"""Each claim: the rule gives every status it can give, with what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.arms.memory_estimate import bytes_per_parameter, estimate_memory
from harness.analysis.claims.facts import ClaimFacts
from harness.analysis.claims.guides import CLAIMS, ONE_GPU_MIB, check_claims
from harness.analysis.whole_study import analyse
from harness.findings import (
    Claim,
    Contrast,
    ContrastOutcome,
    CurvePoint,
    Findings,
    Forgetting,
    Interval,
    LearningCurve,
    MemoryEstimate,
    SettingEffect,
)
from harness.records import TrialCost

from .study_builder import ACCURACY, StudyBuilder, cost, experiment, right, whole_study

KINDS: dict[str, Any] = {"few-shot": "prompt", "lora": "lora", "qlora": "qlora", "full": "full"}


def four_arms() -> StudyBuilder:
    built = StudyBuilder(experiment(KINDS), {"facts": ACCURACY})
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for name, share, memory in (
        ("few-shot", 0.5, 800.0), ("lora", 0.8, 1000.0), ("qlora", 0.8, 700.0),
        ("full", 0.8, 4000.0),
    ):  # fmt: skip
        built.search(name, [share, share - 0.1])
        for seed in (1, 2, 3):
            scores = {"test": right(share), "general:facts": right(0.8)}
            built.finalist(name, seed, scores, trial_cost=cost(memory=memory + 10 * seed))
    return built


BUILT = four_arms()
STUDY = BUILT.build()
FOUND = analyse(STUDY, resamples=400, sensitivity=False)


def facts(**changes: Any) -> ClaimFacts:
    """The facts of a study with all four kinds, changed."""
    runs = {
        arm: [t.cost for t in STUDY.trials if t.arm == arm and t.phase == "finalist" and t.cost]
        for arm in KINDS
    }
    plain = ClaimFacts(FOUND, BUILT.experiment, STUDY.experiment, "lora", "few-shot", None, runs)
    return replace(plain, **changes)


def between(a: str, b: str, outcome: ContrastOutcome, **changes: Any) -> Findings:
    """The findings with another outcome of one contrast."""
    contrasts = [
        replace(c, outcome=outcome, **changes) if {c.a, c.b} == {a, b} else c
        for c in (FOUND.primary, *FOUND.secondary)
        if c is not None
    ]
    return replace(FOUND, primary=contrasts[0], secondary=tuple(contrasts[1:]))


def nothing() -> ClaimFacts:
    """A study that measured nothing."""
    empty = analyse(StudyBuilder(experiment(KINDS)).build(), resamples=100)
    return facts(findings=empty, fine_tuned="", prompt="", runs={})


def memory(lora: list[float], full: list[float]) -> ClaimFacts:
    def runs(peaks: list[float]) -> list[TrialCost]:
        return [cost(memory=peak) for peak in peaks]

    return facts(runs={"lora": runs(lora), "full": runs(full)})


def curve(low: float, high: float) -> ClaimFacts:
    points = tuple(
        CurvePoint(size, 3, 0.9, 0.7, None, 0.2, None, size == 100) for size in (20, 100)
    )
    interval = Interval(low, high)
    found = LearningCurve("lora", "exact_match", points, 0.1, interval, None, None)
    return facts(findings=replace(FOUND, curves=(found,)))


def forgetting(change: Interval, outcome: Any, effect: Interval | None) -> ClaimFacts:
    lost = Forgetting("lora", (), (change.low + change.high) / 2, change, "", None, 0.05, outcome)
    effects = (
        (SettingEffect("lora", "learning_rate", 8, effect.low, effect, 0.01),) if effect else ()
    )
    return facts(findings=replace(FOUND, forgetting=(lost,), effects=effects))


def tokens(fine_tuned: float) -> ClaimFacts:
    arms = tuple(
        replace(arm, cost=replace(arm.cost, prompt_tokens=fine_tuned if arm.arm == "lora" else 100))
        for arm in FOUND.arms
    )
    return facts(findings=replace(FOUND, arms=arms))


def form(outcome: ContrastOutcome, share: float) -> ClaimFacts:
    assert FOUND.primary is not None
    shown = replace(FOUND.primary, metric="valid", outcome=outcome, mean_a=share)
    return facts(form=shown)


def money(each: float) -> ClaimFacts:
    arms = tuple(replace(arm, cost=replace(arm.cost, upfront=each)) for arm in FOUND.arms)
    return facts(findings=replace(FOUND, arms=arms))


def estimated(mib: float) -> ClaimFacts:
    large = MemoryEstimate("qlora", 65_000_000_000, mib)
    return facts(findings=replace(FOUND, memory=(large,)))


def beaten_by_another() -> ClaimFacts:
    verdict = replace(FOUND.verdict, rule="another_prompt_not_beaten")
    return facts(findings=replace(FOUND, verdict=verdict))


def from_hub() -> ClaimFacts:
    model = replace(STUDY.experiment.model, revision="abc")
    return facts(record=replace(STUDY.experiment, model=model))


LOST, KEPT, OPEN = Interval(-0.3, -0.1), Interval(-0.01, 0.02), Interval(-0.2, 0.1)
DOWN, UP, FLAT = Interval(-0.9, -0.2), Interval(0.2, 0.9), Interval(-0.4, 0.4)
CASES: list[tuple[str, str, Callable[[], ClaimFacts]]] = [
    ("accuracy", "held", facts),
    ("accuracy", "not_held", lambda: facts(findings=between("lora", "few-shot", "worse"))),
    ("accuracy", "not_held", lambda: facts(findings=between("lora", "few-shot", "equivalent"))),
    ("accuracy", "inconclusive", beaten_by_another),
    (
        "accuracy",
        "inconclusive",
        lambda: facts(findings=between("lora", "few-shot", "inconclusive")),
    ),
    ("accuracy", "not_tested", nothing),
    ("lora_close", "held", lambda: facts(findings=between("lora", "full", "equivalent"))),
    ("lora_close", "held", lambda: facts(findings=between("lora", "full", "better"))),
    ("lora_close", "not_held", lambda: facts(findings=between("lora", "full", "worse"))),
    ("lora_close", "inconclusive", lambda: facts(findings=between("lora", "full", "inconclusive"))),
    ("lora_close", "not_tested", nothing),
    ("lora_memory", "held", lambda: memory([1000.0, 1010.0], [4000.0, 4010.0])),
    ("lora_memory", "held", lambda: memory([1000.0], [4000.0])),
    ("lora_memory", "not_held", lambda: memory([2000.0, 2010.0], [4000.0, 4010.0])),
    ("lora_memory", "inconclusive", lambda: memory([1500.0, 1000.0], [3300.0, 4000.0])),
    ("lora_memory", "not_tested", nothing),
    ("qlora", "held", lambda: facts(findings=between("qlora", "full", "equivalent"))),
    ("qlora", "not_held", lambda: facts(findings=between("qlora", "full", "worse"))),
    ("qlora", "not_held", lambda: estimated(ONE_GPU_MIB + 1)),
    ("qlora", "inconclusive", lambda: facts(findings=between("qlora", "full", "inconclusive"))),
    ("qlora", "not_tested", nothing),
    ("small_data", "held", lambda: curve(0.05, 0.2)),
    ("small_data", "not_held", lambda: curve(-0.2, -0.05)),
    ("small_data", "inconclusive", lambda: curve(-0.05, 0.2)),
    ("small_data", "not_tested", facts),
    ("forgetting", "held", lambda: forgetting(LOST, "forgot", DOWN)),
    ("forgetting", "not_held", lambda: forgetting(LOST, "forgot", UP)),
    ("forgetting", "not_held", lambda: forgetting(KEPT, "kept", FLAT)),
    ("forgetting", "not_held", lambda: forgetting(KEPT, "kept", None)),
    ("forgetting", "inconclusive", lambda: forgetting(KEPT, "kept", DOWN)),
    ("forgetting", "inconclusive", lambda: forgetting(LOST, "forgot", FLAT)),
    ("forgetting", "inconclusive", lambda: forgetting(OPEN, "inconclusive", None)),
    ("forgetting", "not_tested", nothing),
    ("tokens", "held", lambda: tokens(40.0)),
    ("tokens", "not_held", lambda: tokens(60.0)),
    ("tokens", "not_held", lambda: tokens(120.0)),
    ("tokens", "not_tested", nothing),
    ("form", "held", lambda: form("better", 0.7)),
    ("form", "held", lambda: form("equivalent", 0.99)),
    ("form", "held", lambda: form("worse", 0.96)),
    ("form", "not_held", lambda: form("equivalent", 0.7)),
    ("form", "not_held", lambda: form("worse", 0.7)),
    ("form", "inconclusive", lambda: form("inconclusive", 0.99)),
    ("form", "not_tested", facts),
    ("money", "held", lambda: money(30.0)),
    ("money", "not_held", lambda: money(3.0)),
    ("money", "not_tested", nothing),
    ("in_house", "held", facts),
    ("in_house", "not_tested", from_hub),
]  # fmt: skip


def claim(key: str, given: ClaimFacts) -> Claim:
    return next(found for found in check_claims(given) if found.key == key)


@pytest.mark.parametrize(("key", "status", "build"), CASES)
def test_status(key: str, status: str, build: Callable[[], ClaimFacts]) -> None:
    found = claim(key, build())
    assert found.status == status, found
    assert found.why.endswith(".")
    assert found.claim.endswith(".")
    if status != "not_tested":
        assert found.measured.endswith(".")
        assert any(character.isdigit() for character in found.measured) or key == "in_house"


def test_a_server_elsewhere_that_writes_an_instruction_is_named() -> None:
    away = {"url": "https://models.example.org/v1", "model": "big"}
    written = {"optimise": {"by": "gepa", "reflection": {"endpoint": away}}}
    arms = {**KINDS, "written": {"kind": "prompt", "instruction": written}}
    found = claim("in_house", facts(experiment=experiment(arms, budget={"trials": 4})))
    assert f"the instruction of written is written by {away['url']}" in found.measured
    assert "they sent it texts of the data" in found.why


def test_every_claim_is_checked_once() -> None:
    keys = [key for key, _, _ in CLAIMS]
    assert len(keys) == 10
    assert len(set(keys)) == 10
    assert {key for key, _, _ in CASES} == set(keys)
    assert [found.key for found in FOUND.claims] == keys


def test_the_analysis_compares_the_form_of_answers() -> None:
    built = whole_study()
    vectors = [v for v in built.vectors if v.arm != "base" and v.split == "test"]
    for vector in vectors:
        share = 1.0 if vector.arm == "lora" else 0.7
        valid = replace(vector, metric="valid", values=vector.values * 0 + 1)
        valid.values[: round((1 - share) * len(valid.values))] = 0
        built.vectors.append(valid)
    found = next(c for c in analyse(built.build(), resamples=400).claims if c.key == "form")
    assert found.status == "held"
    assert "lora gets 100.0 % of answers valid, few-shot 70.0 %" in found.measured
    assert found.interval is not None


def test_form_metrics_exist() -> None:
    assert experiment().task.answer.form_metric.name in experiment().task.metrics


def test_a_contrast_is_read_in_either_direction() -> None:
    forth, back = facts().between("lora", "few-shot"), facts().between("few-shot", "lora")
    assert isinstance(forth, Contrast)
    assert isinstance(back, Contrast)
    assert (back.outcome, back.difference) == ("worse", -forth.difference)
    assert (back.interval.low, back.interval.high) == (-forth.interval.high, -forth.interval.low)
    assert facts().between("lora", "nobody") is None


def test_memory_saved_has_an_interval_from_several_seeds_only() -> None:
    several, single = memory([1000.0, 1100.0], [4000.0, 4100.0]), memory([1000.0], [4000.0])
    interval = claim("lora_memory", several).interval
    assert interval is not None
    assert interval.low < 1 - 1050 / 4050 < interval.high
    alone = claim("lora_memory", single)
    assert alone.interval is None
    assert "75 % less" in alone.measured
    assert "single measurement" in alone.why
    assert "includes the runtime" in alone.why


@pytest.mark.parametrize(
    ("kind", "dtype", "expected"),
    [
        ("full", "float32", 16), ("full", "bfloat16", 18), ("lora", "float32", 4.16),
        ("lora", "float16", 2.16), ("qlora", "bfloat16", 0.5 + 0.127 / 8 + 0.16),
        ("prompt", "float32", 4), ("prompt", "bfloat16", 2),
    ],
)  # fmt: skip
def test_bytes_per_parameter(kind: str, dtype: str, expected: float) -> None:
    assert bytes_per_parameter(kind, dtype, 0.01) == pytest.approx(expected)


def test_constants_that_are_not_quantised_take_half_a_bit() -> None:
    both = [
        bytes_per_parameter("qlora", "bfloat16", 0, double_quantisation=d) for d in (True, False)
    ]
    assert both[1] - both[0] == pytest.approx((0.5 - 0.127) / 8)


def test_estimates_for_the_own_model_and_the_sizes_asked_for() -> None:
    found = FOUND.memory
    assert [e.kind for e in found] == ["full", "lora", "qlora"] * 3
    assert [e.parameters for e in found[::3]] == [135_000_000, 7_000_000_000, 65_000_000_000]
    assert found[0].mib == pytest.approx(135e6 * 16 / 2**20)
    qlora = found[-1]
    assert 32_000 < qlora.mib < ONE_GPU_MIB
    assert estimate_memory((), BUILT.experiment, "float32") == ()
    full = [arm for arm in FOUND.arms if arm.kind == "full"]
    assert {e.kind for e in estimate_memory(full, BUILT.experiment, "bfloat16")} == {"full"}
