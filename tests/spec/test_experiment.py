"""The experiment as a value: round trip, identity, arms, tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.records import content_hash, to_plain
from harness.spec import (
    Arm,
    Choice,
    Experiment,
    FloatRange,
    IntRange,
    TaskSpec,
    load_experiment,
)
from harness.spec.settings import LoraSettings
from harness.spec.task import template_fields

FEEDBACK = Path(__file__).resolve().parents[2] / "experiments" / "product-feedback.yaml"


@pytest.fixture(scope="module")
def feedback() -> Experiment:
    return load_experiment(FEEDBACK)


def arm(**values: Any) -> Arm:
    parsed: Arm = TypeAdapter(Arm).validate_python(values)
    return parsed


def with_values(spec: Experiment, path: str, value: Any) -> Experiment:
    plain = spec.plain()
    inner = plain
    *parents, last = path.split(".")
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return Experiment.model_validate(plain)


def test_plain_data_read_back_is_equal(feedback: Experiment) -> None:
    plain = feedback.plain()
    assert json.loads(json.dumps(plain)) == plain
    assert Experiment.model_validate(plain) == feedback
    assert plain["task"]["answer"]["schema"]["type"] == "object"


def test_an_experiment_is_frozen(feedback: Experiment) -> None:
    with pytest.raises(ValidationError):
        feedback.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("contrast.margin", 0.2), ("cost.machine_per_hour", 5), ("constraints.latency_ms", 3.0),
        ("execution.workers", 3), ("budget.tokens", 10**6), ("budget.trials", 50),
        ("seeds", [4, 5]), ("question", "Why?"),
    ],
)  # fmt: skip
def test_what_only_judges_or_extends_keeps_the_identity(
    feedback: Experiment, path: str, value: Any
) -> None:
    other = with_values(feedback, path, value)
    assert other != feedback
    assert other.trial_identity() == feedback.trial_identity()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("task.instruction", "Other."), ("data.seed", 1), ("arms.lora.epochs", 3),
        ("model.dtype", "float32"), ("general.limit", 7), ("search.sampler", "random"),
        ("score_batch_size", 8), ("general", None), ("search.ahead", 2), ("general.margin", 0.2),
        ("arms.lora.replay", 0.1),
    ],
)  # fmt: skip
def test_what_a_trial_computes_is_in_the_identity(
    feedback: Experiment, path: str, value: Any
) -> None:
    assert with_values(feedback, path, value).trial_identity() != feedback.trial_identity()


def test_the_margin_is_no_part_of_a_search_that_ignores_it(feedback: Experiment) -> None:
    ignoring = with_values(feedback, "search.forgetting", "ignore")
    other = with_values(ignoring, "general.margin", 0.2)
    assert other.trial_identity() == ignoring.trial_identity()


def test_trials_of_an_arm(feedback: Experiment) -> None:
    counts = {name: feedback.trials_of(name) for name in feedback.arms}
    assert counts == {"zero-shot": 1, "few-shot": 3, "choice": 3, "full": 3, "lora": 3, "qlora": 3}
    assert set(feedback.trained_arms()) == {"full", "lora", "qlora"}
    assert set(feedback.prompt_arms()) == {"zero-shot", "few-shot", "choice"}


def test_columns_in_order_of_use(feedback: Experiment) -> None:
    assert feedback.columns() == ("text", "sentiment", "intensity", "id", "review")


# --------------------------------------------------------------------------- arms


@pytest.mark.parametrize("empty", ["", " \n", {"choices": ["Sort it.", ""]}])
@pytest.mark.parametrize("name", ["few-shot", "lora"])
def test_an_empty_instruction_of_an_arm_is_refused_as_the_tasks_is(
    feedback: Experiment, name: str, empty: Any
) -> None:
    with pytest.raises(ValidationError, match=rf"arms\.{name}\.instruction: is empty; say what"):
        with_values(feedback, f"arms.{name}.instruction", empty)
    assert with_values(feedback, f"arms.{name}.instruction", None) is not None


@pytest.mark.parametrize("kind", ["prompt", "full", "lora", "qlora"])
def test_defaults_resolve(kind: str) -> None:
    one = arm(kind=kind)
    params = to_plain(one.resolve(one.defaults()))
    assert params["kind"] == kind
    assert params["shots"] == 0
    json.dumps(params)
    assert not any(isinstance(value, dict) for value in params.values())


def test_a_searched_value_takes_the_place_of_its_range() -> None:
    one = arm(kind="lora", rank={"low": 2, "high": 8}, epochs=5)
    assert set(one.search_space()) == {"learning_rate", "rank"}
    settings = one.resolve({"learning_rate": 1e-3, "rank": 3})
    assert isinstance(settings, LoraSettings)
    assert (settings.learning_rate, settings.rank, settings.epochs) == (1e-3, 3, 5)
    with pytest.raises(KeyError):
        one.resolve({"rank": 3})


EPOCHS_PASSED = {"schedule": "constant", "warmup": 0}


@pytest.mark.parametrize("kind", ["full", "lora", "qlora"])
@pytest.mark.parametrize(
    ("epochs", "most"),
    [({"low": 1, "high": 4}, 4), ({"choices": [3, 6, 2], "default": 2}, 6), (5, 5)],
)
def test_where_one_training_passes_through_all_epochs_they_are_not_searched(
    kind: str, epochs: Any, most: int
) -> None:
    one = arm(kind=kind, epochs=epochs, answering={"choices": ["generate"]}, **EPOCHS_PASSED)
    assert "epochs" not in one.search_space()
    settings = one.resolve(one.defaults())
    assert to_plain(settings)["epochs"] == most
    assert arm(kind=kind, learning_rate=1e-4, epochs=epochs, **EPOCHS_PASSED).settings() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"schedule": "linear"},
        {"warmup": 0.1},
        {"keep": "last"},
        {"schedule": {"choices": ["constant", "cosine"]}},
        {"warmup": {"low": 0.0, "high": 0.1}},
    ],
)
def test_elsewhere_a_range_of_epochs_is_searched(other: dict[str, Any]) -> None:
    one = arm(kind="lora", epochs={"low": 1, "high": 4}, **{**EPOCHS_PASSED, **other})
    assert "epochs" in one.search_space()
    assert to_plain(one.resolve({**one.defaults(), "epochs": 3}))["epochs"] == 3


def test_epochs_that_are_not_searched_must_be_allowed_all_the_same() -> None:
    with pytest.raises(ValidationError, match="epochs: 0 is not allowed"):
        arm(kind="lora", epochs={"choices": [0, 2]}, **EPOCHS_PASSED)


def test_the_rate_of_lora_is_about_ten_times_that_of_full() -> None:
    starts = [arm(kind=kind).search_space()["learning_rate"].start for kind in ("lora", "full")]
    assert starts[0] == pytest.approx(10 * starts[1])


def test_where_trial_0_starts() -> None:
    assert FloatRange(low=1e-4, high=1e-2, log=True).start == pytest.approx(1e-3)
    assert FloatRange(low=0, high=1).start == 0.5
    assert IntRange(low=1, high=100, log=True).start == 10
    assert IntRange(low=1, high=4).start in (2, 3)
    assert Choice[str](choices=("a", "b")).start == "a"
    assert Choice[str](choices=("a", "b"), default="b").start == "b"


# --------------------------------------------------------------------------- tasks


def task(answer: dict[str, Any], **values: Any) -> TaskSpec:
    return TaskSpec.model_validate({"instruction": "Do.", "answer": answer, **values})


def test_metrics_by_answer_kind() -> None:
    assert task({"kind": "label", "column": "y"}).primary_metric == "exact_match"
    assert task({"kind": "text", "column": "y"}).primary_metric == "chrf"
    chosen = task({"kind": "text", "column": "y"}, metrics=["rouge_l", "chrf"])
    assert chosen.metrics == ("rouge_l", "chrf")


@pytest.mark.parametrize("template", ["{a} {b} {a}", "{{literal}} {a}{b}"])
def test_template_fields(template: str) -> None:
    assert template_fields(template) == ("a", "b")


@pytest.mark.parametrize(
    "template", ["{}", "{a.b}", "{a[0]}", "{a!r}", "{a:>3}", "{a", "a}", "{0}", "{١}"]
)
def test_templates_hold_plain_names_only(template: str) -> None:
    with pytest.raises(ValueError):
        template_fields(template)


def test_content_hash_does_not_depend_on_key_order() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": "1"})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"kind": "trained", "path": "adapter", "shots": {"choices": [0, 2]}},
            "share its final folders.*name more folders, or",
        ),
        ({"kind": "lora"}, r"share its final seeds.*change seeds \(or arms.mine.seeds\), or"),
    ],
)
def test_repeats_that_an_arm_has_too_few_runs_for(
    changed: dict[str, Any], told: str, feedback: Experiment
) -> None:
    plain = feedback.plain()
    plain |= {"seeds": [1, 2, 3, 4], "general": None}
    plain["search"]["repeats"] = 3
    del plain["contrast"]
    plain["arms"] = {"few-shot": {"kind": "prompt", "seeds": [1, 2, 3]}, "mine": changed}
    with pytest.raises(ValidationError, match=f"(?s){told} set repeats: 1"):
        Experiment.model_validate(plain)
