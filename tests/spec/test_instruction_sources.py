"""An arm that is trained under the instruction that another's search selects, as it is declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import SpecError
from harness.spec import Experiment, load_experiment
from harness.spec.instruction_sources import each_alone, foreseen, instruction_source
from tests.fake_trial import experiment, experiment_values

WORDINGS = {"choices": ["Sort it.", "Name the class."]}
TAKES = {"kind": "lora", "instruction": {"from": "written"}}
ARMS: dict[str, Any] = {
    "written": {"kind": "prompt", "instruction": WORDINGS},
    "lora": {"kind": "lora"},
    "both": TAKES,
}


def declared(folder: Path, arms: dict[str, Any], **changes: Any) -> Experiment:
    return experiment(folder, arms=arms, **changes)


def test_the_arm_says_where_its_instruction_comes_from_and_reads_back(tmp_path: Path) -> None:
    made = declared(tmp_path, ARMS)
    sources = {name: instruction_source(arm) for name, arm in made.arms.items()}
    assert sources == {"written": None, "lora": None, "both": "written"}
    assert made.plain()["arms"]["both"]["instruction"] == {"from": "written"}
    assert Experiment.model_validate(made.plain()) == made


def test_it_is_searched_as_often_as_the_search_that_writes_for_it(tmp_path: Path) -> None:
    fixed = {"kind": "lora", "learning_rate": 1e-3}
    arms = {**ARMS, "lora": fixed, "both": {**fixed, **TAKES}}
    made = declared(tmp_path, arms, search={"repeats": 2}, seeds=[1, 2])
    assert {name: made.repeats_of(name) for name in arms} == {"written": 2, "lora": 1, "both": 2}
    # Each of its trainings has an instruction of its own: none of them is a finalist's already.
    assert not made.trains_once("both")


def test_an_instruction_that_is_yet_to_be_written_is_foreseen_as_the_tasks(tmp_path: Path) -> None:
    written = {"kind": "prompt", "instruction": {"optimise": {"by": "gepa", "seeds": 2}}}
    made = declared(tmp_path, {**ARMS, "written": written}, seeds=[1, 2], budget={"trials": 8})
    assert {name: made.repeats_of(name) for name in ARMS} == {"written": 2, "lora": 1, "both": 2}
    assert foreseen(made.arms, "both").instruction is None
    assert foreseen(made.arms, "both").values_of("instruction") == (None,)


def test_what_both_must_beat_is_the_prompt_and_each_training_of_its_kind(tmp_path: Path) -> None:
    more = {"full": {"kind": "full"}, "own": {"kind": "lora", "instruction": "Say it."}}
    arms = declared(tmp_path, {**ARMS, **more}).arms
    assert each_alone(arms, "both") == ("written", "lora", "own")
    assert each_alone(arms, "lora") == ()
    # Against prompting alone it shows no more than any fine-tuned arm does.
    arms = declared(tmp_path, {"written": ARMS["written"], "both": TAKES}).arms
    assert each_alone(arms, "both") == ()


OTHER = {"kind": "prompt", "model": "packaged:smollm2-135m-instruct", "instruction": WORDINGS}
SERVED = {
    "kind": "prompt",
    "endpoint": {"url": "http://localhost:1/v1", "model": "m"},
    "instruction": WORDINGS,
}


@pytest.mark.parametrize(
    ("source", "other", "why"),
    [
        ("nobody", {"kind": "prompt"}, "no arm is called 'nobody'; name one of written"),
        ("other", OTHER, "'other' asks another model, whose instructions are not this one's"),
        ("other", SERVED, "'other' asks another model, whose instructions are not this one's"),
        ("other", {"kind": "full"}, "'other' is fine-tuned, and the instruction is to come from"),
        ("both", {"kind": "prompt"}, "'both' is fine-tuned, and the instruction is to come from"),
        ("other", {"kind": "classifier"}, "'other' is no language model, and has no instruction"),
        ("other", {"kind": "prompt"}, "'other' has no instruction but the task's, which every"),
    ],
)
def test_a_source_that_has_none_to_give_is_refused_where_it_is_named(
    tmp_path: Path, source: str, other: dict[str, Any], why: str
) -> None:
    arms = {
        "written": ARMS["written"],
        "other": other,
        "both": {"kind": "lora", "instruction": {"from": source}},
    }
    values = experiment_values(tmp_path, arms=arms)
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    with pytest.raises(SpecError) as refused:
        load_experiment(path)
    assert f"arms.both.instruction.from: {why}" in str(refused.value)
    line = next(n for n, text in enumerate(path.read_text("utf-8").splitlines(), 1)
                if text.strip() == f"from: {source}")  # fmt: skip
    assert f"{path}:{line}" in str(refused.value)


def test_only_what_is_trained_takes_an_instruction_from_another(tmp_path: Path) -> None:
    arms = {"written": ARMS["written"], "few": {**TAKES, "kind": "prompt"}}
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(experiment_values(tmp_path, arms=arms)), "utf-8")
    with pytest.raises(SpecError, match=r"arms\.few\.instruction"):
        load_experiment(path)
