"""A trial is known by all that it computes, and by nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from harness.measures import JudgeMetric
from harness.records import CommandCall, CommandFile, Pruning, Runtime, TrialCurve, content_hash
from harness.spec import Experiment, TaskSpec
from harness.spec.settings import Settings, params_of, settings_from
from harness.study.identity import TrialInputs, trial_identity, weights_identity
from harness.study.item_sets import ItemSet
from harness.study.score_keys import ScoringContext, domain_request
from tests.fake_trial import experiment_values

PRUNING = Pruning("median", (TrialCurve(0, "complete", 0.5, ((1, -0.5),)),))
OTHER: dict[str, Any] = {
    "model": "b" * 64,
    "server": "large at http://elsewhere/v1",
    "asked_by": "study",
    "rendering": "<|user|>",
    "runtime": Runtime("cuda:1", "bfloat16", 4),
    "seed": 8,
    "train": "e" * 64,
    "train_items": 12,
    "validation": "f" * 64,
    "validation_losses": "a" * 64,
    "checks_per_epoch": 3,
    "validation_columns": "d" * 64,
    "loss_columns": "d" * 64,
    "general_texts": "c" * 64,
    "pruning": Pruning("median", (TrialCurve(0, "complete", 0.6, ((1, -0.4),)),)),
    "start": "e" * 64,
}
# Of a prompt that nothing stops, what only training reads.
ONLY_TRAINING = {"validation_losses", "checks_per_epoch", "general_texts", "start"}
# What only a metric reads that is handed whole rows.
ONLY_METRICS = {"validation_columns", "loss_columns"}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return experiment_values(tmp_path_factory.mktemp("identity"), general={"limit": 5})


def inputs(values: dict[str, Any], arm: dict[str, Any]) -> TrialInputs:
    experiment = Experiment.model_validate({**values, "arms": {"arm": arm}})
    spec = experiment.arms["arm"]
    return TrialInputs(
        model="a" * 64,
        server="",
        asked_by="",
        rendering="<user>",
        runtime=Runtime("cpu", "float32", 4),
        settings=spec.resolve(spec.defaults()),
        seed=7,
        task=experiment.task,
        train="1" * 64,
        train_items=None,
        validation="2" * 64,
        validation_losses="3" * 64,
        checks_per_epoch=1,
        validation_columns="5" * 64,
        loss_columns="6" * 64,
        general_texts="4" * 64,
        pruning=PRUNING,
    )


def known_as(of: TrialInputs) -> str:
    return content_hash(trial_identity(of))


def trained_as(of: TrialInputs) -> str:
    return content_hash(weights_identity(of))


LORA: dict[str, Any] = {"kind": "lora", "replay": 0.2, "learning_rate": 1e-3}
PROMPT: dict[str, Any] = {"kind": "prompt", "shots": 2}
CHECKED: dict[str, Any] = {**LORA, "checks": "score", "keep": "best"}
CHOSEN: dict[str, Any] = {**LORA, "answering": {"choices": ["generate", "choice"]}}


@pytest.mark.parametrize("arm", [LORA, PROMPT], ids=lambda arm: str(arm["kind"]))
@pytest.mark.parametrize("name", sorted(OTHER))
def test_any_one_input_makes_another_trial(
    values: dict[str, Any], arm: dict[str, Any], name: str
) -> None:
    names = {field.name for field in fields(TrialInputs)}
    assert OTHER.keys() == names - {"settings", "task", "brought", "command"}
    one = inputs(values, arm)
    other = replace(one, **{name: OTHER[name]})
    ignored = name in ONLY_METRICS or (arm["kind"] == "prompt" and name in ONLY_TRAINING)
    assert (known_as(other) == known_as(one)) is ignored
    if arm["kind"] == "lora" and not ignored:
        assert trained_as(other) != trained_as(one)


def test_brought_weights_are_known_by_what_they_hold(values: dict[str, Any]) -> None:
    one = replace(inputs(values, {"kind": "trained", "path": "here"}), brought="a" * 64)
    moved = replace(inputs(values, {"kind": "trained", "path": "there"}), brought="a" * 64)
    assert known_as(moved) == known_as(one)
    # How they are asked makes another trial of the same weights.
    asked = replace(one, settings=replace(one.settings, answering="choice"), seed=8)
    assert (known_as(asked) == known_as(one), trained_as(asked) == trained_as(one)) == (False, True)
    for other in (
        replace(one, brought="b" * 64),
        replace(one, model="b" * 64),
        inputs(values, {"kind": "trained", "path": "here", "base": "nf4"}),
    ):
        assert trained_as(other) != trained_as(one)


def test_a_command_is_known_by_its_words_and_by_what_its_files_hold(values: dict[str, Any]) -> None:
    def call(place: str, *words: str, digest: str = "a" * 64) -> CommandCall:
        return CommandCall((*words, f"{place}/train.py"), (CommandFile(f"{place}/train.py",
                           "train.py", digest),))  # fmt: skip

    arm = {"kind": "command", "command": ["python", "train.py", "{result}"],
           "parameters": {"rate": {"low": 0.1, "high": 0.2}}}  # fmt: skip
    one = replace(inputs(values, arm), command=call("/here", "python"))
    moved = replace(one, command=call("/there", "python"))
    named = replace(one, command=replace(call("/here", "python"), environment=("KEY",)))
    assert trained_as(one) == trained_as(moved) == trained_as(named)
    params = params_of(one.settings)
    for other in (
        replace(one, command=call("/here", "python", digest="b" * 64)),
        replace(one, command=call("/here", "python", "--fast")),
        replace(one, seed=8),
        replace(one, model="b" * 64),
        replace(one, train="b" * 64),
        replace(one, settings=settings_from({**params, "parameters.rate": 0.11})),
        replace(one, settings=settings_from({**params, "rows": "text"})),
        replace(one, pruning=None),
    ):
        assert trained_as(other) != trained_as(one)
    # The same weights may be asked in another way.
    asked = replace(one, settings=replace(one.settings, answering="choice"))
    assert (trained_as(asked) == trained_as(one), known_as(asked) == known_as(one)) == (True, False)


@pytest.mark.parametrize("method", ["svm", "nearest"])
def test_a_classifier_depends_on_no_model_and_on_the_seed_where_it_draws(
    values: dict[str, Any], method: str
) -> None:
    one = inputs(values, {"kind": "classifier", "method": method})
    same = replace(one, model="b" * 64, rendering="", runtime=Runtime("cuda", "bfloat16", 9))
    assert known_as(same) == known_as(one)
    assert trained_as(replace(one, train="b" * 64)) != trained_as(one)
    other = replace(one, seed=8)
    assert known_as(other) != known_as(one)
    assert (trained_as(other) == trained_as(one)) is (method == "nearest")


@pytest.mark.parametrize(
    ("arm", "name", "reads", "same"),
    [
        pytest.param(PROMPT, "validation_columns", True, False, id="stopped"),
        pytest.param(PROMPT, "validation_columns", False, True, id="stopped-by-replies"),
        pytest.param(LORA, "validation_columns", True, True, id="trained"),
        pytest.param(CHECKED, "loss_columns", True, False, id="checked"),
        pytest.param(CHECKED, "loss_columns", False, True, id="checked-by-replies"),
        pytest.param(CHOSEN, "validation_columns", True, False, id="ways"),
        pytest.param(CHOSEN, "validation_columns", False, True, id="ways-by-replies"),
    ],
)
def test_rows_count_where_the_metric_that_decides_reads_them(
    values: dict[str, Any], arm: dict[str, Any], name: str, reads: bool, same: bool
) -> None:
    pair = {"judge": "kind", "by": "m", "rubric": "Is it kind?", "range": [0, 1]}
    pair["pairwise"] = "ours" if reads else "target"
    one = inputs(values, arm)
    task = one.task.model_copy(update={"metrics": (JudgeMetric.model_validate(pair),)})
    one = replace(one, task=task)
    assert (known_as(replace(one, **{name: OTHER[name]})) == known_as(one)) is same


@pytest.mark.parametrize(
    ("arm", "pruned", "same"),
    [
        pytest.param(PROMPT, False, True, id="asked"),
        pytest.param(PROMPT, True, False, id="stopped"),
        pytest.param(LORA, True, True, id="trained"),
        pytest.param(CHECKED, False, False, id="checked"),
        pytest.param(CHOSEN, False, False, id="ways"),
    ],
)
def test_a_tolerance_counts_where_scores_decide(
    values: dict[str, Any], arm: dict[str, Any], pruned: bool, same: bool
) -> None:
    one = inputs(values, arm)
    exact, near, comma = (
        TaskSpec.model_validate(
            {"instruction": "Count.", "answer": {"kind": "number", "column": "n", **more}}
        )
        for more in ({}, {"tolerance": 2.0}, {"decimal": ","})
    )
    one = replace(one, task=exact, pruning=PRUNING if pruned else None)
    assert (known_as(replace(one, task=near)) == known_as(one)) is same
    assert known_as(replace(one, task=comma)) != known_as(one)
    trial = ScoringContext("w" * 64, one.runtime, one.settings, 7, "p" * 64)
    items = ItemSet("domain", "test", Path("/test"), "i" * 64, 5)
    first, second, third = (domain_request(trial, task, items) for task in (exact, near, comma))
    # Replies are known, and scored anew.
    assert first.asked == second.asked != third.asked
    assert first.key != second.key


@pytest.mark.parametrize(("checks", "keep", "same"), [
    ("loss", "best", True), ("score", "last", True), ("score", "best", False),
])  # fmt: skip
def test_what_replies_pick_is_known_by_how_they_are_asked_for(
    values: dict[str, Any], checks: str, keep: str, same: bool
) -> None:
    task = {**values["task"], "metrics": ["exact_match", "macro_f1"]}
    arm = {"kind": "lora", "learning_rate": 1e-3, "checks": checks, "keep": keep}
    one = inputs({**values, "task": task}, arm)
    constrained = replace(one.settings, answering="constrained")
    others = [
        replace(one, settings=constrained),
        replace(one, task=one.task.model_copy(update={"max_new_tokens": 99})),
        replace(one, task=one.task.model_copy(update={"metrics": ("macro_f1", "exact_match")})),
        replace(one, runtime=replace(one.runtime, score_batch_size=9)),
    ]
    unpruned = [replace(other, pruning=None) for other in [one, *others]]
    assert [trained_as(other) == trained_as(unpruned[0]) for other in unpruned[1:]] == [same] * 4


def changed(value: Any) -> list[Any]:
    """Other values of a hyperparameter of the same type."""
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1]
        case str():
            return [value + "x"]
        case None:
            return ["x"]
        case _:
            return [(*value, "x")]


def each_other(settings: Settings) -> dict[str, Settings]:
    names = [field.name for field in fields(settings) if field.name != "kind"]
    return {
        name: replace(settings, **{name: other})
        for name in names
        for other in changed(getattr(settings, name))
    }


# Values that no experiment file could have are other values, too.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("kind", ["prompt", "full", "lora", "qlora"])
def test_any_one_hyperparameter_makes_another_trial(values: dict[str, Any], kind: str) -> None:
    # Room for thoughts counts where there are any.
    thinking = {"reasoning": "free"} if kind == "prompt" else {}
    one = inputs(values, {"kind": kind, **thinking})
    others = {
        name: replace(one, settings=settings) for name, settings in each_other(one.settings).items()
    }
    assert len(others) > 6
    assert [name for name, other in others.items() if known_as(other) == known_as(one)] == []
    if kind != "prompt":
        alike = [name for name, other in others.items() if trained_as(other) == trained_as(one)]
        # Trained weights can be asked in any way.
        assert alike == ["answering"]


def test_room_for_thoughts_that_are_not_asked_for_makes_no_other_trial(
    values: dict[str, Any],
) -> None:
    one = inputs(values, {"kind": "prompt"})
    assert known_as(inputs(values, {"kind": "prompt", "reasoning_tokens": 9})) == known_as(one)


@pytest.mark.parametrize("kind", ["prompt", "lora"])
def test_the_task_makes_another_trial_but_for_what_is_reported(
    values: dict[str, Any], kind: str
) -> None:
    one = replace(inputs(values, {"kind": kind}), pruning=None)

    def with_task(**changes: Any) -> TrialInputs:
        return replace(one, task=one.task.model_validate({**one.task.model_dump(), **changes}))

    answer = one.task.answer.model_dump()
    for changes in (
        {"instruction": "Sort."},
        {"template": "Message: {text}"},
        {"answer": {**answer, "labels": [*answer["labels"], "other"]}},
        {"max_new_tokens": 9},
    ):
        assert known_as(with_task(**changes)) != known_as(one), changes
    assert known_as(with_task(metrics=["macro_f1", "exact_match"][::-1])) == known_as(one)


def test_what_chooses_within_a_trial_is_part_of_it(values: dict[str, Any]) -> None:
    """Which of several ways of answering is kept hangs on the validation set and its metric."""
    ways = {"choices": ["generate", "choice"], "default": "generate"}
    one = replace(inputs(values, {"kind": "lora", "answering": ways}), pruning=None)
    other = replace(one, validation="9" * 64)
    assert known_as(other) != known_as(one)
    assert trained_as(other) == trained_as(one)
    plain = replace(inputs(values, {"kind": "lora"}), pruning=None)
    assert known_as(replace(plain, validation="9" * 64)) == known_as(plain)
