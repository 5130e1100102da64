"""Identities: what changes a trial, a score or an experiment, and what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare, read_examples_file
from harness.evaluation.suites.find import load_suite
from harness.records import (
    JsonValue,
    Phase,
    ResolvedModel,
    Runtime,
    ScoreRequest,
    Status,
    TrialSpec,
    TrialSummary,
    to_plain,
)
from harness.spec import Experiment
from harness.spec.settings import LoraSettings, Settings, settings_from
from harness.study.known_parts import accesses_to_test
from harness.study.make_plan import make_plan
from harness.study.plan import Plan
from harness.study.stages import after_search, final_counts, latency_stage
from tests.fake_trial import ARMS, experiment, write_data
from tests.settings import setting
from tests.store.example_records import score, trial

MODEL = ResolvedModel("fake", "/fake", "f" * 64)
RUNTIME = Runtime("cpu", "float32", 32)
SHOTS = setting("prompt", shots=4)

CURVE = {"lora": {"kind": "lora", "curve": [4, 8, 20]}}


def plan(
    folder: Path, spec: Experiment | None = None, *, model: ResolvedModel = MODEL,
    runtime: Runtime = RUNTIME, **changes: Any,
) -> Plan:  # fmt: skip
    spec = spec or experiment(folder, **changes)
    suite = load_suite(spec.general.suite) if spec.general else None
    return make_plan(spec, prepare(spec), model, runtime, suite, folder / "results")


def key(trial: TrialSpec, split: str) -> str:
    (found,) = [one.key for one in trial.scores if (one.suite, one.split) == ("domain", split)]
    return found


def summary(
    trial_id: str, seed: int, params: dict[str, JsonValue], status: Status = "complete"
) -> TrialSummary:
    return TrialSummary(
        trial_id, "", "", "finalist", 0, seed, status, params, "", "", "", "", None, None, (), ()
    )


def lora(made: Plan) -> LoraSettings:
    settings = made.default_setting("lora")
    assert isinstance(settings, LoraSettings)
    return settings


def few(made: Plan, **changes: Any) -> Settings:
    return replace(SHOTS, **changes)


def test_the_same_files_give_the_same_plan(tmp_path: Path) -> None:
    a, b = plan(tmp_path), plan(tmp_path)
    assert a == b
    assert a.folder.name == f"pretended-{a.experiment_id[:8]}"


def test_the_splits_are_written_for_the_trials(tmp_path: Path) -> None:
    made = plan(tmp_path)
    splits = made.prepared.splits
    for name, items in (("train", splits.train), ("validation", splits.validation),
                        ("test", splits.test)):  # fmt: skip
        assert read_examples_file(made.sets[name].path) == items
        assert made.sets[name].examples == len(items)
    sample = read_examples_file(made.sets["train_sample"].path)
    assert len(sample) == len(splits.test)
    assert all(item in splits.train for item in sample)
    small = plan(tmp_path, train_gap_items=3)
    assert len(read_examples_file(small.sets["train_sample"].path)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"model": ResolvedModel("fake", "/fake", "e" * 64)},
        {"runtime": Runtime("cpu", "bfloat16", 32)},
        {"runtime": Runtime("cuda:1", "float32", 32)},
        {"general": {}},
        {"score_batch_size": 8},
    ],
)
def test_what_is_another_experiment(tmp_path: Path, change: dict[str, Any]) -> None:
    assert plan(tmp_path, **change).experiment_id != plan(tmp_path).experiment_id


@pytest.mark.parametrize(
    "change",
    [
        {"runtime": Runtime("cpu", "float32", 32, threads=7)},
        {"model": ResolvedModel("other name", "/other/place", "f" * 64)},
        {"budget": {"trials": 9, "test_default": True}},
        {"seeds": [5]},
        {"arms": {**ARMS, "lora": {"kind": "lora", "curve": [4], "seeds": [6]}}},
    ],
)
def test_what_is_the_same_experiment(tmp_path: Path, change: dict[str, Any]) -> None:
    assert plan(tmp_path, **change).experiment_id == plan(tmp_path).experiment_id


def test_one_gpu_is_as_good_as_another(tmp_path: Path) -> None:
    a, b = (plan(tmp_path, runtime=Runtime(f"cuda:{n}", "float32", 32)) for n in (0, 1))
    assert a.experiment_id == b.experiment_id


def test_changed_items_are_another_experiment(tmp_path: Path) -> None:
    before = plan(tmp_path).experiment_id
    write_data(tmp_path / "data.jsonl", rows=61)
    assert plan(tmp_path).experiment_id != before


def test_a_trial_has_one_identity(tmp_path: Path) -> None:
    made = plan(tmp_path, arms=CURVE)
    settings = lora(made)
    final = summary("f", 1, to_plain(settings))
    trials = [
        made.search_trial("lora", 0, settings),
        made.search_trial("lora", 0, replace(settings, rank=17)),
        made.finalist("lora", 0, 1, settings),
        made.finalist("lora", 1, 2, settings),
        made.curve_trial("lora", 0, 8, 1, settings),
        made.curve_trial("lora", 1, 20, 1, settings),
        made.baseline(),
        *(made.latency_trial("lora", turn, final, ["a", "b"]) for turn in (0, 1)),
        made.latency_trial("lora", 0, final, ["a", "c"]),
    ]
    assert len({trial.trial_id for trial in trials}) == len(trials)
    assert made.search_trial("lora", 0, settings) == trials[0]
    # What it is run for, and where it stands in a list, make no other trial of it.
    for moved, one in (
        (made.search_trial("lora", 1, settings), trials[0]),
        (made.finalist("lora", 5, 1, settings), trials[2]),
        (made.default_trial("lora", 5, 1, settings), trials[2]),
        (made.curve_trial("lora", 5, 8, 1, settings), trials[4]),
    ):
        assert moved.trial_id == one.trial_id


def test_what_each_phase_is_handed(tmp_path: Path) -> None:
    made = plan(tmp_path, general={"limit": 5})
    settings = lora(made)
    search, final = made.search_trial("lora", 0, settings), made.finalist("lora", 0, 1, settings)
    prompt, base = made.finalist("few-shot", 0, 1, few(made)), made.baseline()

    def sets(trial: TrialSpec) -> list[tuple[str, str]]:
        return sorted({(one.suite, one.split) for one in trial.scores})

    test, validation, train = (("domain", name) for name in ("test", "validation", "train"))
    general = ("general", "test")
    known = [("memorisation", name) for name in ("train", "validation")]
    assert sets(search) == [validation, general]
    moved = [("divergence", name) for name in ("test", "validation")]
    assert sets(final) == [*moved, test, train, validation, general, *known]
    assert sets(prompt) == [test, validation]
    assert sets(base) == [test, validation, general, *known]
    assert sets(made.default_trial("lora", 0, 1, settings)) == [test, validation]
    kept = {trial.phase for trial in (search, final, made.default_trial("lora", 0, 1, settings))
            if trial.keep_artifact}  # fmt: skip
    assert kept == {"finalist"}
    assert not prompt.keep_artifact
    assert {one.limit for one in final.scores if one.suite == "general"} == {5}
    own, language = [one for one in final.scores if one.suite == "divergence"]
    assert (language.task, language.limit) == ("mini_text", 5)
    assert (own.task, own.limit) == ("task_inputs", 32)
    assert own.items_path == str(made.sets["validation"].path)
    # It needs no general suite.
    plain = plan(tmp_path, general=None).finalist("lora", 0, 1, settings)
    assert [one.task for one in plain.scores if one.suite == "divergence"] == ["task_inputs"]


@pytest.mark.parametrize(
    ("general", "limits"),
    [
        ({"search_limit": 4}, {4}),
        ({"search_limit": 4, "limit": 3}, {3}),
        ({"search_limit": 0}, set()),
        (None, set()),
    ],
)
def test_settings_that_are_tried_show_what_they_forget(
    tmp_path: Path, general: dict[str, Any] | None, limits: set[int]
) -> None:
    made = plan(tmp_path, general=general)

    def asked(trial: TrialSpec) -> list[ScoreRequest]:
        return [one for one in trial.scores if one.suite == "general"]

    found = asked(made.search_trial("lora", 0, lora(made)))
    assert {one.limit for one in found} == limits
    accuracy = {name for name, task in made.general_tasks().items() if task.accuracy}
    assert {one.task for one in found} == (accuracy if limits else set())
    assert asked(made.search_trial("few-shot", 0, few(made))) == []
    final = asked(made.finalist("lora", 0, 1, lora(made)))
    assert {one.key for one in final}.isdisjoint(one.key for one in found)
    # What the search was shown does not judge, and the base is paired with both.
    (shown,) = limits or {0}
    judging = (general or {}).get("limit")
    for one in final:
        assert (one.skip, one.limit) == (shown if one.task in accuracy else 0, judging)
    for one in asked(made.baseline()):
        assert (one.skip, one.limit) == (0, judging and judging + shown)


def test_sets_of_a_learning_curve_nest(tmp_path: Path) -> None:
    made = plan(tmp_path, arms=CURVE)
    train = made.prepared.splits.train
    samples: dict[int, list[str]] = {}
    for size in (4, 8, 20):
        trial = made.curve_trial("lora", 0, size, 1, lora(made))
        assert (trial.train_items, trial.keep_artifact) == (size, False)
        assert {(one.suite, one.split) for one in trial.scores} == {
            ("domain", "train"), ("domain", "validation"),
        }  # fmt: skip
        (path,) = [one.items_path for one in trial.scores if one.split == "train"]
        samples[size] = [item.id for item in read_examples_file(path)]
        assert set(samples[size]) <= {item.id for item in train[:size]}
        assert len(samples[size]) == min(size, len(made.prepared.splits.validation))
    assert set(samples[4]) < set(samples[8]) <= set(samples[20])
    requests = [
        one.key for size in (4, 8, 20)
        for one in made.curve_trial("lora", 0, size, 1, lora(made)).scores
    ]  # fmt: skip
    assert len(set(requests)) == 6
    assert len({made.sets[f"train_first_{size}"].fingerprint for size in (4, 8, 20)}) == 3


WAYS = {"choices": ["generate", "choice"], "default": "choice"}


def test_ways_of_answering_are_scored_and_not_searched(tmp_path: Path) -> None:
    arms = {"lora": {"kind": "lora", "answering": WAYS}, "few-shot": {"kind": "prompt", "shots": 2}}
    made = plan(tmp_path, arms=arms)
    arm = made.experiment.arms["lora"]
    assert "answering" not in arm.search_space()
    settings = lora(made)
    # The default comes first, and of equals the first is kept.
    assert settings.answering == settings.ways == ("choice", "generate")
    trial = made.search_trial("lora", 0, settings)
    assert [(one.answering, one.split) for one in trial.scores] == [
        ("choice", "validation"),
        ("generate", "validation"),
    ]
    assert len({one.key for one in trial.scores}) == 2
    settled = trial.settled("generate")
    assert (settled.trial_id, settled.ways, settled.answering) == (trial.trial_id, (), "generate")
    assert settled.scores == trial.scores[1:]
    final = made.finalist("lora", 0, 1, settings_from(settled.params))
    assert {one.answering for one in final.scores} == {""}
    # A prompt is asked anew for each way, so that each is a setting of its own.
    searched = plan(tmp_path, arms={"few-shot": {"kind": "prompt", "answering": WAYS}})
    assert searched.experiment.trials_of("few-shot") == 2


def test_one_way_of_answering_is_no_choice(tmp_path: Path) -> None:
    made = plan(tmp_path, arms={"lora": {"kind": "lora", "answering": {"choices": ["choice"]}}})
    trial = made.search_trial("lora", 0, lora(made))
    assert (trial.params["answering"], trial.ways, len(trial.scores)) == ("choice", (), 1)


def test_a_curve_stops_below_the_whole_split(tmp_path: Path) -> None:
    made = plan(tmp_path, arms=CURVE)
    whole = len(made.prepared.splits.train)
    assert whole == 36
    arms = {"lora": {"kind": "lora", "curve": [8, whole, whole + 1, 99]}}
    made = plan(tmp_path, arms=arms)
    stages = after_search(made, {"lora": {0: lora(made)}}, {})
    assert [t.train_items for stage in stages for t in stage.trials if t.phase == "curve"] == [8]
    (problem,) = made.left_out()
    assert problem == "arms.lora.curve: 37, 99 left out: the training split has 36 examples"
    assert final_counts(made.experiment, made.prepared.splits).curves == 1


def test_what_is_to_be_completed(tmp_path: Path) -> None:
    made = plan(tmp_path, memorisation_items=7)
    splits = made.prepared.splits
    for name, split in (("train", splits.train), ("validation", splits.validation)):
        items = read_examples_file(made.sets[f"memorisation_{name}"].path)
        assert len(items) == 7
        assert all(item in split for item in items)
    base, final = made.baseline(), made.finalist("lora", 0, 1, lora(made))
    asked = [[one for one in t.scores if one.suite == "memorisation"] for t in (base, final)]
    assert [[(one.task, one.split, one.items_path) for one in both] for both in asked] == [
        [("memorisation", name, str(made.sets[f"memorisation_{name}"].path))
         for name in ("train", "validation")]
    ] * 2  # fmt: skip
    assert len({one.key for both in asked for one in both}) == 4
    for changes in ({"memorisation_items": 0}, {"arms": {"zero-shot": {"kind": "prompt"}}}):
        without = plan(tmp_path, **changes)
        assert not any(name.startswith("memorisation") for name in without.sets)
        assert without.left_out() == []


def test_texts_of_too_few_words_are_not_completed(tmp_path: Path) -> None:
    rows = [{"text": f"word{n} {n}", "label": "billing"} for n in range(60)]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    made = plan(tmp_path)
    assert {one.suite for one in made.baseline().scores} == {"domain"}
    assert [text[:28] for text in made.left_out()] == ["memorisation is not measured"]


def test_the_order_after_the_search(tmp_path: Path) -> None:
    arms = {**CURVE, "few-shot": {**ARMS["few-shot"], "seeds": [7, 8]}}
    made = plan(tmp_path, arms=arms, budget={"test_default": True})
    tuned: dict[str, dict[int, Settings]] = {
        "lora": {0: replace(lora(made), learning_rate=1e-3)},
        "few-shot": {0: few(made, shots=9)},
    }
    assert made.experiment.arms["few-shot"].defaults() != {"shots": 9}

    def order(*arguments: Any) -> list[tuple[str, str, int, int | None]]:
        stages = after_search(made, *arguments)
        return [
            (one.phase, one.arm, one.seed, one.train_items)
            for stage in stages for one in stage.trials
        ]  # fmt: skip

    finalists = [
        ("finalist", "lora", 1, None),
        *(("finalist", "few-shot", n, None) for n in (7, 8)),
    ]
    defaults = [("default", "lora", 1, None), *(("default", "few-shot", n, None) for n in (7, 8))]
    curve = [("curve", "lora", 1, size) for size in (4, 8, 20)]
    default = {arm: made.default_setting(arm) for arm in tuned}
    stages = after_search(made, tuned, default)
    assert [stage.title for stage in stages] == [
        "Testing the finalists", "Testing default settings", "Learning curves",
    ]  # fmt: skip
    assert order(tuned, default) == [*finalists, *defaults, *curve]
    assert order(tuned, {"few-shot": default["few-shot"]}) == [*finalists, *defaults[1:], *curve]
    kept = {**tuned, "few-shot": {0: default["few-shot"]}}
    assert order(kept, default) == [*finalists, defaults[0], *curve]
    counts = final_counts(made.experiment, made.prepared.splits)
    assert (counts.finalists, counts.defaults, counts.curves) == (3, 3, 3)
    assert (counts.latencies, counts.total) == (4, 13)


def test_arms_are_timed_forwards_and_backwards_by_their_first_complete_seed(
    tmp_path: Path,
) -> None:
    made = plan(tmp_path, seeds=[1, 2])
    settings = {"lora": lora(made), "few-shot": few(made), "zero-shot": few(made, shots=0)}
    selected = {arm: {0: setting} for arm, setting in settings.items()}

    def ended(arm: str, place: int, status: Status = "complete") -> TrialSummary:
        spec = made.finalist(arm, place, place + 1, selected[arm][0])
        found = summary(spec.trial_id, spec.seed, spec.params, status)
        return replace(found, arm=arm, phase="finalist")

    known = [
        ended("lora", 0, "failed"), ended("lora", 1), ended("few-shot", 0), ended("few-shot", 1),
        ended("zero-shot", 0, "failed"),
    ]  # fmt: skip
    stage = latency_stage(made, selected, {one.place: one for one in known})
    assert [(one.arm, one.number, one.seed) for one in stage.trials] == [
        ("lora", 0, 2), ("few-shot", 0, 1), ("few-shot", 1, 1), ("lora", 1, 2),
    ]  # fmt: skip
    first, prompt = stage.trials[:2]
    assert first.trained_path == str(made.trials / known[1].trial_id / "artifact")
    assert prompt.trained_path == ""
    assert [(one.suite, one.split) for one in first.scores] == [("latency", "test")]
    # Where one of them is another, all are timed anew.
    again = latency_stage(made, selected, {one.place: one for one in known[1:3]})
    assert again == stage
    alone = latency_stage(made, selected, {known[1].place: known[1]})
    assert not {one.trial_id for one in alone.trials} & {one.trial_id for one in stage.trials}


def test_what_runs_by_itself_has_all_cores_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.models.runtime._threads_at_most", lambda: 6)
    made = plan(tmp_path, runtime=Runtime("cpu", "float32", 4, threads=2, memory_share=1 / 3))
    final = made.finalist("lora", 0, 1, lora(made))
    timed = made.latency_trial("lora", 0, final, [final.trial_id])
    shares = [(one.runtime.threads, one.runtime.memory_share) for one in (
        made.baseline(), made.search_trial("lora", 0, lora(made)), final, timed,
    )]  # fmt: skip
    assert shares == [(6, 1.0), (2, 1 / 3), (2, 1 / 3), (6, 1.0)]


def test_a_test_of_the_default_setting_says_so() -> None:
    def purposes(phase: Phase) -> list[str]:
        spec = trial("t", [score("k"), score("v", split="validation")], phase=phase).spec
        return [str(look["purpose"]) for look in accesses_to_test(spec).values()]

    assert purposes("finalist") == ["final score of the finalist"]
    assert purposes("default") == ["test of the default setting, to show what tuning gained"]
    timed = trial("t", [replace(score("k"), suite="latency")], phase="latency").spec
    (look,) = accesses_to_test(timed).values()
    assert str(look["purpose"]).startswith("latency")


def test_seeds_of_searches_are_none_of_the_finalists(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.search_trial("few-shot", 0, few(made)).seed not in made.experiment.seeds


# --------------------------------------------------------------------------- keys of scores


def test_prompts_that_draw_nothing_share_scores_over_seeds(tmp_path: Path) -> None:
    made = plan(tmp_path)

    def test_key(arm: str, seed: int, **params: Any) -> str:
        return key(made.finalist(arm, 0, seed, few(made, **params)), "test")

    assert test_key("zero-shot", 1, shots=0) == key(made.baseline(), "test")
    assert test_key("zero-shot", 1, shots=0) == test_key("zero-shot", 2, shots=0)
    # Settings that render the same prompt share a score: trying them again costs nothing.
    for ignored in ({"selection": "nearest"}, {"selection": "bm25", "order": "shuffled"}):
        assert test_key("few-shot", 1, shots=0, **ignored) == key(made.baseline(), "test")
    for selection in ("fixed", "nearest"):
        drawn_alike = {test_key("few-shot", seed, selection=selection) for seed in (1, 2)}
        assert len(drawn_alike) == 1
    for selection in ("random", "balanced"):
        assert test_key("few-shot", 1, selection=selection) != test_key(
            "few-shot", 2, selection=selection
        )


@pytest.mark.parametrize(
    "change",
    [
        {"shots": 5},
        {"selection": "balanced"},
        {"selection": "bm25"},
        {"order": "reversed"},
        {"answering": "choice"},
        {"answering": "constrained"},
        {"instruction": "Other."},
        {"template": "{text}!"},
        {"chat": False},
    ],
)
def test_whatever_changes_the_prompt_changes_the_key(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    made = plan(tmp_path)
    a, b = (made.search_trial("few-shot", 0, few(made, **one)) for one in ({}, change))
    assert key(a, "validation") != key(b, "validation")


def test_trained_candidates_share_no_score(tmp_path: Path) -> None:
    made = plan(tmp_path, general={"limit": 5})
    settings = lora(made)
    trials = [made.finalist("lora", n, n, settings) for n in (1, 2)] + [made.baseline()]
    keys = [one.key for trial in trials for one in trial.scores]
    assert len(set(keys)) == len(keys)


def test_a_key_depends_on_items_and_machine(tmp_path: Path) -> None:
    base = plan(tmp_path)
    before = key(base.baseline(), "test")
    for changed in (
        plan(tmp_path, runtime=Runtime("cpu", "bfloat16", 32)),
        plan(tmp_path, runtime=Runtime("cpu", "float32", 8)),
        plan(tmp_path, model=ResolvedModel("fake", "/fake", "e" * 64)),
        plan(tmp_path, data={**base.experiment.plain()["data"], "seed": 3}),
    ):
        assert key(changed.baseline(), "test") != before


def test_a_general_score_is_shared_by_experiments_with_other_data(tmp_path: Path) -> None:
    def general(made: Plan) -> list[ScoreRequest]:
        return [one for one in made.baseline().scores if one.suite == "general"]

    a = plan(tmp_path, general={"limit": 5})
    b = plan(tmp_path, general={"limit": 5}, data={**a.experiment.plain()["data"], "seed": 3})
    other = plan(tmp_path, general={"limit": 6})
    assert a.experiment_id != b.experiment_id
    assert general(a) == general(b)
    assert {one.key for one in general(a)}.isdisjoint(one.key for one in general(other))
