"""Studies of prompts only: their outcomes, what is compared, and what is left unsaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.whole_study import analyse
from harness.analysis.wording import result
from harness.findings import Findings

from .study_builder import StudyBuilder, cost, experiment, right

SEARCHED = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}


def prompts(
    tested: Mapping[str, float],
    *,
    latencies: Mapping[str, float] | None = None,
    declared: tuple[str, ...] = (),
    **changes: Any,
) -> StudyBuilder:
    """Prompt arms with their shares right on test; on validation, the earlier letter is better.

    declared: arms without a test result.
    """
    arms: dict[str, Any] = dict.fromkeys((*tested, *declared), "prompt")
    built = StudyBuilder(experiment(arms, **changes))
    for arm in arms:
        built.search(arm, [SEARCHED[arm], SEARCHED[arm] - 0.1])
    for arm, share in tested.items():
        for seed in (1, 2, 3):
            built.finalist(
                arm, seed, {"test": right(share), "validation": right(SEARCHED[arm])},
                latencies=((latencies or {}).get(arm, 0.1),) * 5,
                trial_cost=cost(0.0, artifact_bytes=0),
            )  # fmt: skip
    return built


def found_in(built: StudyBuilder, *, sensitivity: bool = False) -> Findings:
    return analyse(built.build(), resamples=400, sensitivity=sensitivity)


SLOW_A = {"a": 2.0}
LIMIT = {"latency_ms": 500}
RANKED: dict[str, tuple[Callable[[], StudyBuilder], str, str, str]] = {
    "only_prompt_allowed": (
        lambda: prompts({"a": 0.5, "b": 0.8}, latencies={"b": 0.9}, constraints=LIMIT),
        "best_prompt", "a", "the only arm within the limits. b needs 900 ms",
    ),
    "leading_prompt": (
        lambda: prompts({"a": 0.8, "b": 0.6, "c": 0.5}),
        "best_prompt", "a", "Use a: it is better than b and c.",
    ),
    "another_prompt_leads": (
        lambda: prompts({"a": 0.6, "b": 0.8, "c": 0.4}),
        "best_prompt", "b",
        "it is better than a, which validation had picked, and that one is better than c.",
    ),
    "prompts_tied": (
        lambda: prompts({"a": 0.62, "b": 0.6, "c": 0.4}, latencies=SLOW_A),
        "prompts_tied", "b", "not shown to be better than b. b is named as the cheapest of them",
    ),
}  # fmt: skip


def test_an_arm_that_does_as_well_and_costs_no_less_leaves_the_leader_the_best() -> None:
    found = found_in(prompts({"a": 0.6, "b": 0.6, "c": 0.4})).verdict
    assert (found.outcome, found.winner) == ("best_prompt", "a")
    assert "is better than c and does as well as b and costs no more." in found.sentence


def test_an_arm_that_does_as_well_and_is_cheaper_is_named() -> None:
    found = found_in(prompts({"a": 0.6, "b": 0.6, "c": 0.4}, latencies=SLOW_A)).verdict
    assert (found.outcome, found.winner) == ("prompts_tied", "b")
    assert "no better than b by the margin" in found.sentence


def test_of_several_that_beat_the_leader_the_best_on_test_is_named() -> None:
    found = found_in(prompts({"a": 0.4, "b": 0.7, "c": 0.8})).verdict
    assert (found.outcome, found.winner) == ("prompts_tied", "c")
    assert "how b compares with c was not tested" in found.sentence
    assert "c is better than a, which" not in found.sentence
    assert "it is better than a, which validation had picked" in found.sentence


def test_the_leader_is_named_where_costs_are_unknown() -> None:
    found = found_in(prompts({"a": 0.62, "b": 0.6}, cost={"requests_per_month": 0})).verdict
    assert (found.outcome, found.winner) == ("prompts_tied", "a")


def test_what_would_settle_a_tie_is_said() -> None:
    found = found_in(prompts({"a": 0.62, "b": 0.6, "c": 0.605})).verdict
    assert found.items_needed is not None
    assert found.sentence.count("would settle it") == 2
    assert found.reasons[0] == "By test score: a 62.0 %, c 60.5 %, b 60.0 %."


def test_all_contrasts_are_one_family_the_primary_one_in_it() -> None:
    found = found_in(prompts({"a": 0.62, "b": 0.6, "c": 0.57, "d": 0.5}))
    assert found.primary is not None
    assert (found.primary.a, found.primary.b, found.primary.primary) == ("a", "b", True)
    assert [(c.a, c.b, c.primary) for c in found.secondary] == [
        ("a", "c", False), ("a", "d", False),
    ]  # fmt: skip
    family = sorted([found.primary, *found.secondary], key=lambda c: c.p_value)
    for rank, contrast in enumerate(family):
        assert contrast.p_adjusted >= min(1.0, (len(family) - rank) * contrast.p_value)
    assert family[0].p_adjusted == pytest.approx(3 * family[0].p_value)


def test_the_arm_that_the_experiment_names_is_the_primary_contrast() -> None:
    named = {"margin": 0.03, "against": "c"}
    found = found_in(prompts({"a": 0.8, "b": 0.6, "c": 0.5}, contrast=named))
    assert found.primary is not None
    assert (found.primary.a, found.primary.b) == ("a", "c")
    assert (found.verdict.outcome, found.verdict.winner) == ("best_prompt", "a")
    leader = found_in(
        prompts({"a": 0.8, "b": 0.6}, contrast={"margin": 0.03, "against": "a"})
    ).primary
    assert leader is not None
    assert (leader.a, leader.b) == ("a", "b")


def test_limits_leave_arms_out_of_the_ranking() -> None:
    tested = {"a": 0.9, "b": 0.6, "c": 0.4}
    found = found_in(prompts(tested, latencies=SLOW_A, constraints=LIMIT))
    assert (found.verdict.outcome, found.verdict.winner) == ("best_prompt", "b")
    assert any("a needs 2,000 ms" in reason for reason in found.verdict.reasons)
    assert {c.a for c in (found.primary, *found.secondary) if c} == {"b"}
    named = {"margin": 0.03, "against": "a"}
    wrong = found_in(prompts(tested, latencies=SLOW_A, constraints=LIMIT, contrast=named)).verdict
    assert (wrong.rule, wrong.outcome) == ("wrong_arm_declared", "inconclusive")
    every = dict.fromkeys(tested, 0.9)
    none = found_in(prompts(tested, latencies=every, constraints=LIMIT)).verdict
    assert (none.rule, none.outcome) == ("nothing_allowed", "inconclusive")


def test_one_arm_alone_was_compared_with_nothing() -> None:
    found = found_in(prompts({"a": 0.9})).verdict
    assert (found.outcome, found.winner) == ("inconclusive", "")
    assert "a is the only arm, so there is nothing to compare it with." in found.sentence


def test_an_arm_without_a_result_is_named() -> None:
    found = found_in(prompts({"a": 0.8, "b": 0.6}, declared=("c",))).verdict
    assert (found.outcome, found.winner) == ("best_prompt", "a")
    assert any("c has no test result" in caveat for caveat in found.caveats)
    alone = found_in(prompts({"a": 0.8}, declared=("b",))).verdict
    assert alone.outcome == "inconclusive"
    assert "Only a has a test result" in alone.sentence
    nothing = found_in(prompts({}, declared=("a", "b"))).verdict
    assert "No prompt arm has a test result" in nothing.sentence


def test_nothing_is_said_of_fine_tuning() -> None:
    for general in (None, {"margin": 0.05}):
        found = found_in(prompts({"a": 0.8, "b": 0.6}, general=general))
        assert found.claims == ()
        assert found.effort == ()
        text = " ".join([found.verdict.sentence, *found.verdict.reasons, *found.verdict.caveats])
        assert "fine-tun" not in text
        assert "forg" not in text


def test_arms_that_were_not_tuned_are_named() -> None:
    built = prompts({"b": 0.6}, declared=())
    arms: dict[str, Any] = {"a": {"kind": "prompt"}, "b": "prompt"}
    built.experiment = experiment(arms)
    built.search("a", [0.9])
    for seed in (1, 2, 3):
        built.finalist("a", seed, {"test": right(0.8)})
    assert "a was not tuned and may do better than here." in found_in(built).verdict.caveats


def test_the_verdict_of_a_ranking_has_a_sensitivity() -> None:
    study = prompts({"a": 0.8, "b": 0.6, "c": 0.5}, latencies=SLOW_A)
    found = found_in(study, sensitivity=True)
    assert found.sensitivity is not None
    margin = next(
        flip for flip in found.sensitivity.flips
        if (flip.assumption, flip.direction) == ("contrast.margin", "up")
    )  # fmt: skip
    assert margin.at is not None
    # Where so large a difference does not matter, the cheaper one is named.
    assert (margin.outcome, margin.winner) == ("prompts_tied", "b")
    assert margin.sentence.endswith("no single best prompt, with b named.")


def test_a_difference_that_correction_takes_back_is_said_to_be_one_of_its_family() -> None:
    found = found_in(prompts({"a": 0.6, "b": 0.5, "c": 0.6}, seeds=[1]))
    assert found.primary is not None
    said = replace(found.primary, outcome="inconclusive")
    assert not said.interval.low <= 0 <= said.interval.high
    assert result(said).endswith("may be chance, as it is one of 2 that are corrected together.")
