"""Two fine-tuned arms as the primary contrast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from harness.analysis.whole_study import analyse
from harness.findings import Findings

from .study_builder import ACCURACY, StudyBuilder, cost, experiment, right
from .unpowered import unpowered

__all__ = ["unpowered"]

Case = tuple[Callable[[], StudyBuilder], str, str, str]


def pair_study(
    *,
    one: float = 0.8,
    other: float = 0.6,
    kept_one: float = 0.8,
    kept_other: float = 0.8,
    swapped: bool = False,
    **changes: Any,
) -> StudyBuilder:
    """``lora`` (one) against ``full`` (other), or the other way round; full is large."""
    named = ("full", "lora") if swapped else ("lora", "full")
    contrast = {"margin": 0.03, "fine_tuned": named[0], "against": named[1]}
    arms: dict[str, Any] = {"few-shot": "prompt", "lora": "lora", "full": "full"}
    built = StudyBuilder(experiment(arms, contrast=contrast, **changes), {"facts": ACCURACY})
    built.search("few-shot", [0.5]).search("lora", [0.7]).search("full", [0.9])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        for name, share, kept, memory in (
            ("lora", one, kept_one, 1000.0), ("full", other, kept_other, 9000.0),
        ):  # fmt: skip
            scores = {"test": right(share), "general:facts": right(kept)}
            built.finalist(name, seed, scores, trial_cost=cost(memory=memory))
    return built


LIMIT = {"memory_mib": 5000}
TWO_TUNED: dict[str, Case] = {
    "two_tuned_one_allowed": (
        lambda: pair_study(constraints=LIMIT), "fine_tune", "lora", "full needs 9,000 MiB",
    ),
    "two_tuned_better_and_kept": (
        lambda: pair_study(one=0.6, other=0.8), "fine_tune", "full", "Of the two",
    ),
    "two_tuned_better_but_forgot": (
        lambda: pair_study(kept_one=0.6), "forgets_too_much", "full", "lora gives up 20",
    ),
    "two_tuned_equivalent": (
        lambda: pair_study(other=0.8, kept_other=0.6), "equivalent", "lora", "full lost more",
    ),
    "two_tuned_both_forgot": (
        lambda: pair_study(other=0.8, kept_one=0.6, kept_other=0.6), "forgets_too_much", "",
        "Both forget too much",
    ),
    "two_tuned_open": (
        lambda: pair_study(kept_one=0.75), "inconclusive", "", "may have lost",
    ),
}  # fmt: skip


def found_in(built: StudyBuilder) -> Findings:
    return analyse(built.build(), resamples=400, sensitivity=False)


VARIANTS: dict[str, dict[str, Any]] = {
    "better": {},
    "worse": {"one": 0.5, "other": 0.9},
    "close": {"one": 0.63, "other": 0.6},
    "equal": {"other": 0.8},
    "no suite": {"general": None},
    "forgot": {"kept_one": 0.6},
    "both forgot": {"kept_one": 0.6, "kept_other": 0.6},
    "equal, both forgot": {"other": 0.8, "kept_one": 0.6, "kept_other": 0.6},
    "equal, one forgot": {"other": 0.8, "kept_one": 0.6},
    "open": {"kept_one": 0.75, "kept_other": 0.75},
    "limit": {"constraints": LIMIT},
    "limit on the better": {"one": 0.5, "constraints": LIMIT},
    "limit on both": {"constraints": {"memory_mib": 500}},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_swapping_the_arms_mirrors_the_verdict(name: str) -> None:
    one, other = (found_in(pair_study(**VARIANTS[name], swapped=s)) for s in (False, True))
    assert one.primary is not None
    assert other.primary is not None
    assert one.primary.difference == -other.primary.difference
    mine, theirs = one.verdict, other.verdict
    assert (mine.outcome, mine.winner, mine.rule) == (theirs.outcome, theirs.winner, theirs.rule)


@pytest.mark.parametrize("name", VARIANTS)
def test_no_fine_tuned_arm_is_called_prompting(name: str) -> None:
    found = found_in(pair_study(**VARIANTS[name]))
    assert "prompt" not in found.verdict.sentence
    assert found.verdict.outcome != "prompt"
    assert any("Two ways of fine-tuning" in caveat for caveat in found.verdict.caveats)


def test_prompting_is_told_among_the_reasons() -> None:
    found = found_in(pair_study())
    assert [(c.a, c.b) for c in found.secondary] == [
        ("lora", "few-shot"),
        ("full", "few-shot"),
    ]
    assert any(reason.startswith("Against prompting: lora") for reason in found.verdict.reasons)
    assert {row.against for row in found.break_even} == {"few-shot"}


def test_without_prompt_arm_and_without_the_other_arm_named_nothing_is_compared() -> None:
    arms: dict[str, Any] = {"lora": "lora", "full": "full"}
    built = StudyBuilder(experiment(arms))
    for name in arms:
        built.search(name, [0.5]).finalist(name, 1, {"test": right(0.5)})
    assert found_in(built).verdict.rule == "not_compared"


def same_arm_twice(seed: int, spread: float) -> StudyBuilder:
    """One way of training under three and three other seeds; no suite to forget."""
    generator = np.random.default_rng(seed)
    arms: dict[str, Any] = {"a": "lora", "b": {"kind": "lora", "seeds": [4, 5, 6]}}
    contrast = {"margin": 0.03, "fine_tuned": "a", "against": "b"}
    built = StudyBuilder(experiment(arms, contrast=contrast, general=None))
    difficulty = generator.random(400)
    for name, seeds in (("a", (1, 2, 3)), ("b", (4, 5, 6))):
        for number in seeds:
            level = 0.7 + spread * generator.standard_normal()
            answers = difficulty + 0.2 * (generator.random(400) - 0.5) < level
            built.finalist(name, number, {"test": answers.astype(float)})
    return built


@pytest.mark.usefixtures("unpowered")
@pytest.mark.parametrize("spread", [0.0, 0.03])
def test_the_same_arm_twice_is_called_better_no_more_often_than_the_level_allows(
    spread: float,
) -> None:
    studies = 120
    outcomes = [found_in(same_arm_twice(n, spread)).verdict.outcome for n in range(studies)]
    assert set(outcomes) <= {"inconclusive", "equivalent", "fine_tune"}
    # At 95 % a chance claim in 20 studies is what was declared; more would be a fault.
    assert outcomes.count("fine_tune") <= binom.ppf(0.999, studies, 0.05)


def test_an_arm_against_its_own_answers_claims_nothing() -> None:
    found = found_in(pair_study(one=0.7, other=0.7))
    assert found.verdict.outcome == "equivalent"
