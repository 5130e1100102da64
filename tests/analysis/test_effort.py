"""Signs that fine-tuning was hardly tried, one by one, and what they do to the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.tuning_caveats import effort_caveats
from harness.analysis.verdict.effort import FEWEST_STEPS
from harness.analysis.whole_study import analyse
from harness.findings import Effort, EffortReason, Findings
from harness.records import StepReport, Stopped, WayScore
from harness.wording import per_cent
from tests.data_records import data_record

from .study_builder import StudyBuilder, cost, experiment, right, whole_study

SOUND = (1.0, 0.5, 0.49)  # validation loss at the end of each epoch
LORA: dict[str, Any] = {"kind": "lora"}


def steps(made: int, losses: Sequence[float] = ()) -> tuple[StepReport, ...]:
    """Reports of a training whose validation losses are spread evenly, the last at its end."""
    at = {made * (place + 1) // len(losses): loss for place, loss in enumerate(losses)}
    return tuple(
        StepReport(step, made, 0.0, 1.0, 1e-4, 1.0, step, float(step), at.get(step))
        for step in range(1, made + 1)
    )


def trained(
    built: StudyBuilder,
    *,
    made: int = 300,
    losses: Sequence[float] = SOUND,
    epochs: int = 3,
    searched: Sequence[int] = (1, 3),
    steps_searched: int = 0,
    settings: int = 2,
    answering: str = "generate",
    asked: str = "generate",
    examples: int | None = 100,
) -> StudyBuilder:
    """The study with what its trials of ``lora`` were trained on, and how prompts are answered.

    searched: epochs of the search trials. settings: distinct ones. asked: answering of few-shot.
    """

    def filled(number: int, name: str, phase: str) -> dict[str, Any]:
        if name != "lora":
            return {"setting": number, "answering": asked}
        number %= settings
        at = searched[number] if phase == "search" and settings > 1 else epochs
        return {"setting": number, "epochs": at, "answering": answering}

    for place, trial in enumerate(built.trials):
        number = trial.number if trial.phase == "search" else settings - 1
        if trial.arm == "lora":
            length = (steps_searched or made) if trial.phase == "search" else made
            built.trials[place] = replace(
                trial, steps=steps(length, losses), train_examples=examples,
                params=filled(number, trial.arm, trial.phase),
            )  # fmt: skip
        elif trial.arm == "few-shot":
            params = filled(trial.number, trial.arm, trial.phase)
            built.trials[place] = replace(trial, params=params)
    return built


def worse(**changes: Any) -> StudyBuilder:
    """Fine-tuning is 20 points worse than the prompt."""
    return whole_study(tuned=0.3, **changes)


def found_in(built: StudyBuilder, *, sensitivity: bool = False) -> Findings:
    return analyse(built.build(), resamples=400, sensitivity=sensitivity)


def effort_of(built: StudyBuilder) -> Effort:
    (found,) = found_in(built).effort
    return found


def reason_in(built: StudyBuilder) -> EffortReason:
    """The one sign that the study has."""
    (found,) = effort_of(built).reasons
    return found


def test_a_sound_study_has_no_sign_and_says_prompt() -> None:
    found = found_in(trained(worse()))
    assert found.effort == (Effort("lora", ()),)
    assert (found.verdict.outcome, found.verdict.winner) == ("prompt", "few-shot")
    assert "hardly tried" not in " ".join(found.verdict.caveats)


def test_what_was_not_recorded_is_no_sign() -> None:
    assert effort_of(worse()).reasons == ()
    assert effort_of(whole_study(seeds=())).reasons == ()


def test_one_setting() -> None:
    one = reason_in(trained(worse(), settings=1))
    assert one.shortfall == "one_setting"
    assert one.next_step == "budget.trials: 8"
    untuned = {"few-shot": {"kind": "prompt"}, "lora": {**LORA, "learning_rate": 1e-3}}
    fixed = reason_in(trained(worse(arms=untuned), settings=1))
    assert fixed.next_step == "arms.lora.learning_rate: {low: 0.0001, high: 0.003, log: true}"


def test_what_a_command_of_the_users_could_do_more_is_said_in_words() -> None:
    """Its parameters have no names that are known here, so that no line can be given."""
    own = {"kind": "command", "command": ["train", "{result}"], "parameters": {"epochs": 3}}
    arms = {"few-shot": {"kind": "prompt"}, "lora": own}
    settings = {"parameters.epochs": 3, "max_length": 512, "answering": "generate"}
    built = trained(worse(arms=arms), settings=1, made=40, losses=(1.0, 0.5), asked="choice")
    built.trials = [
        replace(trial, params=settings, train_examples=50) if trial.arm == "lora" else trial
        for trial in built.trials
    ]
    found = {reason.shortfall: reason.next_step for reason in effort_of(built).reasons}
    assert found["one_setting"] == "several settings, by arms.lora.parameters"
    assert found["few_steps"] == found["loss_falling"] == "longer training, by arms.lora.parameters"
    assert found["rows_left_out"] == "room for longer rows, by arms.lora.parameters"
    # How its replies are read is the study's affair.
    assert found["decoding"] == "arms.lora.answering: {choices: [generate, choice]}"
    steps = {step.rule: step for step in found_in(built).next_steps}
    assert all(line.startswith("arms.lora.answering") for line in steps["harder"].lines)
    assert "longer training" in steps["harder"].what


def test_two_ways_of_reading_answers_are_one_setting() -> None:
    built = trained(worse(), settings=1)
    (place, *_) = [p for p, t in enumerate(built.trials) if (t.arm, t.phase) == ("lora", "search")]
    trial = built.trials[place]
    built.trials[place] = replace(trial, params={**trial.params, "answering": "choice"})
    assert reason_in(built).shortfall == "one_setting"


@pytest.mark.parametrize(
    ("counts", "next_step"),
    [
        ({"budget": {"trials": 9}}, "mend what made its other trials fail; the report names it"),
        ({"budget": {"trials": 9, "minutes": 1}}, "a larger budget.tokens or budget.minutes"),
    ],
)
def test_one_setting_of_a_larger_budget(counts: dict[str, Any], next_step: str) -> None:
    built = worse(**counts)
    if "minutes" not in counts["budget"]:
        built.search("lora", [None])
    assert reason_in(trained(built, settings=1)).next_step == next_step


def test_few_steps() -> None:
    few = reason_in(trained(worse(), made=FEWEST_STEPS - 1, epochs=1, searched=(1, 1), losses=()))
    assert few.shortfall == "few_steps"
    assert "49 optimiser steps" in few.sentence
    assert few.next_step == "arms.lora.epochs: {choices: [1, 2, 4]}"
    fewer = reason_in(trained(worse(), made=5, epochs=1, searched=(1, 1), losses=()))
    assert fewer.next_step == "arms.lora.epochs: {choices: [1, 10, 20]}"
    assert effort_of(trained(worse(), made=FEWEST_STEPS, losses=())).reasons == ()


def test_few_steps_where_more_were_tried_and_not_chosen_are_no_sign() -> None:
    assert effort_of(trained(worse(), made=20, steps_searched=200)).reasons == ()


def test_a_loss_still_falling() -> None:
    falling = reason_in(trained(worse(), losses=(1.0, 0.8, 0.7), epochs=3, searched=(1, 3)))
    assert falling.shortfall == "loss_falling"
    assert "by 12.5 % or more at the last check in 3 of 3 final runs" in falling.sentence
    assert falling.next_step == "arms.lora.epochs: {choices: [3, 6, 12]}"


@pytest.mark.parametrize(
    ("losses", "searched"),
    [
        ((1.0, 0.8, 0.77), (1, 3)),  # by less than a twentieth
        ((1.0, 0.6, 0.7), (1, 3)),  # not the lowest
        ((0.5, 0.8, 0.7), (1, 3)),  # fell at last, but not to the lowest
        ((0.7,), (1, 3)),  # one check tells nothing
        ((1.0, 0.8, 0.7), (1, 4)),  # longer was tried and not chosen
    ],
)
def test_a_loss_that_fell_enough(losses: tuple[float, ...], searched: tuple[int, int]) -> None:
    assert effort_of(trained(worse(), losses=losses, searched=searched)).reasons == ()


def test_a_loss_that_falls_in_half_of_the_final_runs_is_no_sign() -> None:
    built = trained(worse(seeds=(1, 2)), losses=(1.0, 0.8, 0.7))
    place = next(p for p, t in enumerate(built.trials) if (t.arm, t.seed) == ("lora", 2))
    built.trials[place] = replace(built.trials[place], steps=steps(300, SOUND))
    assert effort_of(built).reasons == ()


def with_curve(built: StudyBuilder, small: float) -> StudyBuilder:
    """A learning curve with one size of half the rows, of the given share right on validation."""
    for seed in (1, 2, 3):
        built.finalist(
            "lora", seed, {"validation": right(small), "train": right(small)}, phase="curve",
            train_items=50,
        )  # fmt: skip
    return trained(built)


def test_a_learning_curve_still_rising() -> None:
    rising = reason_in(with_curve(worse(), 0.1))
    assert rising.shortfall == "curve_rising"
    assert "from 50 to 100 training rows" in rising.sentence
    assert effort_of(with_curve(worse(), 0.3)).reasons == ()


def limited(limit: int | None, available: int) -> StudyBuilder:
    source: dict[str, Any] = {"source": "data.jsonl", "limits": {"train": limit}}
    built = trained(worse(data=source))
    built.data = data_record(available={"train": available})
    return built


def test_a_part_of_the_rows() -> None:
    part = reason_in(limited(100, 1000))
    assert part.shortfall == "part_of_the_rows"
    assert "100 of the 1,000 training rows" in part.sentence
    assert part.next_step == "data.limits.train: null"
    # Nine tenths of the rows, all of them, and rows that were dropped for another reason.
    for limit, available in ((100, 111), (100, 100), (1000, 100), (None, 1000)):
        assert effort_of(limited(limit, available)).reasons == ()


def test_a_part_of_the_rows_where_more_were_shown_not_to_help_is_no_sign() -> None:
    built = with_curve(limited(100, 1000), 0.3)
    assert effort_of(built).reasons == ()


def test_examples_left_out_as_too_long() -> None:
    left_out = reason_in(trained(worse(), examples=89))
    assert left_out.shortfall == "rows_left_out"
    assert left_out.next_step == "arms.lora.max_length: 2048"
    assert effort_of(trained(worse(), examples=90)).reasons == ()


def test_the_way_of_decoding() -> None:
    unlike = reason_in(trained(worse(), asked="choice"))
    assert unlike.shortfall == "decoding"
    assert "few-shot answers by choice" in unlike.sentence
    assert unlike.next_step == "arms.lora.answering: {choices: [generate, choice]}"
    assert effort_of(trained(worse(), asked="choice", answering="choice")).reasons == ()
    assert effort_of(trained(worse(), asked="generate")).reasons == ()
    # A way that was tried and not kept was tried.
    tried = trained(worse(), asked="choice")
    ways = (WayScore("generate", 0.7, 100), WayScore("choice", 0.6, 100))
    tried.trials = [
        replace(t, ways=ways) if (t.arm, t.phase) == ("lora", "search") else t for t in tried.trials
    ]
    assert effort_of(tried).reasons == ()


def test_a_trial_that_was_stopped_early_was_scored_in_no_way() -> None:
    """Of several ways that it was to be scored in, none was kept."""
    built = trained(worse(), asked="choice")
    first = next(t for t in built.trials if (t.arm, t.phase) == ("lora", "search"))
    unsettled = {**first.params, "setting": 7, "answering": ["generate", "choice"]}
    at = Stopped("steps", 3, 9, 1.0, 0.5, ((3, -1.0),))
    built.trials.append(
        replace(first, trial_id="stopped", number=7, status="pruned", params=unsettled,
                aggregates=(), stopped=at)
    )  # fmt: skip
    assert reason_in(built).shortfall == "decoding"


def hardly(**changes: Any) -> StudyBuilder:
    return trained(whole_study(**changes), made=28, epochs=1, searched=(1, 1), losses=())


@pytest.mark.parametrize(
    "shares",
    [
        {"tuned": 0.3},
        {"tuned": 0.5, "general": 0.6},
        {"tuned": 0.52, "prompt": 0.5, "general": 0.6},
    ],
)
def test_prompting_is_not_advised_where_fine_tuning_was_hardly_tried(
    shares: dict[str, float],
) -> None:
    found = found_in(hardly(**shares), sensitivity=True)
    assert (found.verdict.rule, found.verdict.outcome, found.verdict.winner) == (
        "hardly_tried", "hardly_tried", "",
    )  # fmt: skip
    assert "made 28 optimiser steps" in found.verdict.sentence
    assert "Run next: arms.lora.epochs: {choices: [1, 2, 4]}." in found.verdict.sentence
    assert not any(text.startswith("lora was hardly tried") for text in found.verdict.caveats)
    assert found.sensitivity is not None
    (told,) = [p for p in found.sensitivity.perturbations if "hardly tried" in p.left_out]
    assert (told.outcome, told.winner, told.changed) == ("prompt", "few-shot", True)
    assert (
        "If fine-tuning counted as tried hard enough, the verdict would be: use prompting "
        "(few-shot)." in found.verdict.caveats
    )


def test_a_claim_is_not_denied_where_fine_tuning_was_hardly_tried() -> None:
    def status(built: StudyBuilder) -> str:
        return next(c.status for c in found_in(built).claims if c.key == "accuracy")

    assert status(hardly(tuned=0.3)) == "inconclusive"
    assert status(trained(worse())) == "not_held"
    assert status(hardly()) == "held"


def test_other_verdicts_stand_and_name_the_signs() -> None:
    better = found_in(hardly())
    assert better.verdict.outcome == "fine_tune"
    assert any(text.startswith("lora was hardly tried") for text in better.verdict.caveats)
    undecided = found_in(hardly(tuned=0.52)).verdict
    assert undecided.outcome == "inconclusive"
    assert any("28 optimiser steps" in reason for reason in undecided.reasons)
    assert any(reason.startswith("Run next: ") for reason in undecided.reasons)


def test_arms_of_which_the_same_is_said_have_one_caveat() -> None:
    def effort(arm: str, steps: int) -> Effort:
        sign = f"The final runs of {arm} made {steps} optimiser steps."
        part = f"{arm} was trained on 9 of the 90 training rows there are."
        return Effort(
            arm,
            (
                EffortReason("few_steps", sign, f"arms.{arm}.epochs: 3"),
                EffortReason("part_of_the_rows", part, "data.limits.train: null"),
            ),
        )

    verdict = found_in(trained(worse())).verdict
    caveats = effort_caveats([effort("a", 20), effort("b", 20), effort("c", 30)], verdict, None)
    assert caveats == [
        "a and b were hardly tried, so fine-tuning may do better than it did here. The final runs "
        "of each made 20 optimiser steps. Each was trained on 9 of the 90 training rows there are.",
        "c was hardly tried, so fine-tuning may do better than it did here. The final runs of c "
        "made 30 optimiser steps. c was trained on 9 of the 90 training rows there are.",
    ]


def test_losses_that_were_still_falling_are_told_together_by_the_least() -> None:
    verdict = found_in(hardly(tuned=0.3)).verdict

    def falling(arm: str, fall: float) -> Effort:
        sign = (
            f"The validation loss of {arm} was still falling when training ended, by "
            f"{per_cent(fall, 1)} or more at the last check in 1 of 1 final runs."
        )
        reason = EffortReason("loss_falling", sign, f"arms.{arm}.epochs: 3", fall)
        return Effort(arm, (reason,))

    efforts = [falling("a", 0.525), falling("b", 0.0913), falling("c", 0.3)]
    assert effort_caveats(efforts, verdict, None) == [
        "a, b and c were hardly tried, so fine-tuning may do better than it did here. The "
        "validation loss of each was still falling when training ended, by 9.1 % or more at the "
        "last check in 1 of 1 final runs."
    ]
    assert "by 52.5 % or more" in effort_caveats(efforts[:1], verdict, None)[0]


def test_a_declared_limit_that_forbids_fine_tuning_decides_first() -> None:
    built = hardly(tuned=0.3, constraints={"memory_mib": 500})
    found = found_in(built).verdict
    assert (found.rule, found.outcome) == ("fine_tuning_not_allowed", "prompt")


def test_two_fine_tuned_arms_are_judged_as_ever() -> None:
    built = StudyBuilder(
        experiment(
            {"few-shot": "prompt", "lora": "lora", "full": "full"},
            contrast={"margin": 0.03, "fine_tuned": "lora", "against": "full"},
            general=None,
        )
    )
    built.search("few-shot", [0.5, 0.4]).search("lora", [0.3]).search("full", [0.8, 0.7])
    for seed in (1, 2, 3):
        for arm, share in (("few-shot", 0.5), ("lora", 0.3), ("full", 0.8)):
            built.finalist(arm, seed, {"test": right(share)}, trial_cost=cost())
    found = found_in(built)
    assert (found.verdict.outcome, found.verdict.winner) == ("fine_tune", "full")
    assert [one.arm for one in found.effort if one.reasons] == ["lora"]


HARDLY_TRIED = {"hardly_tried": (lambda: hardly(tuned=0.3), "hardly_tried", "", "28 optimiser")}
