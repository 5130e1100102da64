"""Forecasts from end to end, with tiny models and with pretended speeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import read_examples_file
from harness.engine import Execute
from harness.engine.in_process import InProcessEngine
from harness.forecast import measured, study
from harness.forecast.arm import trials_started
from harness.forecast.estimate import Estimate
from harness.forecast.findings import Forecast
from harness.forecast.measured import Measured, base_form
from harness.forecast.memory import busy_share
from harness.forecast.score_load import general_ids
from harness.forecast.study import forecast_study
from harness.forecast.trial_time import Stopwatch
from harness.forecast.workload import workload
from harness.records import ModelWork, Progress, TrialSpec
from harness.spec import Experiment
from harness.study.executing import execute_trial
from harness.study.observer import Observer
from harness.study.rehearsal import rehearse
from harness.study.run import plan_study, run_study
from harness.trial import run_trial
from tests.fake_trial import Watching, experiment
from tests.tiny_model import TinyModels, write_suite

ARMS: dict[str, dict[str, Any]] = {
    "few-shot": {"kind": "prompt", "shots": {"low": 1, "high": 2}},
    "choice": {"kind": "prompt", "answering": "choice"},
    "lora": {"kind": "lora", "rank": 2, "epochs": 1},
}


def tiny(folder: Path, models: TinyModels, **changes: Any) -> Experiment:
    suite = folder / "suite"
    suite.mkdir(exist_ok=True)
    path = suite / "tiny.yaml"
    task = experiment(folder).task.model_dump(mode="json", by_alias=True)
    values = {
        # An untrained model writes to its limit.
        "task": {**task, "max_new_tokens": 4},
        "model": {"reference": str(models.chat), "dtype": "float32"},
        "arms": ARMS,
        "general": {"suite": str(path if path.exists() else write_suite(suite))},
        "score_batch_size": 8,
        **changes,
    }
    return experiment(folder, **values)


def forecast(
    one: Experiment,
    folder: Path,
    execute: Execute = execute_trial,
    **options: Any,
) -> Forecast:
    plan = plan_study(one, folder / "elsewhere")
    results = folder / "results"
    copies = folder / "copies"
    copies.mkdir(exist_ok=True)
    rehearsal = rehearse(plan, results, copies)
    return forecast_study(results, rehearsal, lambda: InProcessEngine(execute), **options)


def test_a_forecast_of_real_small_trials(tmp_path: Path, tiny_models: TinyModels) -> None:
    found = forecast(tiny(tmp_path, tiny_models), tmp_path)
    assert [arm.arm for arm in found.arms] == ["base", "few-shot", "choice", "lora"]
    assert found.warnings == ()
    by_name = {arm.arm: arm for arm in found.arms}
    for arm in found.arms:
        assert arm.seconds is not None
        assert 0 < arm.seconds.low <= arm.seconds.expected <= arm.seconds.high
        assert arm.scored_tokens.expected > 0
    assert by_name["lora"].train > 0
    untrained = by_name["few-shot"]
    assert untrained.train_tokens is not None
    assert untrained.train == untrained.train_tokens.expected == 0
    assert by_name["lora"].artifact_mib.expected > 0
    assert found.seconds.expected == pytest.approx(
        found.start_seconds + sum(arm.seconds.expected for arm in found.arms if arm.seconds)
    )
    # Nothing is left behind, and nothing is made where results would lie.
    assert not (tmp_path / "results").exists()
    assert json.loads(json.dumps(found.plain()))["arms"][3]["kind"] == "lora"


@pytest.mark.parametrize("minutes", [None, 3.0])
def test_a_training_command_is_not_run_for_a_forecast(
    tmp_path: Path, tiny_models: TinyModels, minutes: float | None
) -> None:
    """Its scoring is timed with the base; how long it trains is what the user says, or unknown."""
    command = {"kind": "command", "command": ["{python}", "no-such-file", "{parameters}"],
               "answering": "choice", "minutes": minutes,
               "parameters": {"rate": {"low": 0.1, "high": 0.2}, "flag": True}}  # fmt: skip
    plain = tiny(tmp_path, tiny_models).model_dump(mode="json")
    arms = {"few-shot": plain["arms"]["few-shot"], "theirs": command}
    found = forecast(Experiment.model_validate({**plain, "arms": arms}), tmp_path)
    (theirs,) = (arm for arm in found.arms if arm.arm == "theirs")
    assert theirs.train_tokens is None
    if minutes is None:
        assert theirs.seconds is None
        assert "arms.theirs.minutes" in theirs.unknown
    else:
        trainings = sum(theirs.trials[phase].expected for phase in ("search", "finalist"))
        assert theirs.seconds is not None
        assert theirs.seconds.expected > 60 * minutes * trainings > 0
    assert any("No training command was run" in note for note in found.notes)


@pytest.mark.parametrize("thorough", [False, True])
def test_what_all_arms_are_asked_alike_is_timed_once(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, thorough: bool
) -> None:
    asked: dict[str, set[str]] = {}

    def execute(spec: TrialSpec, folder: Path, told: Callable[[Progress], None]) -> None:
        asked[spec.arm] = asked.get(spec.arm, set()) | {one.suite for one in spec.scores}
        execute_trial(spec, folder, told)

    found = forecast(tiny(tmp_path, tiny_models), tmp_path, execute, thorough=thorough)
    assert all(arm.seconds is not None and arm.seconds.expected > 0 for arm in found.arms)
    assert {"domain", "general"} <= asked["base"]
    assert "domain" in asked["lora"]
    assert ("general" in asked["lora"]) is thorough


def test_where_there_is_no_time_others_of_a_kind_stand_in(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "ENOUGH_SECONDS", 1e-9)
    said: list[str] = []
    observer = Observer()
    monkeypatch.setattr(observer, "stage", said.append)
    found = forecast(tiny(tmp_path, tiny_models), tmp_path, observer=observer)
    tried = [text.rpartition(": ")[2].partition(" ")[0].rstrip(",") for text in said[1:]]
    # The base times no single requests; of a kind that asks alike they stand in.
    assert tried == ["base", "lora", "choice"]
    assert all(arm.seconds is not None for arm in found.arms)


def test_a_busy_machine_is_spoken_of(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 <= busy_share(0.01) <= 1
    monkeypatch.setattr(study, "busy_share", lambda: 0.7)
    found = forecast(tiny(tmp_path, tiny_models, arms={"zero": {"kind": "prompt"}}), tmp_path)
    assert any("used 70% of the processors" in warning for warning in found.warnings)


def test_training_tokens_are_those_that_a_trial_reports(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    one = tiny(tmp_path, tiny_models, arms={"lora": {**ARMS["lora"], "epochs": 2}})
    plan = plan_study(one, tmp_path / "elsewhere")
    record = run_trial(plan.search_trial("lora", 0, plan.default_setting("lora")), tmp_path)
    assert record.cost is not None
    found = forecast(one, tmp_path)
    # What only times requests trains nothing.
    trained = (found.arms[1].trials[phase] for phase in ("search", "finalist"))
    trials = sum(number.expected for number in trained)
    assert found.arms[1].train_tokens is not None
    assert record.cost.train_tokens is not None
    assert found.arms[1].train_tokens.expected == trials * record.cost.train_tokens


def test_items_of_which_replies_are_known_are_not_counted(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    plan = plan_study(tiny(tmp_path, tiny_models), tmp_path / "elsewhere")
    spec = plan.baseline()
    ids: dict[str, set[str]] = {}
    for request in spec.scores:
        if request.items_path:
            found = {item.id for item in read_examples_file(Path(request.items_path))}
        else:
            found = set(general_ids(request)) if request.suite == "general" else set()
        ids.setdefault(request.asked, set()).update(found)
    (test,) = [one for one in spec.scores if (one.suite, one.split) == ("domain", "test")]
    tested = {item.id for item in read_examples_file(Path(test.items_path))}
    seen = frozenset(sorted(tested)[: len(tested) // 3])

    def items(spec: TrialSpec, **known: Any) -> dict[str, float]:
        loads = workload(spec, **known).scores
        return {f"{request.task} {request.split}": load.items for request, load in loads}

    whole = items(spec)
    left = items(spec, answered=lambda asked: seen if asked == test.asked else frozenset())
    assert left == {**whole, "domain test": len(tested) - len(seen)}
    every = workload(spec, lambda asked: frozenset(ids[asked]))
    assert (every.asks, every.loads) == (False, False)
    assert workload(replace(spec, known_scores=tuple(r.key for r in spec.scores))).loads
    # Weights that are trained anew reply anew; those at hand do not.
    final = plan.finalist("lora", 0, 1, plan.default_setting("lora"))
    assert items(final, answered=lambda asked: frozenset(tested)) == items(final)
    added = items(replace(final, adds=True), answered=lambda asked: frozenset(tested))
    assert "domain test" not in added
    assert added["domain validation"] == items(final)["domain validation"]


def test_a_check_that_scores_is_counted(tmp_path: Path, tiny_models: TinyModels) -> None:
    def check(checks: str) -> ModelWork:
        arms = {"lora": {**ARMS["lora"], "checks": checks}}
        plan = plan_study(tiny(tmp_path, tiny_models, arms=arms), tmp_path / "elsewhere")
        load = workload(plan.search_trial("lora", 0, plan.default_setting("lora")))
        assert load.training is not None
        rows = read_examples_file(Path(load.spec.validation_path))
        reply = min(load.answer.mean, load.spec.task["max_new_tokens"])
        assert load.training.check.written == (0 if checks == "loss" else len(rows) * reply)
        return load.training.check

    loss, score = check("loss"), check("score")
    assert score.read > loss.read
    assert score.passes > loss.passes == 0


def test_a_base_is_loaded_from_files_once(tmp_path: Path, tiny_models: TinyModels) -> None:
    arms = {**ARMS, "qlora": {"kind": "qlora", "rank": 2, "epochs": 1}}
    plan = plan_study(tiny(tmp_path, tiny_models, arms=arms), tmp_path / "elsewhere")
    loads = {
        arm: workload(plan.search_trial(arm, 0, plan.default_setting(arm)))
        for arm in ("few-shot", "lora", "qlora")
    }
    measured = [
        Measured(loads["few-shot"], load_seconds=10.0),
        Measured(loads["lora"], load_seconds=2.0, kept=True),
        Measured(loads["qlora"], load_seconds=13.0),
    ]
    watch = Stopwatch(measured)
    assert watch._loading(loads["few-shot"]) == watch._loading(loads["lora"]) == Estimate.exactly(2)
    # How long its second load takes was not seen: as long as another's, or as the first.
    assert watch._loading(loads["qlora"]) == Estimate(2.0, 2.0, 13.0)
    assert watch.first_loads_seconds == (10 - 2) + (13 - 2)
    alone = Stopwatch(measured[:1])
    assert alone._loading(loads["few-shot"]) == Estimate.exactly(10)
    assert alone.first_loads_seconds == 0
    assert base_form(loads["qlora"].spec) != base_form(loads["lora"].spec)


def test_scoring_in_several_ways_is_counted_and_training_is_not(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    def lora(answering: Any) -> Experiment:
        arms = {"lora": {**ARMS["lora"], "answering": answering}}
        return tiny(tmp_path, tiny_models, arms=arms, general=None, budget={"trials": 1})

    def work_of(one: Experiment) -> Any:
        plan = plan_study(one, tmp_path / "elsewhere")
        return workload(plan.search_trial("lora", 0, plan.default_setting("lora")))

    ways = ["generate", "choice"]
    either = lora({"choices": ways})
    one, other, work = (work_of(asked) for asked in (*map(lora, ways), either))
    assert [part.group for _, part in work.scores] == ["generate", "choice"]
    assert [part for _, part in work.scores] == [one.scores[0][1], other.scores[0][1]]
    assert work.training == one.training
    # Timed by a small trial that asks both ways: none is left without a time.
    both = forecast(either, tmp_path).arms[1]
    assert both.seconds is not None
    # The finalist will answer in one of them: nobody knows yet in which.
    assert both.trials["finalist"].expected == 1


def test_a_kind_that_fails_when_tried_is_not_in_the_total(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    def breaks_lora(spec: TrialSpec, folder: Path, report: Callable[[Progress], None]) -> None:
        if spec.kind == "lora":
            spec = TrialSpec(**{**_fields(spec), "params": {**spec.params, "targets": ["none"]}})
        execute_trial(spec, folder, report)

    found = forecast(tiny(tmp_path, tiny_models), tmp_path, breaks_lora)
    lora = found.arms[3]
    assert lora.seconds is None
    assert lora.money is None
    assert lora.unknown
    assert any(warning.startswith("lora: its time is not known") for warning in found.warnings)
    assert lora.trials["search"].expected == 2
    assert found.seconds.expected > 0


def _fields(spec: TrialSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in TrialSpec.__dataclass_fields__}


def test_what_cannot_fit_is_not_tried(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "available_mib", lambda device: 0.05)
    found = forecast(tiny(tmp_path, tiny_models), tmp_path, _never)
    assert all("needs at least" in arm.unknown for arm in found.arms)
    assert found.seconds.expected == 0


def test_scores_that_are_known_are_not_measured_again(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    arms = {"zero": {"kind": "prompt"}}
    run_study(tiny(tmp_path, tiny_models, arms=arms), tmp_path / "results", open_with=Watching)
    again = forecast(tiny(tmp_path, tiny_models, arms=arms, name="again"), tmp_path)
    trials = [sum(n.expected for n in arm.trials.values()) for arm in again.arms]
    assert sum(trials) == 0
    assert sum(again.known.values()) == 1 + 1 + 1 + 2
    more = tiny(tmp_path, tiny_models, arms={**arms, "lora": ARMS["lora"]}, name="more")
    found = forecast(more, tmp_path)
    # The base is to complete texts, now that something may have memorised them.
    base, zero, lora = found.arms
    assert base.trials == {"baseline": Estimate.exactly(1)}
    # Requests are timed beside those of the new finalist.
    assert zero.trials.keys() == {"latency"}
    assert zero.scored_tokens.expected == 0
    assert zero.load > 0
    assert lora.score > 0
    assert found.known == {"zero": 2}


def _never(spec: TrialSpec, folder: Path, report: Callable[[Progress], None]) -> None:
    raise AssertionError("a trial was tried that cannot fit")


def test_an_arm_behind_a_server_is_counted_and_not_asked(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    endpoint = {
        "url": "http://127.0.0.1:9/v1",
        "model": "large",
        "prompt_price": 1000.0,
        "completion_price": 0.0,
        "spending_cap": 0.01,
    }
    one = tiny(
        tmp_path,
        tiny_models,
        arms={"served": {"kind": "prompt", "endpoint": endpoint}},
        general=None,
    )
    served = forecast(one, tmp_path).arms[1]
    assert served.server is not None
    splits = plan_study(one, tmp_path / "elsewhere").prepared.splits
    # Nothing is searched, so the finalist finds its validation score known.
    # Turns of 9 and of 5 single requests, the first of which is not counted.
    asked = len(splits.validation) + len(splits.test) + 9 + 5
    assert served.server.requests.expected == asked
    tokens = served.server.prompt_tokens.expected
    assert served.server.money.expected == pytest.approx(tokens * 1000 / 1e6)
    assert served.seconds is not None
    assert served.peak_mib is None
    found = forecast(one, tmp_path)
    assert any("spending_cap of 0.01" in warning for warning in found.warnings)
    assert any("Nothing was sent to a server" in note for note in found.notes)


def test_a_limit_on_tokens_ends_the_search_early(
    tmp_path: Path, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How many trials there will be is counted, whether or not any was tried.
    monkeypatch.setattr(study, "available_mib", lambda device: 0.05)
    arms = {"lora": {**ARMS["lora"], "answering": "choice"}}
    searches = {"search": {"repeats": 2}, "seeds": [1, 2]}
    for tokens, trials in ((None, 4), (1, 1)):
        limited = {"trials": 4, "tokens": tokens}
        one = tiny(tmp_path, tiny_models, arms=arms, budget=limited, **searches)
        # Each search has a budget of its own.
        lora = forecast(one, tmp_path, _never).arms[1]
        assert lora.trials["search"].expected == 2 * trials


@pytest.mark.parametrize(
    ("times", "limit", "spent", "each", "started"),
    [(5, 10, 0, 3, 4), (5, 10, 10, 3, 0), (2, 10, 0, 3, 2), (5, 10, 1, 3, 3)],
)
def test_the_trial_that_passes_a_limit_is_the_last(
    times: float, limit: float, spent: float, each: float, started: float
) -> None:
    assert trials_started(times, limit, spent, each) == started
