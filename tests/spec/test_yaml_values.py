"""What YAML reads as something else than it looks like is refused, with its line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.evaluation.suites.find import load_suite
from harness.spec import Experiment, FloatRange, LoraArm, load_experiment

HEAD = """\
name: wares
model: any
data: {source: rows.csv}
task:
  instruction: Name the shelf.
  answer: {kind: label, column: shelf, labels: [low, high]}
general: null
"""
ARMS = "arms: {asked: {kind: prompt}}\n"
SUITE = """\
name: own
description: None of its tasks are looked for.
include: tasks
tasks:
  - {task: one, metric: acc, text: the first}
"""


def load(folder: Path, text: str) -> Experiment:
    path = folder / "e.yaml"
    path.write_text(text, encoding="utf-8")
    return load_experiment(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        load(folder, text)
    return [str(one).replace(str(folder / "e.yaml"), "FILE") for one in error.value.problems]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("budget: {trials: yes, minutes: on}", {"budget.trials": True, "budget.minutes": True}),
        ("budget: {tokens: off}", {"budget.tokens": False}),
        ("seeds: [4, true]", {"seeds.1": True}),
        ("cost: {requests_per_month: no}", {"cost.requests_per_month": False}),
        ("cost: {sizes_billion: [7.0, on]}", {"cost.sizes_billion.1": True}),
        ("contrast: {margin: yes}", {"contrast.margin": True}),
        ("train_gap_items: no", {"train_gap_items": False}),
    ],
)
def test_a_number_is_no_truth_value(tmp_path: Path, line: str, refused: dict[str, bool]) -> None:
    assert problems(tmp_path, f"{HEAD}{ARMS}{line}\n") == [
        f"FILE:9: {field}: must be a number, and YAML reads it as {value}: write a number"
        for field, value in sorted(refused.items())
    ]


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ("rank: yes", "rank"),
        ("learning_rate: yes", "learning_rate"),
        ("rank: {choices: [8, on]}", "rank.choices.1"),
        ("dropout: {low: no, high: 0.5}", "dropout.low"),
        ("epochs: {low: 1, high: 3, default: yes}", "epochs.default"),
        ("curve: [no]", "curve.0"),
        ("seeds: [off]", "seeds.0"),
    ],
)
def test_a_hyperparameter_that_is_a_number_is_no_truth_value(
    tmp_path: Path, keys: str, field: str
) -> None:
    found = problems(tmp_path, f"{HEAD}arms:\n  tuned: {{kind: lora, {keys}}}\n")
    assert [one.split(": ")[:2] for one in found] == [["FILE:9", f"arms.tuned.{field}"]]
    assert "must be a number, and YAML reads it as" in found[0]


def test_truth_values_and_numbers_stand_where_they_belong(tmp_path: Path) -> None:
    arms = "arms:\n  tuned: {kind: lora, chat: no, rslora: {choices: [on, off]}, dropout: 0}\n"
    more = "model: {reference: any, chat_template_args: {thinking: yes, depth: 3, heat: 0.5}}\n"
    spec = load(tmp_path, HEAD.replace("model: any\n", more) + arms)
    arm = spec.arms["tuned"]
    assert isinstance(arm, LoraArm)
    assert (arm.chat, arm.dropout) == (False, 0.0)
    assert arm.values_of("rslora") == (True, False)
    told = spec.model.chat_template_args
    assert told == {"thinking": True, "depth": 3, "heat": 0.5}
    assert [type(one) for one in told.values()] == [bool, int, float]


def test_an_exponent_without_a_dot_is_still_a_number(tmp_path: Path) -> None:
    arms = (
        "arms:\n"
        "  plain: {kind: lora, learning_rate: 1e-4}\n"
        "  listed: {kind: lora, learning_rate: {choices: [1e-4, 2e-4]}}\n"
        "  ranged: {kind: lora, learning_rate: {low: 1e-4, high: 1e-3, log: true}}\n"
    )
    spec = load(tmp_path, HEAD + arms)
    assert spec.arms["plain"].values_of("learning_rate") == (1e-4,)
    assert spec.arms["listed"].values_of("learning_rate") == (1e-4, 2e-4)
    ranged = spec.arms["ranged"].search_space()["learning_rate"]
    assert ranged == FloatRange(low=1e-4, high=1e-3, log=True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seeds: [010]", "seeds.0: YAML reads 010 as 8: with a leading 0 a number is octal; write "
         "10 or 8, or put quotes around it where text is meant"),
        ("seeds: [1, 0_17]", "seeds.1: YAML reads 0_17 as 15"),
        ("seeds: [07]", "seeds.0: YAML reads 07 as 7: with a leading 0 a number is octal; write 7"),
        ("cost: {months: 2:30}", "cost.months: YAML reads 2:30 as 150: with colons a number counts "
         "in sixties; write 150, or put quotes around it where text is meant"),
        ("cost: {machine_per_hour: 1:00.5}", "cost.machine_per_hour: YAML reads 1:00.5 as 60.5"),
        ("question: 12:30:15", "question: YAML reads 12:30:15 as 45015"),
        ("judges: {011: {}}", "judges: YAML reads 011 as 9"),
        ("budget: {trials: !!int '012'}", "budget.trials: YAML reads 012 as 10"),
    ],
)  # fmt: skip
def test_octals_and_sixties_are_refused_where_they_are_read(
    tmp_path: Path, line: str, said: str
) -> None:
    (problem,) = problems(tmp_path, f"{HEAD}{ARMS}{line}\n")
    assert problem.startswith(f"FILE:9: {said}")


def test_other_notations_of_numbers_are_read(tmp_path: Path) -> None:
    spec = load(tmp_path, f"{HEAD}{ARMS}seeds: [0, 0x1f, 1_000, 0b101]\ncost: {{months: 10}}\n")
    assert spec.seeds == (0, 31, 1000, 5)
    labels = HEAD.replace("[low, high]", "['010', '1:30']")
    assert load(tmp_path, labels + ARMS).task.answer.finite_answers() == ("010", "1:30")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('question: "\\ud83d"', "question: holds half a character (a lone surrogate)"),
        ('question: "a\\ud83d\\ude00"', "question: holds half a character (a lone surrogate)"),
        ('cost: {currency: "E\\0"}', "cost.currency: holds a NUL character"),
        ('judges: {"a\\udc00": {rubric: x}}', "judges: a key holds half a character"),
    ],
)
def test_text_that_nothing_can_store(tmp_path: Path, line: str, said: str) -> None:
    (problem,) = problems(tmp_path, f"{HEAD}{ARMS}{line}\n")
    assert problem.startswith(f"FILE:9: {said}")


def test_half_a_character_deep_in_the_file(tmp_path: Path) -> None:
    arms = 'arms:\n  one:\n    kind: lora\n    instruction: {choices: [a, "\\udbff"]}\n'
    (problem,) = problems(tmp_path, HEAD + arms)
    assert problem.startswith("FILE:11: arms.one.instruction.choices.1: holds half a character")
    whole = arms.replace("\\udbff", "\\U0001F600")
    assert load(tmp_path, HEAD + whole).arms["one"].values_of("instruction") == ("a", "\U0001f600")


@pytest.mark.parametrize(
    "value",
    ["!!int ''", "!!float ''", "!!int '+'", "!!float '.'", "!!int 0x", "!!bool maybe",
     "!!timestamp soon", "!!timestamp '2020-01-01T00:00:00+99:99'", "2031-02-30",
     "!!float 1:b", "9" * 5000],
)  # fmt: skip
def test_what_a_constructor_of_the_library_cannot_take(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, f"{HEAD}{ARMS}seeds:\n  - {value}\n")
    assert problem.startswith("FILE:10: seeds.0: YAML takes '")
    assert "which it is not" in problem


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("!!set {1, 2}", "FILE:9: seeds: nothing here is a `!!set`"),
        ("!!omap [1: 2]", "FILE:9: seeds: nothing here is a `!!omap`"),
        ("!!pairs [1: 2]", "FILE:9: seeds: nothing here is a `!!pairs`"),
        ("[!!binary aGk=]", "FILE:9: seeds.0: nothing here is a `!!binary`"),
        ("=", "FILE:9: seeds: = alone has a meaning of its own in YAML; put quotes around it"),
        ("{[1]: 2}", "FILE:9: not valid YAML: found unhashable key"),
        ("!!int [1]", "FILE:9: not valid YAML: expected a scalar node"),
        ("!mine 1", "FILE:9: not valid YAML: could not determine a constructor"),
        ("[" * 120 + "]" * 120, "FILE: values are nested more than 100 levels deep"),
        ("[" * 700 + "]" * 700, "FILE: values are nested more than 100 levels deep"),
    ],
)
def test_what_no_key_takes(tmp_path: Path, value: str, said: str) -> None:
    (problem,) = problems(tmp_path, f"{HEAD}{ARMS}seeds: {value}\n")
    assert problem.startswith(said)


def test_a_schema_as_deep_as_is_taken_can_be_stored(tmp_path: Path) -> None:
    deep = "{type: object, properties: {a: " * 30 + "{type: integer}" + "}}" * 30
    answer = f"answer: {{kind: json, column: shelf, schema: {deep}}}"
    text = HEAD.replace("answer: {kind: label, column: shelf, labels: [low, high]}", answer)
    spec = load(tmp_path, text + ARMS)
    assert Experiment.model_validate(spec.plain()) == spec
    assert spec.trial_identity()


def test_all_such_values_are_told_at_once(tmp_path: Path) -> None:
    text = f'{HEAD}{ARMS}seeds: [010, 1:30]\nquestion: "\\ud800"\nseeds: [1]\n'
    assert [one.split(": ")[:2] for one in problems(tmp_path, text)] == [
        ["FILE:9", "seeds.0"], ["FILE:9", "seeds.1"], ["FILE:10", "question"],
        ["FILE:11", "key `seeds` stands twice; keep one"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("text: the first", "text: the first, chance: yes",
         "tasks.0.chance: must be a number, and YAML reads it as True: write a number"),
        ("text: the first", "text: the first, num_fewshot: 010",
         "tasks.0.num_fewshot: YAML reads 010 as 8"),
        ("the first", '"\\ud800"', "tasks.0.text: holds half a character"),
        ("the first", "!!int ''", "tasks.0.text: YAML takes '' for a whole number"),
    ],
)  # fmt: skip
def test_a_suite_is_read_as_strictly(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SUITE.replace(old, new), encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_suite(path)
    assert str(error.value.problems[0]).startswith(f"{path}:5: {said}")


TOOLS = HEAD.replace(
    "answer: {kind: label, column: shelf, labels: [low, high]}",
    "answer: {kind: calls, column: calls, tools: tools.yaml}",
)


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("- !!int ''", "1: 0: YAML takes '' for a whole number"),
        ("- {name: find,\n   parameters: {minimum: 010}}",
         "2: 0.parameters.minimum: YAML reads 010 as 8"),
        ('- {name: find, description: "\\ud800"}', "1: 0.description: holds half a character"),
        ("- &a {name: find, parameters: *a}", " its aliases write out to more than 100,000"),
        ("[" * 3000, " values are nested more than 100 levels deep"),
    ],
)  # fmt: skip
def test_a_file_of_tools_is_read_as_strictly(tmp_path: Path, tools: str, said: str) -> None:
    path = tmp_path / "tools.yaml"
    path.write_text(tools, encoding="utf-8")
    (problem,) = problems(tmp_path, TOOLS + ARMS)
    assert problem.startswith(f"{path}:{said}")


@pytest.mark.parametrize("value", ["!!int ''", "!!bool maybe", "!!timestamp soon", "2031-02-30"])
def test_a_task_of_a_suite_that_cannot_be_read(tmp_path: Path, value: str) -> None:
    (tmp_path / "own.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "tasks").mkdir()
    task = tmp_path / "tasks" / "one.yaml"
    task.write_text(f"task: one\nversion: {value}\n", encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_suite(tmp_path / "own.yaml")
    assert str(error.value.problems[0]).startswith(f"{task}: not valid YAML: ")
