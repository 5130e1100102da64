"""What each search was given, what it took and why it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.analysis.searches.selection import current
from harness.analysis.whole_study import analyse
from harness.findings import EarlyStop, Findings, SearchSummary
from harness.records import Headroom, Stopped, Writing

from .study_builder import StudyBuilder, experiment, whole_study


def course(built: StudyBuilder, arm: str = "lora") -> SearchSummary:
    return {one.arm: one for one in analysed(built).searches}[arm]


def analysed(built: StudyBuilder) -> Findings:
    return analyse(built.build(), resamples=50, sensitivity=False)


def end(arm: str, trials: int, limit: str = "trials", **changes: Any) -> dict[str, Any]:
    budget = {"trials": 8, "tokens": None, "minutes": None}
    return {
        "arm": arm, "repeat": 0, "reason": "budget_spent", "limit": limit, "trials": trials,
        "tokens": 12_000, "minutes": 1.5, "budget": budget, **changes,
    }  # fmt: skip


def with_pruned(built: StudyBuilder, arm: str, stops: list[Stopped]) -> StudyBuilder:
    built.search(arm, [None] * len(stops), params=[{"setting": 50 + n} for n in range(len(stops))])
    built.trials[-len(stops) :] = [
        replace(trial, trial_id=f"{arm}-pruned-{n}", number=50 + n, status="pruned", stopped=stop)
        for n, (trial, stop) in enumerate(zip(built.trials[-len(stops) :], stops, strict=True))
    ]
    return built


def test_the_end_noted_last_counts() -> None:
    built = whole_study()
    built.event("search_ended", **end("lora", 2))
    budget = {"trials": 8, "tokens": 20_000, "minutes": None}
    built.event("search_ended", **end("lora", 3, "tokens", tokens=20_400, budget=budget))
    found = course(built)
    assert (found.ended, found.limit) == ("budget_spent", "tokens")
    assert (found.tokens, found.minutes, found.budget_tokens) == (20_400, 1.5, 20_000)
    assert found.asked == found.complete == 2


def test_a_study_without_noted_ends_has_its_minutes_from_its_trials() -> None:
    found = course(whole_study())
    assert (found.ended, found.limit, found.tokens) == ("", "", None)
    assert found.minutes == 2.0  # two trials of a minute
    assert found.budget_trials == 2


def test_what_early_stopping_saved() -> None:
    stops = [Stopped("steps", 4, 10, -1.0, -0.5, ()), Stopped("steps", 2, 10, -2.0, -0.5, ())]
    found = course(with_pruned(whole_study(), "lora", stops))
    assert found.stopped == (EarlyStop("steps", 2, 6, 20),)
    assert (found.asked, found.complete, found.pruned, found.failed) == (4, 2, 2, 0)
    assert found.pruner == "median"
    items = [Stopped("items", 24, 60, 0.2, 0.5, ())]
    found = course(with_pruned(whole_study(), "few-shot", items), "few-shot")
    assert found.stopped == (EarlyStop("items", 1, 24, 60),)
    assert found.pruner == "wilcoxon"


def test_trials_stopped_early_are_no_smaller_budget() -> None:
    arms = {"few-shot": {"kind": "prompt", "shots": {"low": 0, "high": 8}}, "lora": "lora"}
    spec: dict[str, Any] = {"budget": {"trials": 3}, "arms": arms}
    built = whole_study(**spec)
    built.search("few-shot", [0.1], params=[{"setting": 9}])
    built.trials[-1] = replace(built.trials[-1], trial_id="third", number=2)
    built = with_pruned(built, "lora", [Stopped("steps", 2, 10, -2.0, -0.5, ())])
    found = analysed(built)
    assert not any("equal budgets" in text for text in found.verdict.caveats)
    assert not any(arm.short_of_budget for arm in found.arms)
    assert {arm.arm: arm.pruned for arm in found.arms} == {"few-shot": 0, "lora": 1}


def test_an_arm_that_spent_its_tokens_got_its_budget() -> None:
    arms = {"few-shot": {"kind": "prompt", "shots": {"low": 0, "high": 8}}, "lora": "lora"}
    spec: dict[str, Any] = {"budget": {"trials": 4, "tokens": 20_000}, "arms": arms}
    built = whole_study(**spec)
    assert not any(arm.short_of_budget for arm in analysed(built).arms)  # both short alike
    built.search("few-shot", [0.1, 0.1], params=[{"setting": 8}, {"setting": 9}])
    for place, number in ((-2, 2), (-1, 3)):
        built.trials[place] = replace(built.trials[place], trial_id=f"n{number}", number=number)
    assert [arm.arm for arm in analysed(built).arms if arm.short_of_budget] == ["lora"]
    built.event("search_ended", **end("lora", 2, "tokens"))
    assert not any(arm.short_of_budget for arm in analysed(built).arms)


def test_an_arm_whose_instruction_was_not_written_has_no_smaller_budget() -> None:
    written = {"kind": "prompt", "instruction": {"optimise": {"by": "gepa"}}}
    built = whole_study(arms={"few-shot": written, "lora": "lora"}, budget={"trials": 6})
    built.trials = [one for one in built.trials if (one.arm, one.number) != ("few-shot", 1)]
    built.search("lora", [0.1] * 4, params=[{"setting": 10 + n} for n in range(4)])
    built.trials[-4:] = [
        replace(trial, trial_id=f"more-{n}", number=2 + n)
        for n, trial in enumerate(built.trials[-4:])
    ]
    assert [arm.arm for arm in analysed(built).arms if arm.short_of_budget] == ["few-shot"]
    # The task's own instruction was the one setting that there was.
    built.event("search_ended", **end("few-shot", 1, "", reason="settings_exhausted"))
    assert not any(arm.short_of_budget for arm in analysed(built).arms)


def test_a_writing_that_failed_is_not_told_once_it_was_done_over() -> None:
    written = {"kind": "prompt", "instruction": {"optimise": {"by": "gepa"}}}
    built = whole_study(arms={"few-shot": written, "lora": "lora"}, budget={"trials": 6})
    failed = replace(
        built.trials[0], arm="few-shot", phase="writing", trial_id="failed", status="failed",
        failure_message="the server is away", aggregates=(),
    )  # fmt: skip
    built.trials.append(failed)
    told = "No instruction could be written for few-shot (the server is away)"
    assert any(told in text for text in analysed(built).verdict.caveats)
    nothing = Writing(
        "w", "Own.", Headroom((), 24, 1.0, False), (), None, None, 0.5, (), "no", 24, 240, 9, 10.0
    )  # fmt: skip
    built.trials.append(replace(failed, trial_id="over", status="complete", writing=nothing))
    assert not any(told in text for text in analysed(built).verdict.caveats)
    assert [one.trial_id for one in current(built.build()).trials if one.phase == "writing"] == [
        "over"
    ]


def test_a_search_before_its_first_trial() -> None:
    found = course(StudyBuilder(experiment()))
    assert (found.asked, found.minutes, found.choice) == (0, None, None)
