"""The experiment as a value: round trip, identity, arms, tasks, finite answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from harness.records import content_hash
from harness.spec import (
    Arm,
    Choice,
    Experiment,
    FloatRange,
    IntRange,
    JsonAnswer,
    TaskSpec,
    load_experiment,
)
from harness.spec.task import canonical_json, enumerate_schema, template_fields

QUICKSTART = Path(__file__).resolve().parents[2] / "experiments" / "quickstart.yaml"


@pytest.fixture(scope="module")
def quickstart() -> Experiment:
    return load_experiment(QUICKSTART)


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


def test_plain_data_read_back_is_equal(quickstart: Experiment) -> None:
    plain = quickstart.plain()
    assert json.loads(json.dumps(plain)) == plain
    assert Experiment.model_validate(plain) == quickstart
    assert plain["task"]["answer"]["schema"]["type"] == "object"


def test_an_experiment_is_frozen(quickstart: Experiment) -> None:
    with pytest.raises(ValidationError):
        quickstart.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("contrast.margin", 0.2), ("cost.machine_per_hour", 5), ("constraints.latency_ms", 3.0),
        ("execution.workers", 3), ("budget.tokens", 10**6), ("budget.trials", 50),
        ("seeds", [4, 5]), ("question", "Why?"),
    ],
)  # fmt: skip
def test_what_only_judges_or_extends_keeps_the_identity(
    quickstart: Experiment, path: str, value: Any
) -> None:
    other = with_values(quickstart, path, value)
    assert other != quickstart
    assert other.trial_identity() == quickstart.trial_identity()


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
    quickstart: Experiment, path: str, value: Any
) -> None:
    assert with_values(quickstart, path, value).trial_identity() != quickstart.trial_identity()


def test_the_margin_is_no_part_of_a_search_that_ignores_it(quickstart: Experiment) -> None:
    ignoring = with_values(quickstart, "search.forgetting", "ignore")
    other = with_values(ignoring, "general.margin", 0.2)
    assert other.trial_identity() == ignoring.trial_identity()


def test_trials_of_an_arm(quickstart: Experiment) -> None:
    counts = {name: quickstart.trials_of(name) for name in quickstart.arms}
    assert counts == {"zero-shot": 1, "few-shot": 3, "choice": 3, "full": 3, "lora": 3, "qlora": 3}
    assert set(quickstart.trained_arms()) == {"full", "lora", "qlora"}
    assert set(quickstart.prompt_arms()) == {"zero-shot", "few-shot", "choice"}


def test_columns_in_order_of_use(quickstart: Experiment) -> None:
    assert quickstart.columns() == ("text", "sentiment", "intensity", "id", "review")


# --------------------------------------------------------------------------- arms


@pytest.mark.parametrize("kind", ["prompt", "full", "lora", "qlora"])
def test_defaults_resolve(kind: str) -> None:
    one = arm(kind=kind)
    params = one.resolve(one.defaults())
    assert params["kind"] == kind
    assert params["shots"] == 0
    json.dumps(params)
    assert not any(isinstance(value, dict) for value in params.values())


def test_a_searched_value_takes_the_place_of_its_range() -> None:
    one = arm(kind="lora", rank={"low": 2, "high": 8}, epochs=5)
    assert set(one.search_space()) == {"learning_rate", "rank"}
    params = one.resolve({"learning_rate": 1e-3, "rank": 3})
    assert (params["learning_rate"], params["rank"], params["epochs"]) == (1e-3, 3, 5)
    with pytest.raises(KeyError):
        one.resolve({"rank": 3})


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


def test_answers_come_from_one_place() -> None:
    schema = {"type": "object"}
    for answer in ({}, {"column": "y", "columns": {"a": "b"}}):
        with pytest.raises(ValidationError, match="exactly one of `columns`"):
            task({"kind": "json", "schema": schema, **answer})


def test_finite_answers() -> None:
    assert task({"kind": "label", "column": "y"}).finite_answers() is None
    listed = task({"kind": "label", "column": "y", "labels": ["a", "b"]})
    assert listed.finite_answers() == ("a", "b")
    assert task({"kind": "text", "column": "y"}).finite_answers() is None
    for labels in (
        [],
        ["a", "b", "a"],
        ["a", "b", " a\u200b"],
        ["\u00e9", "e\u0301"],
        ["a", ""],
        ["a", "\ufeff"],
    ):
        with pytest.raises(ValidationError, match="labels"):
            task({"kind": "label", "column": "y", "labels": labels})


@pytest.mark.parametrize("template", ["{a} {b} {a}", "{{literal}} {a}{b}"])
def test_template_fields(template: str) -> None:
    assert template_fields(template) == ("a", "b")


@pytest.mark.parametrize("template", ["{}", "{a.b}", "{a[0]}", "{a!r}", "{a:>3}", "{a", "a}"])
def test_templates_hold_plain_names_only(template: str) -> None:
    with pytest.raises(ValueError):
        template_fields(template)


# --------------------------------------------------------------------------- schemas


def flat(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def test_every_object_of_a_flat_schema() -> None:
    schema = flat(mood={"enum": ["good", "bad"]}, n={"type": "integer", "minimum": 1, "maximum": 2})
    assert enumerate_schema(schema) == (
        '{"mood": "good", "n": 1}', '{"mood": "good", "n": 2}',
        '{"mood": "bad", "n": 1}', '{"mood": "bad", "n": 2}',
    )  # fmt: skip
    assert enumerate_schema(flat(on={"type": "boolean"})) == ('{"on": false}', '{"on": true}')


def test_bounds_that_are_no_whole_numbers() -> None:
    field = {"type": "integer", "minimum": 0.5, "maximum": 2.5}
    assert enumerate_schema(flat(n=field)) == ('{"n": 1}', '{"n": 2}')
    for low, high in ((0, float("inf")), (-float("inf"), 0), (0, 1e300), (float("inf"),) * 2):
        assert (
            enumerate_schema(flat(n={"type": "integer", "minimum": low, "maximum": high})) is None
        )


@pytest.mark.parametrize("keyword", ["properties", "$defs", "patternProperties"])
def test_a_keyword_that_holds_no_schemas_is_refused(keyword: str) -> None:
    with pytest.raises(ValidationError, match="not a valid JSON Schema"):
        JsonAnswer.model_validate(
            {"kind": "json", "column": "a", "schema": {"type": "object", keyword: "sentiment"}}
        )


def test_an_order_mark_that_is_misspelt_is_refused() -> None:
    marked = flat(tags={"type": "array", "x-unordered": True})
    answer = task({"kind": "json", "schema": marked, "column": "y"}).answer
    assert isinstance(answer, JsonAnswer)
    assert answer.schema_ == marked
    with pytest.raises(ValidationError, match=r"`x-unorderd` is no keyword.*`x-unordered: true`"):
        wrong = flat(tags={"type": "array", "x-unorderd": True})
        task({"kind": "json", "schema": wrong, "column": "y"})


def test_objects_that_break_another_rule_are_left_out() -> None:
    schema = flat(a={"enum": [1, 2]}, b={"enum": [1, 2]})
    schema["not"] = {"properties": {"a": {"const": 1}, "b": {"const": 1}}}
    assert enumerate_schema(schema) == ('{"a": 1, "b": 2}', '{"a": 2, "b": 1}', '{"a": 2, "b": 2}')


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        flat(a={"type": "string"}),
        flat(a=True),
        flat(a={"type": "integer", "minimum": 0}),
        {**flat(a={"enum": [1]}), "required": []},
        flat(a={"enum": list(range(257))}),
        flat(**{name: {"enum": list(range(20))} for name in "abc"}),
    ],
)
def test_what_has_no_short_list_of_answers(schema: dict[str, Any]) -> None:
    assert enumerate_schema(schema) is None


def test_canonical_json_follows_the_schema() -> None:
    schema = flat(b={"type": "object", "properties": {"y": {}, "x": {}}}, a={"type": "array"})
    schema["properties"]["list"] = {"items": flat(q={}, p={})}
    value = {"zz": 1, "a": [1], "b": {"x": 1, "y": 2}, "list": [{"p": 1, "q": 2}], "é": "ü"}
    assert canonical_json(value, schema) == (
        '{"b": {"y": 2, "x": 1}, "a": [1], "list": [{"q": 2, "p": 1}], "zz": 1, "é": "ü"}'
    )
    assert canonical_json({"a": {"y": 1, "x": 2}}, flat(a=True)) == '{"a": {"x": 2, "y": 1}}'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(value=st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_canonical_json_keeps_the_value_and_forgets_the_order(value: dict[str, Any]) -> None:
    schema = flat(c={}, a={"type": "object"})
    text = canonical_json(value, schema)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items())), schema) == text


@given(
    axes=st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.integers(0, 5) | st.text(max_size=2), min_size=1, max_size=3, unique_by=repr),
        min_size=1,
    )
)
def test_enumerated_answers_are_valid_and_distinct(axes: dict[str, list[Any]]) -> None:
    schema = flat(**{name: {"enum": values} for name, values in axes.items()})
    answers = enumerate_schema(schema)
    assert answers is not None
    assert len(set(answers)) == len(answers)
    for answer in answers:
        jsonschema.validate(json.loads(answer), schema)
        assert canonical_json(json.loads(answer), schema) == answer


def test_content_hash_does_not_depend_on_key_order() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": "1"})
