"""A classifier beside the arms: what it does to the verdict, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.verdict.rules import rules
from harness.analysis.whole_study import analyse
from harness.findings import Findings

from .study_builder import StudyBuilder, cost, experiment, right

SMALL = cost(1.0, artifact_bytes=2 * 2**20)


def beside(words: float, *, lora: float = 0.8, general: Any = None) -> StudyBuilder:
    """LoRA is better than the prompt; ``words`` is the classifier's share of right answers."""
    arms: dict[str, Any] = {
        "few-shot": "prompt", "lora": "lora", "words": {"kind": "classifier"},
    }  # fmt: skip
    built = StudyBuilder(experiment(arms, general=general))
    built.search("few-shot", [0.5, 0.4]).search("lora", [lora, 0.7]).search("words", [0.99, 0.9])
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        built.finalist("lora", seed, {"test": right(lora)})
        built.finalist("words", seed, {"test": right(words)}, trial_cost=SMALL)
    return built


def found_in(built: StudyBuilder) -> Findings:
    return analyse(built.build(), resamples=400, sensitivity=False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (0.95, "No language model is needed: words, a classifier of 2 MiB, does this better."),
        (0.8, "No language model is needed: words, a classifier of 2 MiB, does this as well."),
    ],
)
def test_a_classifier_that_is_not_beaten_is_told_with_the_decision_and_first_of_all_reasons(
    words: float, sentence: str
) -> None:
    found = found_in(beside(words))
    assert found.verdict.sentence.startswith("Fine-tune with lora.")
    assert found.verdict.sentence.endswith(f" {sentence}")
    assert found.verdict.reasons[0].startswith(sentence)
    assert "lora" in found.verdict.reasons[0]


def test_one_that_is_beaten_is_named_last() -> None:
    found = found_in(beside(0.4))
    assert "words" not in found.verdict.sentence
    assert found.verdict.reasons[-1].startswith("A language model is worth it: words")


def test_it_is_neither_side_of_the_contrast_nor_the_winner() -> None:
    """Its score on validation is the best of all, and it changes no other number."""
    built, without = beside(0.99), beside(0.1)
    found, other = found_in(built), found_in(without)
    assert (found.verdict.winner, found.verdict.outcome) == ("lora", "fine_tune")
    assert found.primary == other.primary
    assert found.primary is not None
    assert (found.primary.a, found.primary.b) == ("lora", "few-shot")
    assert [row.arm for row in found.arms] == ["few-shot", "lora", "words"]
    assert [(one.a, one.b, one.outcome) for one in found.references] == [("lora", "words", "worse")]
    assert not any(contrast.b == "words" for contrast in found.secondary)
    assert {point.arm for point in found.trade_off} <= {"few-shot", "lora"}
    assert not any("words" in caveat for caveat in found.verdict.caveats)


def ranked_prompts(**classifier: float) -> StudyBuilder:
    arms: dict[str, Any] = {"a": "prompt", "b": "prompt"}
    shares = {"a": 0.8, "b": 0.5, **classifier}
    built = StudyBuilder(
        experiment({**arms, **{name: {"kind": "classifier"} for name in classifier}}, general=None)
    )
    for arm, share in shares.items():
        built.search(arm, [share, share - 0.1])
        for seed in (1, 2, 3):
            built.finalist(arm, seed, {"test": right(share)}, trial_cost=SMALL)
    return built


def test_in_a_study_of_prompts_it_is_not_ranked() -> None:
    built = ranked_prompts(words=0.95)
    items = tuple(f"test-{n}" for n in range(5))
    audit = built.data.audit
    flagged = {"test": {"exact": items, "near": (), "ngram": ()}}
    built.data = replace(built.data, audit=replace(audit, flagged=flagged))  # type: ignore[arg-type]
    found = analyse(built.build(), resamples=400)
    assert (found.verdict.outcome, found.verdict.winner) == ("best_prompt", "a")
    assert found.verdict.reasons[0].startswith("No language model is needed: words")
    assert found.sensitivity is not None
    assert not any("words" in (one.winner) for one in found.sensitivity.perturbations)
    assert not any("words" in caveat for caveat in found.verdict.caveats)
    # The prompts are one family, and the classifier is none of it.
    alone = found_in(ranked_prompts())
    assert found.primary is not None
    assert alone.primary is not None
    assert found.primary.p_adjusted == alone.primary.p_adjusted
    assert found.secondary == ()
    assert [one.flagged for one in found.references] == [5]


def test_the_rule_is_told_with_the_others() -> None:
    assert rules()[-1][0] == "reference_not_beaten"
