"""What to do next, rule by rule: when each speaks, its line, its time, and when it is silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.statistics.scores import Scores
from harness.analysis.steps.abilities import forget_less, general_items, general_suite
from harness.analysis.steps.choose import MOST_STEPS, RULES, finish, next_steps, use
from harness.analysis.steps.effort import harder, search_on, tune_prompt
from harness.analysis.steps.evidence import human_marks, more_items, more_seeds, seeds, unscored
from harness.analysis.steps.known import Known
from harness.analysis.whole_study import analyse
from harness.findings import (
    CorrectedContrast,
    EdgeSetting,
    Effort,
    EffortReason,
    Findings,
    Interval,
    JudgeTrust,
    RisingSearch,
)
from harness.records import Study
from harness.spec import Experiment, load_experiment
from tests.data_records import data_record

from .study_builder import StudyBuilder, experiment, right, whole_study


def built(few_shot: float = 0.7, lora: float = 0.9, **changes: Any) -> Study:
    """Two arms on as many seeds as the experiment has."""
    builder = StudyBuilder(experiment(**changes))
    for arm, share in (("few-shot", few_shot), ("lora", lora)):
        builder.search(arm, [share - 0.01, share])
        for seed in builder.experiment.seeds:
            builder.finalist(arm, seed, {"test": right(share), "validation": right(share)})
    return builder.build()


def known(study: Study, **changes: Any) -> Known:
    """The study with its findings, of which ``changes`` are exchanged."""
    found = analyse(study, resamples=300, sensitivity=False)
    return Known(Scores(study), replace(found, **changes))


def opened(case: Known, **changes: Any) -> Known:
    """The same with its primary contrast undecided."""
    assert case.primary is not None
    contrast = replace(case.primary, outcome="inconclusive", **changes)
    return Known(case.scores, replace(case.findings, primary=contrast))


@pytest.fixture(scope="module")
def won() -> Known:
    """LoRA wins on three seeds; no general suite."""
    return known(built(general=None))


def test_a_winner_is_used(won: Known) -> None:
    assert won.findings.verdict.winner == "lora"
    step = use(won)
    assert step is not None and step.command
    assert step.lines == (
        "harness ask small --file rows.csv",
        "harness export model small --out winner",
    )
    prompt = replace(won.findings, verdict=replace(won.findings.verdict, winner="few-shot"))
    step = use(Known(won.scores, prompt))
    assert step is not None and step.lines[1] == "harness export prompt small --out prompt.json"
    brought = replace(won.findings.arms[1], kind="trained")
    assert brought.arm == "lora"
    found = replace(won.findings, arms=(won.findings.arms[0], brought))
    step = use(Known(won.scores, found))
    # Its adapter lies with the user already: the export of one is refused.
    assert step is not None and step.lines == ("harness ask small --file rows.csv",)
    assert "hand it over" not in step.what
    nobody = replace(won.findings, verdict=replace(won.findings.verdict, winner=""))
    assert use(Known(won.scores, nobody)) is None


def test_the_winner_comes_last_and_no_more_than_three_are_named(won: Known) -> None:
    steps = won.findings.next_steps
    assert 1 < len(steps) <= MOST_STEPS
    assert [step.rule for step in steps][-1] == "use"
    assert all(step.changes.endswith(".") and not step.what.endswith(".") for step in steps)


def test_nothing_compared_says_how_to_go_on() -> None:
    declared = StudyBuilder(experiment()).build()
    step = finish(known(declared))
    assert step is not None and step.lines == ("harness run EXPERIMENT.yaml",)
    failed = StudyBuilder(experiment()).search("lora", [None, None]).build()
    step = finish(known(failed))
    assert step is not None and step.lines == ("harness run EXPERIMENT.yaml --retry-failed",)
    alone = StudyBuilder(experiment({"lora": "lora"})).build()
    step = finish(known(alone))
    assert step is not None and step.lines == ("arms.few-shot: {kind: prompt, shots: 4}",)
    assert known(declared).findings.next_steps[0].rule == "finish"
    one_item = StudyBuilder(experiment())
    for arm in ("few-shot", "lora"):
        one_item.search(arm, [0.5, 0.4]).finalist(arm, 1, {"test": [1.0]})
    step = finish(known(one_item.build()))
    assert step is not None and "6 independent items or more" in step.what
    two = StudyBuilder(experiment({"lora": "lora", "full": "full"}))
    for arm in ("lora", "full"):
        two.search(arm, [0.5, 0.4]).finalist(arm, 1, {"test": right(0.5)})
    step = finish(known(two.build()))
    assert step is not None and step.lines == ("contrast: {fine_tuned: lora, against: full}",)
    half = StudyBuilder(experiment({"zero": "prompt", "few": "prompt", "lora": "lora"}))
    half.search("lora", [None, None])
    for arm in ("zero", "few"):
        half.search(arm, [0.5]).finalist(arm, 1, {"test": right(0.5)})
    step = finish(known(half.build()))
    assert step is not None and step.lines == ("harness run EXPERIMENT.yaml --retry-failed",)


def test_an_open_contrast_asks_for_its_items(won: Known) -> None:
    assert more_items(won) is None
    case = opened(won, items_needed=400)
    step = more_items(case)
    assert (
        step is not None
        and step.what == "Test on about 400 items in place of 200: collect them first"
    )
    assert step.lines == ()  # there is no limit to lift
    # Six final runs, each of which took 10 s for the 200 items there are.
    assert step.seconds == pytest.approx(6 * 10 * 400 / 200)
    data = data_record(available={"train": 100, "validation": 50, "test": 500})
    limited = built(data={"source": "d.jsonl", "limits": {"test": 200}}, general=None)
    limited = replace(limited, experiment=replace(limited.experiment, data=data))
    step = more_items(opened(known(limited), items_needed=400))
    assert step is not None and step.what == "Test on about 400 items"
    assert step.lines == ("data.limits.test: 400",)


def test_where_items_would_not_do_seeds_are_asked_for(won: Known) -> None:
    step = more_seeds(opened(won, items_needed=None))
    assert step is not None and step.lines == ("seeds: [1, 2, 3, 4, 5]",)
    assert step.seconds == pytest.approx(2 * 2 * 130)  # two seeds more, two arms, 130 s a run
    assert more_seeds(won) is None
    assert more_seeds(opened(won, items_needed=40)) is None


def test_missing_scores_come_before_more_items(won: Known) -> None:
    case = opened(won, items_needed=40, unscored=3, rests_on_missing=True)
    step = unscored(case)
    assert step is not None and step.lines == ("harness report small --format csv",)
    assert "3 items" in step.what
    assert more_items(case) is None and more_seeds(case) is None
    assert unscored(won) is None


def test_one_seed_is_too_few() -> None:
    case = known(built(seeds=[7], general=None))
    step = seeds(case)
    assert step is not None and step.lines == ("seeds: [7, 1, 2]",)
    assert step.what == "Train and test with 3 seeds" and "1 seed:" in step.changes
    assert seeds(known(built(general=None))) is None


def test_a_prompt_that_was_not_tuned_is_tuned() -> None:
    arms: Any = {"few-shot": {"kind": "prompt", "shots": 4}, "lora": "lora"}
    step = tune_prompt(known(built(arms=arms, general=None)))
    assert step is not None and step.lines == ("arms.few-shot.shots: {choices: [0, 2, 4, 8]}",)
    assert step.seconds == pytest.approx(4 * 130)


def test_a_tuned_prompt_is_left_alone(won: Known) -> None:
    assert tune_prompt(won) is None


def test_what_was_hardly_tried_is_tried_harder(won: Known) -> None:
    reasons = (
        EffortReason("one_setting", "Only one setting of lora was seen through.",
                     "budget.trials: 8"),
        EffortReason("few_steps", "12 steps.", "arms.lora.epochs: {choices: [1, 2, 4]}"),
        EffortReason("curve_rising", "It rises.", "more training rows than 96 in data.source"),
    )  # fmt: skip
    case = Known(won.scores, replace(won.findings, effort=(Effort("lora", reasons),)))
    step = harder(case)
    assert step is not None
    assert step.lines == ("budget.trials: 8", "arms.lora.epochs: {choices: [1, 2, 4]}")
    assert step.what == "Try lora harder (more training rows than 96 in data.source)"
    # Eight trials, seven times the training, and the three final runs again.
    assert step.seconds == pytest.approx(8 * 130 + 7 * 100 + 3 * 130)
    other = replace(won.findings, effort=(Effort("elsewhere", reasons),))
    assert harder(Known(won.scores, other)) is None


def test_a_search_that_still_rose_goes_on(won: Known) -> None:
    rows = tuple(
        replace(
            row,
            rising=RisingSearch(0.03, 1, 8),
            edges=(EdgeSetting("learning_rate", 1e-3, 1e-4, 1e-3, upper=True, beyond=1e-2),),
        )
        if row.arm == "lora"
        else row
        for row in won.findings.searches
    )
    step = search_on(Known(won.scores, replace(won.findings, searches=rows)))
    assert step is not None and step.lines[-1] == "budget.trials: 10"
    assert step.lines[0].startswith("arms.lora.learning_rate: {low: ")
    assert "high: 0.01, log: true}" in step.lines[0]
    assert step.seconds == pytest.approx(8 * 130)
    assert search_on(won) is None


def test_forgetting_that_was_not_measured_is_measured(won: Known) -> None:
    step = general_suite(won)
    assert step is not None and step.lines == ("general: {suite: general-mini}",)


def test_forgetting_that_is_open_asks_for_items_of_the_suite() -> None:
    case = known(whole_study().build())
    assert general_suite(case) is None
    row = next(one for one in case.findings.forgetting if one.arm in case.pair)
    wide = replace(row, outcome="inconclusive", items_needed=500)
    step = general_items(Known(case.scores, replace(case.findings, forgetting=(wide,))))
    assert step is not None and step.what == "Ask 500 general items a task, of a larger suite"
    assert step.lines == ("general.suite: standard",)
    # The standard suite is not asked for where it was asked already.
    asked = whole_study()
    plain = {**asked.experiment.plain(), "general": {"suite": "standard", "margin": 0.05}}
    asked.experiment = Experiment.model_validate(plain)
    case = known(asked.build())
    step = general_items(Known(case.scores, replace(case.findings, forgetting=(wide,))))
    assert step is not None and step.lines == ()
    kept = replace(row, outcome="kept")
    assert general_items(Known(case.scores, replace(case.findings, forgetting=(kept,)))) is None


def test_what_forgets_too_much_is_given_general_text(won: Known) -> None:
    verdict = replace(won.findings.verdict, outcome="forgets_too_much")
    step = forget_less(Known(won.scores, replace(won.findings, verdict=verdict)))
    assert step is not None and step.lines == ("arms.lora.replay: {choices: [0.1, 0.25]}",)
    assert step.seconds == pytest.approx(2 * 130)
    assert forget_less(won) is None


def test_what_another_program_trains_is_given_no_field_that_its_arm_lacks() -> None:
    own = {"kind": "command", "command": ["train", "{result}"]}
    case = known(built(arms={"few-shot": "prompt", "lora": own}, general=None))
    verdict = replace(case.findings.verdict, outcome="forgets_too_much")
    assert forget_less(Known(case.scores, replace(case.findings, verdict=verdict))) is None


def trust(*contrasts: CorrectedContrast) -> JudgeTrust:
    return JudgeTrust("judge:tone", True, 0, 0, None, None, None, None, (), contrasts)


def test_a_judge_without_people_asks_for_their_marks(won: Known) -> None:
    case = Known(won.scores, replace(won.findings, trust=(trust(),)))
    step = human_marks(case)
    assert step is not None
    assert step.lines == ("harness judge small --sample 20 --output marks.csv",)
    assert "judges.tone.calibration" in step.what and step.seconds is None
    within = Interval(-0.1, 0.3)
    done = CorrectedContrast("lora", "few-shot", 30, 0.1, within, 0.1, within, 0.9, 80)
    marked = replace(won.findings, trust=(trust(done),))
    assert human_marks(Known(won.scores, marked)) is None
    step = human_marks(opened(Known(won.scores, marked)))
    assert step is not None and "80 items" in step.what
    assert human_marks(won) is None


def test_two_rules_with_one_line_speak_once() -> None:
    study = built(lora=0.71, seeds=[1], general=None)
    found = analyse(study, resamples=300, sensitivity=False)
    assert found.primary is not None
    contrast = replace(found.primary, outcome="inconclusive", items_needed=None)
    steps = next_steps(Scores(study), replace(found, primary=contrast))
    lines = [step.lines for step in steps]
    assert len(lines) == len(set(lines)) <= MOST_STEPS


@pytest.mark.parametrize("declared", [[1], [7, 8]])
def test_of_two_numbers_of_seeds_the_larger_is_asked_for(declared: list[int]) -> None:
    study = built(lora=0.71, seeds=declared)
    found = analyse(study, resamples=300, sensitivity=False)
    assert found.primary is not None
    contrast = replace(found.primary, outcome="inconclusive", items_needed=None)
    known_less = tuple(
        replace(row, outcome="inconclusive", items_needed=None) for row in found.forgetting
    )
    case = Known(Scores(study), replace(found, primary=contrast, forgetting=known_less))
    steps = [step for rule in RULES if (step := rule(case)) is not None]
    assert [step.what for step in steps if step.lines and step.lines[0].startswith("seeds:")] == [
        "Train and test with 5 seeds"
    ]
    assert seeds(Known(case.scores, found)) is not None


def test_every_line_is_one_that_the_experiment_file_takes(won: Known, tmp_path: Any) -> None:
    """The last of the path's fields is set in the file, which is then read as it would be."""
    import yaml

    cases = [opened(won, items_needed=None), won, known(built(seeds=[7], general=None))]
    arms: Any = {"few-shot": {"kind": "prompt", "shots": 4}, "lora": "lora"}
    cases.append(known(built(arms=arms, general=None)))
    tried = 0
    (tmp_path / "data.jsonl").write_text('{"text": "a", "label": "a"}\n')
    for case in cases:
        for step in filter(None, (rule(case) for rule in RULES)):
            for line in () if step.command else step.lines:
                plain: Any = case.experiment.plain()
                path, _, value = line.partition(": ")
                *parents, last = path.split(".")
                place = plain
                for parent in parents:
                    place = place[parent]
                place[last] = yaml.safe_load(value)
                file = tmp_path / "changed.yaml"
                file.write_text(yaml.safe_dump(plain))
                load_experiment(file)
                tried += 1
    assert tried >= 4


def test_every_rule_is_silent_where_nothing_is_known() -> None:
    verdict = analyse(StudyBuilder(experiment()).build(), resamples=300).verdict
    none = Findings(verdict, None, (), (), (), (), (), ())
    case = Known(Scores(StudyBuilder(experiment()).build()), none)
    assert [rule.__name__ for rule in RULES if rule(case) is not None] == ["finish"]
