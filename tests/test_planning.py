"""Identities: what changes a trial, a score or an experiment, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_trial import experiment, write_data

from harness.data import prepare, read_examples_file
from harness.evaluation.suites import load_suite
from harness.planning import Plan, make_plan
from harness.records import ResolvedModel, Runtime, ScoreRequest, TrialSpec
from harness.spec import Experiment

MODEL = ResolvedModel("fake", "/fake", "f" * 64)
RUNTIME = Runtime("cpu", "float32", 32)
SHOTS = {"shots": 4, "selection": "random", "answering": "generate", "instruction": None}


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


def lora(made: Plan) -> dict[str, Any]:
    arm = made.experiment.arms["lora"]
    return arm.resolve(arm.defaults())


def few(made: Plan, **changes: Any) -> dict[str, Any]:
    return {**SHOTS, **changes}


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
        {"budget": {"trials": 9}},
        {"seeds": [5]},
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
    made = plan(tmp_path)
    params = lora(made)
    trials = [
        made.search_trial("lora", 0, params),
        made.search_trial("lora", 1, params),
        made.search_trial("lora", 0, {**params, "rank": 17}),
        made.finalist("lora", 0, 1, params),
        made.finalist("lora", 1, 2, params),
        made.baseline(),
    ]
    assert len({trial.trial_id for trial in trials}) == len(trials)
    assert made.search_trial("lora", 0, params) == trials[0]


def test_what_each_phase_is_handed(tmp_path: Path) -> None:
    made = plan(tmp_path, general={"limit": 5})
    params = lora(made)
    search, final = made.search_trial("lora", 0, params), made.finalist("lora", 0, 1, params)
    prompt, base = made.finalist("few-shot", 0, 1, few(made)), made.baseline()

    def sets(trial: TrialSpec) -> list[tuple[str, str]]:
        return sorted({(one.suite, one.split) for one in trial.scores})

    test, validation, train = (("domain", name) for name in ("test", "validation", "train"))
    general = ("general", "test")
    assert sets(search) == [validation]
    assert sets(final) == [test, train, validation, general]
    assert sets(prompt) == [test, validation]
    assert sets(base) == [test, general]
    assert (search.keep_artifact, final.keep_artifact, prompt.keep_artifact) == (False, True, False)
    assert {one.limit for one in final.scores if one.suite == "general"} == {5}


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
    assert test_key("few-shot", 1, shots=0, selection="nearest") == key(made.baseline(), "test")
    for selection in ("fixed", "nearest"):
        drawn_alike = {test_key("few-shot", seed, selection=selection) for seed in (1, 2)}
        assert len(drawn_alike) == 1
    for selection in ("random", "balanced"):
        assert test_key("few-shot", 1, selection=selection) != test_key(
            "few-shot", 2, selection=selection
        )


@pytest.mark.parametrize(
    "change",
    [{"shots": 5}, {"selection": "balanced"}, {"answering": "choice"}, {"instruction": "Other."}],
)
def test_whatever_changes_the_prompt_changes_the_key(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    made = plan(tmp_path)
    a, b = (made.search_trial("few-shot", 0, {**SHOTS, **one}) for one in ({}, change))
    assert key(a, "validation") != key(b, "validation")


def test_trained_candidates_share_no_score(tmp_path: Path) -> None:
    made = plan(tmp_path, general={"limit": 5})
    params = lora(made)
    trials = [made.finalist("lora", n, n, params) for n in (1, 2)] + [made.baseline()]
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
