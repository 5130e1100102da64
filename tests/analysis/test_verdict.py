"""Every rule of the verdict is reached by a study, and says what it must."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.verdict.rules import RULES, rules
from harness.analysis.verdict.sentences import SENTENCES
from harness.analysis.whole_study import analyse
from harness.analysis.wording import result, what_it_takes
from harness.findings import Findings, Verdict
from harness.report.sections.outcome import not_compared, reading

from .study_builder import (
    ACCURACY,
    BITS,
    StudyBuilder,
    cost,
    experiment,
    right,
    whole_study,
)
from .test_both import BOTH_CASES
from .test_effort import HARDLY_TRIED
from .test_forgetting import one_destroyed
from .test_ranking import RANKED
from .test_two_tuned import TWO_TUNED


def verdict_on(built: StudyBuilder) -> Verdict:
    return analyse(built.build(), resamples=400, sensitivity=False).verdict


def two_trained(*, lora: float = 0.8, full: float = 0.9, **changes: Any) -> StudyBuilder:
    """``full`` is the best on validation and forgets; ``lora`` does not."""
    arms: dict[str, Any] = {"few-shot": "prompt", "lora": "lora", "full": "full"}
    built = StudyBuilder(experiment(arms, **changes), {"facts": ACCURACY})
    built.search("few-shot", [0.5, 0.4]).search("lora", [0.8, 0.7]).search("full", [0.9, 0.8])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)})
        built.finalist("lora", seed, {"test": right(lora), "general:facts": right(0.8)})
        built.finalist(
            "full",
            seed,
            {"test": right(full), "general:facts": right(0.5)},
            trial_cost=cost(memory=9000.0),
        )
    return built


def two_prompts(*, other: float, **changes: Any) -> StudyBuilder:
    """``picked`` is the better prompt on validation and the worse on test."""
    arms: dict[str, Any] = {"picked": "prompt", "other": "prompt", "lora": "lora"}
    built = StudyBuilder(experiment(arms, **changes), {"facts": ACCURACY})
    built.search("picked", [0.7]).search("other", [0.6]).search("lora", [0.8])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for seed in (1, 2, 3):
        built.finalist("picked", seed, {"test": right(0.4)})
        built.finalist("other", seed, {"test": right(other)})
        built.finalist("lora", seed, {"test": right(0.8), "general:facts": right(0.8)})
    return built


def slow(latency: float, arm: str, **changes: Any) -> StudyBuilder:
    built = StudyBuilder(
        experiment(constraints={"latency_ms": 500}, **changes), {"facts": ACCURACY}
    )
    built.search("few-shot", [0.5, 0.5]).search("lora", [0.8, 0.8])
    built.finalist("base", 0, {"test": right(0.3), "general:facts": right(0.8)})
    for name, share in (("few-shot", 0.5), ("lora", 0.8)):
        for seed in (1, 2, 3):
            scores = {"test": right(share), "general:facts": right(0.8)}
            if name == "few-shot":
                del scores["general:facts"]
            taken = latency if arm in (name, "both") else 0.1
            built.finalist(name, seed, scores, latencies=(taken,) * 5)
    return built


def nothing_right() -> StudyBuilder:
    built = StudyBuilder(experiment())
    built.search("few-shot", [0.0, 0.0]).search("lora", [0.0, 0.0])
    for seed in (1, 2, 3):
        for arm in ("few-shot", "lora"):
            built.finalist(arm, seed, {"test": right(0.0)})
    return built


CASES: dict[str, tuple[Callable[[], StudyBuilder], str, str, str]] = {
    "not_compared": (lambda: whole_study(seeds=()), "inconclusive", "", "No fine-tuned arm"),
    "nothing_right": (nothing_right, "inconclusive", "", "neither lora nor few-shot has anything"),
    "nothing_allowed": (lambda: slow(0.9, "both"), "inconclusive", "", "No arm may be used"),
    "wrong_arm_declared": (
        lambda: two_trained(
            constraints={"memory_mib": 5000}, contrast={"margin": 0.03, "fine_tuned": "full"}
        ),
        "inconclusive",
        "",
        "full needs 9,000 MiB",
    ),
    "fine_tuning_not_allowed": (lambda: slow(0.9, "lora"), "prompt", "few-shot", "900 ms"),
    "prompt_not_allowed": (lambda: slow(0.9, "few-shot"), "fine_tune", "lora", "900 ms"),
    "another_prompt_not_beaten": (
        lambda: two_prompts(other=0.78), "inconclusive", "", "Validation had picked picked",
    ),
    "better_and_kept": (whole_study, "fine_tune", "lora", "30.0 percentage points"),
    "better_none_declared": (
        lambda: whole_study(general_suite=None), "fine_tune", "lora", "30.0 percentage points",
    ),
    "another_kept": (two_trained, "fine_tune", "lora", "full was to be judged first"),
    "better_but_forgot": (
        lambda: whole_study(general=0.6), "forgets_too_much", "few-shot", "gives up 20",
    ),
    "better_but_lost_ability": (
        one_destroyed, "forgets_too_much", "few-shot", "instructions: 70.0 % before, 0.0 % after",
    ),
    "better_forgetting_open": (
        lambda: whole_study(general=0.75), "inconclusive", "", "may have lost",
    ),
    "worse": (lambda: whole_study(tuned=0.3), "prompt", "few-shot", "worse by 20"),
    "equivalent_but_forgot": (
        lambda: whole_study(tuned=0.5, general=0.6), "prompt", "few-shot", "gives up 20",
    ),
    "equivalent": (lambda: whole_study(tuned=0.5), "equivalent", "few-shot", "equally well"),
    "open_but_all_forgot": (
        lambda: whole_study(tuned=0.52, prompt=0.5, general=0.6),
        "prompt", "few-shot", "gives up 20",
    ),
    "open": (
        lambda: whole_study(tuned=0.52, prompt=0.5), "inconclusive", "", "would settle it",
    ),
    **HARDLY_TRIED,
    **RANKED,
    **TWO_TUNED,
    **BOTH_CASES,
}  # fmt: skip


def test_every_rule_has_a_case_and_a_sentence() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(CASES) == sorted(names)
    assert set(SENTENCES) == set(names)
    assert len(set(names)) == len(names)
    assert rules()[:-1] == [(rule.name, rule.text) for rule in RULES]
    assert all(text.endswith(".") for _, text in rules())


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str) -> None:
    build, outcome, winner, words = CASES[name]
    found = verdict_on(build())
    assert found.rule == name, found.sentence
    assert (found.outcome, found.winner) == (outcome, winner)
    assert words in found.sentence
    assert all(line.strip().endswith(".") for line in (found.sentence, *found.reasons))


def test_a_prompt_that_is_beaten_too_or_not_the_one_declared_takes_nothing_back() -> None:
    assert verdict_on(two_prompts(other=0.5)).outcome == "fine_tune"
    declared = two_prompts(other=0.78, contrast={"margin": 0.03, "against": "picked"})
    assert verdict_on(declared).outcome == "fine_tune"


@pytest.mark.parametrize(("other", "named"), [(0.7, False), (0.78, False), (0.55, True)])
def test_an_arm_that_another_prompt_may_beat_takes_no_place(other: float, named: bool) -> None:
    # On test lora has 0.8 right: full, which beats every prompt, forgets.
    built = two_trained(lora=0.7 if other == 0.7 else 0.8)
    built.experiment = experiment(
        {"few-shot": "prompt", "other": "prompt", "lora": "lora", "full": "full"}
    )
    built.search("other", [0.4])
    for seed in (1, 2, 3):
        built.finalist("other", seed, {"test": right(other)})
    found = verdict_on(built)
    assert (found.rule == "another_kept") is named, found.sentence
    assert named or (found.rule, found.winner) == ("better_but_forgot", "few-shot")


def test_the_caveat_on_tuning_holds_an_arm_that_took_anothers_place() -> None:
    caveats = verdict_on(two_trained()).caveats
    assert any(one.startswith("Tuned once: full, few-shot and lora.") for one in caveats)


def test_equivalent_names_the_cheaper() -> None:
    built = StudyBuilder(experiment(), {"facts": ACCURACY})
    built.search("few-shot", [0.5]).search("lora", [0.5])
    built.finalist("base", 0, {"general:facts": right(0.8)})
    for seed in (1, 2, 3):
        built.finalist("few-shot", seed, {"test": right(0.5)}, latencies=(2.0,))
        scores = {"test": right(0.5), "general:facts": right(0.8)}
        built.finalist("lora", seed, scores, latencies=(0.5,))
    found = verdict_on(built)
    assert (found.outcome, found.winner) == ("equivalent", "lora")
    assert "is cheaper" in found.sentence


def test_an_arm_beyond_the_limits_stands_back_for_one_within() -> None:
    found = analyse(
        two_trained(constraints={"memory_mib": 5000}).build(), resamples=400, sensitivity=False
    )
    assert found.primary is not None
    assert found.primary.a == "lora"
    assert any("full needs 9,000 MiB" in reason for reason in found.verdict.reasons)


def test_a_suite_that_was_declared_but_not_measured_is_not_called_kept() -> None:
    built = whole_study()
    built.vectors = [v for v in built.vectors if not (v.arm == "base" and v.suite == "general")]
    found = analyse(built.build(), resamples=400, sensitivity=False)
    assert found.general_unscored == ("facts",)
    assert found.verdict.outcome == "inconclusive"
    assert "was not measured" in found.verdict.sentence


def test_without_a_suite_the_caveat_says_so() -> None:
    found = verdict_on(whole_study(general_suite=None))
    assert any("forgetting was not measured" in caveat for caveat in found.caveats)


def test_a_primary_loss_is_not_overruled_by_another_arms_win() -> None:
    # The choice of arm was made on validation; a better secondary arm is a reason to look again.
    found = verdict_on(two_trained(lora=0.9, full=0.3))
    assert (found.outcome, found.winner) == ("prompt", "few-shot")
    assert any("Among the other arms: lora" in reason for reason in found.reasons)


INCOMPLETE: dict[str, Callable[[], StudyBuilder]] = {
    "nothing ran": lambda: StudyBuilder(experiment()),
    "search only": lambda: whole_study(seeds=()),
    "no prompt arm": lambda: StudyBuilder(experiment({"lora": "lora"})).finalist(
        "lora", 1, {"test": right(0.5)}
    ),
    "no fine-tuned arm": lambda: StudyBuilder(experiment({"p": "prompt"})).finalist(
        "p", 1, {"test": right(0.5)}
    ),
    "failed finalists": lambda: whole_study(seeds=()).finalist(
        "lora", 1, {"test": right(0.5)}, status="failed"
    ),
    "one item": lambda: (
        StudyBuilder(experiment())
        .finalist("lora", 1, {"test": [1.0], "train": [1.0]})
        .finalist("few-shot", 1, {"test": [0.0]})
    ),
    "nothing scored": lambda: (
        StudyBuilder(experiment())
        .finalist("lora", 1, {"test": [float("nan")] * 3})
        .finalist("few-shot", 1, {"test": [0.0] * 3})
    ),
    "different items": lambda: (
        StudyBuilder(experiment())
        .finalist("lora", 1, {"ood:elsewhere": right(0.5)})
        .finalist("few-shot", 1, {"test": right(0.5)})
    ),
}


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_study_is_inconclusive_and_says_what_is_missing(name: str) -> None:
    found = verdict_on(INCOMPLETE[name]())
    assert found.outcome == "inconclusive"
    assert found.sentence.startswith("No decision is possible yet. ")
    assert len(found.sentence) > len("No decision is possible yet. ")


def test_damaged_vectors_are_reported_not_raised() -> None:
    built = whole_study()
    damaged = next(v for v in built.vectors if v.arm == "lora" and v.split == "test")
    object.__setattr__(damaged, "doc_hashes", ("x",) * len(damaged.doc_hashes))
    found = verdict_on(built)
    assert found.outcome == "inconclusive"
    assert any("an item must stand once" in caveat for caveat in found.caveats)


def caveats_on(built: StudyBuilder) -> str:
    return " ".join(verdict_on(built).caveats)


def test_caveats() -> None:
    assert "one seed only" in caveats_on(whole_study(seeds=(1,)))
    assert "two seeds only" in caveats_on(whole_study(seeds=(1, 2)))
    assert "seeds only" not in caveats_on(whole_study())
    # True of every study, and no caveat of any: the page says it beside what it is true of.
    assert "flatter" not in caveats_on(whole_study())
    look = {"arm": "lora", "seed": 1, "task": "domain"}
    once = whole_study().event("test_access", **look)
    planned = whole_study().event("test_access", **look)
    planned.event("test_access", **look, phase="default")
    assert "more than once" not in caveats_on(planned)
    assert "more than once" not in caveats_on(once)
    interrupted = whole_study().event("test_access", **look, trial_id="t1")
    interrupted.event("test_access", **look, trial_id="t1")
    assert "more than once" not in caveats_on(interrupted)
    assert "more than once" in caveats_on(interrupted.event("test_access", **look, trial_id="t2"))
    assert "more than once for lora" in caveats_on(once.event("test_access", **look))
    failed = whole_study().search("lora", [None])
    assert "Some trials failed during the search: lora 1." in caveats_on(failed)
    uneven = whole_study().search("lora", [0.7])
    assert "few-shot 2 of 2, lora 3 of 2" in caveats_on(uneven)
    lost = whole_study(seeds=(1, 2)).finalist("lora", 3, {"test": right(0.1)}, status="failed")
    assert "final run of lora failed on seed 3" in caveats_on(lost)
    untuned = whole_study(arms={"few-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}})
    assert "few-shot was not tuned" in caveats_on(untuned)


def test_missing_and_unscored_items_are_counted() -> None:
    built = whole_study(seeds=())
    built.finalist("lora", 1, {"test": [1.0] * 50 + [float("nan")] * 2})
    built.finalist("few-shot", 1, {"test": [0.0] * 53})
    text = caveats_on(built)
    assert "1 item of the test set is missing" in text
    assert "2 items of the test set could not be scored" in text


@pytest.mark.parametrize(
    ("missing", "outcome"), [(2, "better"), (40, "inconclusive")], ids=["few", "many"]
)
def test_nobody_wins_by_replies_that_could_not_be_scored(missing: int, outcome: str) -> None:
    """Counted as the worst, the many are more than what lora is better by."""
    built = whole_study(seeds=())
    gaps = [math.nan] * missing
    built.finalist("lora", 1, {"test": [1.0] * (100 - missing) + gaps})
    built.finalist("few-shot", 1, {"test": [0.0] * 20 + [1.0] * 80})
    found = analyse(built.build(), resamples=400, sensitivity=False)
    contrast = found.primary
    assert contrast is not None
    assert (contrast.a, contrast.unscored) == ("lora", missing)
    assert contrast.outcome == outcome
    assert contrast.interval.low > 0
    assert contrast.unscored_as_worst == pytest.approx(0.2 - missing / 100)
    assert contrast.rests_on_missing == (outcome == "inconclusive")
    told = " ".join(found.verdict.caveats)
    assert f"counted as the worst, the difference is {0.2 - missing / 100:.3g}" in told
    assert "with the worst value for what is missing" in not_compared(contrast, "none")
    if contrast.rests_on_missing:
        assert "what could not be scored" in reading(contrast)
        assert "the comparison counts as inconclusive" in told
        assert "40 items that could not be scored" in result(contrast)
        assert "a value for every reply would settle it" in what_it_takes(contrast)


def test_the_same_seed_gives_the_same_findings() -> None:
    study = two_trained().build()
    one, two = analyse(study, resamples=200), analyse(study, resamples=200)
    assert one == two
    assert analyse(study, resamples=200, seed=1) != one


def test_adding_an_arm_changes_no_number_of_the_others() -> None:
    wide, narrow = two_trained().build(), two_trained()
    narrow.trials = [t for t in narrow.trials if t.arm != "full"]
    narrow.vectors = [v for v in narrow.vectors if v.arm != "full"]
    found: Findings = analyse(wide, resamples=200, sensitivity=False)
    fewer = analyse(narrow.build(), resamples=200, sensitivity=False)
    of_lora = next(f for f in found.forgetting if f.arm == "lora")
    alone = replace(of_lora, family=("lora",), p_adjusted=of_lora.p_value)
    assert alone == fewer.forgetting[0]


def test_bits_per_byte_is_told_but_does_not_count() -> None:
    built = whole_study()
    built.general_tasks["text"] = BITS
    built.finalist("base", 0, {"general:text": [1.0, 1.2, 1.1]})
    for seed in (1, 2, 3):
        built.finalist("lora", seed, {"general:text": [2.0, 2.2, 2.1]})
    found = analyse(built.build(), resamples=200, sensitivity=False)
    text = next(delta for delta in found.forgetting[0].tasks if delta.task == "text")
    assert text.change == pytest.approx(-1.0)
    assert (text.base, text.after) == pytest.approx((1.1, 2.1))
    assert text.kept is None
    assert text.right_to_wrong is None
    assert found.forgetting[0].mean_change == 0
    assert found.forgetting[0].worst_task == "facts"


def test_the_documentation_shows_the_rules_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
    shown = [line for line in page.splitlines() if line.startswith("| ")]
    rows = [f"| {name.replace('_', ' ')} | {text} |" for name, text in rules()]
    assert [line for line in shown if line in rows] == rows
