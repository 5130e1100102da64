"""Whether what the verdict names is worth anything beside what costs nothing."""

from __future__ import annotations

import numpy as np

from harness.analysis.whole_study import analyse
from harness.findings import Findings
from harness.records import ItemRow

from .study_builder import StudyBuilder, experiment, right


def study(*, base: float, lora: float, commonest: float = 0.0) -> Findings:
    """commonest: share of the test items whose right answer is one and the same label."""
    built = StudyBuilder(experiment(general=None))
    built.search("few-shot", [0.3, 0.2]).search("lora", [0.8, 0.7])
    built.finalist("base", 0, {"test": right(base)})
    items = len(right(lora))
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.3)})
        built.finalist("lora", seed, {"test": right(lora)})
    answers = np.where(np.arange(items) < commonest * items, "a", "b")
    if commonest:
        built.items = [
            ItemRow("lora", 1, f"item {n}", str(n), str(answer), "b", 1.0)
            for n, answer in enumerate(answers)
        ]
    return analyse(built.build(), resamples=400, sensitivity=False)


def doubts(findings: Findings) -> list[str]:
    return [caveat for caveat in findings.verdict.caveats if "nothing shows" in caveat]


def test_a_winner_that_is_no_better_than_the_untouched_base_is_told() -> None:
    (doubt,) = doubts(study(base=0.9, lora=0.7))
    assert "lora scores 70.0 %" in doubt
    assert "base without examples 90.0 %" in doubt
    assert not doubts(study(base=0.4, lora=0.7))


def test_a_winner_that_one_answer_to_all_would_beat_is_told() -> None:
    (doubt,) = doubts(study(base=0.1, lora=0.7, commonest=0.9))
    assert "`a`, would score 90.0 %" in doubt
    assert not doubts(study(base=0.1, lora=0.7, commonest=0.6))


def test_where_nothing_is_right_the_replies_are_to_be_read_and_no_items_collected() -> None:
    built = StudyBuilder(experiment(general=None))
    built.search("few-shot", [0.0, 0.0]).search("lora", [0.0, 0.0])
    for seed in (1, 2, 3):
        for arm in ("few-shot", "lora"):
            built.finalist(arm, seed, {"test": right(0.0)})
    findings = analyse(built.build(), resamples=400, sensitivity=False)
    assert (findings.verdict.rule, findings.verdict.winner) == ("nothing_right", "")
    assert findings.verdict.items_needed is None
    assert not any("would settle" in reason for reason in findings.verdict.reasons)
    steps = [step.rule for step in findings.next_steps]
    assert steps[0] == "replies"
    assert not {"more_items", "more_seeds", "seeds", "use"} & {*steps}


def test_an_arm_that_meets_nobody_does_not_hide_that_nothing_is_right() -> None:
    built = StudyBuilder(
        experiment(
            {"few-shot": "prompt", "lora": "lora", "full": "full"},
            general=None,
            contrast={"margin": 0.03, "fine_tuned": "lora"},
        )
    )
    built.search("few-shot", [0.0, 0.0]).search("lora", [0.0, 0.0]).search("full", [0.4, 0.3])
    built.finalist("base", 0, {"test": right(0.2)})
    for seed in (1, 2, 3):
        for arm, share in (("few-shot", 0.0), ("lora", 0.0), ("full", 0.4)):
            built.finalist(arm, seed, {"test": right(share)})
    findings = analyse(built.build(), resamples=400, sensitivity=False)
    assert findings.verdict.rule == "nothing_right"
    (doubt,) = doubts(findings)
    assert "base without examples 20.0 %" in doubt
