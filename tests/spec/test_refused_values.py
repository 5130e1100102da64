"""Values that an experiment cannot mean are told by the field that has them, before any run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from harness.errors import SpecError
from harness.spec import Experiment, load_experiment
from harness.spec.data import known_encoding

GREATEST = 2**63 - 1


def values(**changes: Any) -> dict[str, Any]:
    return {
        "name": "wares",
        "model": "any",
        "data": {"source": "rows.csv"},
        "task": {
            "instruction": "Name the shelf.",
            "template": "{ware}",
            "answer": {"kind": "label", "column": "shelf", "labels": ["low", "high"]},
        },
        "general": None,
        "arms": {"asked": {"kind": "prompt"}, "tuned": {"kind": "lora"}},
    } | changes


def load(folder: Path, **changes: Any) -> Experiment:
    path = folder / "e.yaml"
    path.write_text(yaml.safe_dump(values(**changes), sort_keys=False), encoding="utf-8")
    return load_experiment(path)


def refusals(folder: Path, **changes: Any) -> list[str]:
    with pytest.raises(SpecError) as error:
        load(folder, **changes)
    return [str(one).split(": ", 1)[1] for one in error.value.problems]


# --------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rank": {"choices": [4, 0]}},
         "arms.tuned.rank: 0 is not allowed: Input should be greater than or equal to 1"),
        ({"rank": {"choices": [0, 4]}},
         "arms.tuned.rank: 0 is not allowed: Input should be greater than or equal to 1"),
        ({"dropout": {"low": 0.0, "high": 3.0}},
         "arms.tuned.dropout: 3.0 is not allowed: Input should be less than or equal to 1"),
        # The middle of this range, trial 0, is none either.
        ({"replay": {"low": 0.5, "high": 8.0}},
         "arms.tuned.replay: 8.0 is not allowed: Input should be less than 1"),
        ({"epochs": {"low": -9, "high": 2}},
         "arms.tuned.epochs: -9 is not allowed: Input should be greater than or equal to 1"),
        ({"shots": {"choices": [-1, 2]}, "rank": {"choices": [2, 4]}},
         "arms.tuned.shots: -1 is not allowed: Input should be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_a_value_of_a_range_is_blamed_on_its_own_key(
    tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    assert refusals(tmp_path, arms={"tuned": {"kind": "lora", **keys}}) == [said]


# --------------------------------------------------------------------------- bounds of numbers


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seeds": [1, 10**20]}, "seeds.1"),
        ({"seeds": [2**63]}, "seeds.0"),
        ({"seeds": [str(10**20)]}, "seeds.0"),
        ({"data": {"source": "rows.csv", "seed": 2**64}}, "data.seed"),
        ({"budget": {"trials": 10**30}}, "budget.trials"),
        ({"cost": {"machine_per_hour": 10**30}}, "cost.machine_per_hour"),
        ({"arms": {"tuned": {"kind": "lora", "seeds": [2**70]}}}, "arms.tuned.seeds.0"),
        ({"model": {"reference": "any", "chat_template_args": {"n": -(2**70)}}},
         "model.chat_template_args.n"),
    ],
)  # fmt: skip
def test_whole_numbers_have_64_bits(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    (refusal,) = refusals(tmp_path, **changes)
    assert refusal.startswith(f"{field}: ")
    assert "a whole number of more than 64 bits is not taken; write one of at most" in refusal
    assert "9,223,372,036,854,775,807" in refusal


def test_every_generator_takes_the_greatest_seed(tmp_path: Path) -> None:
    assert load(tmp_path, seeds=[GREATEST]).seeds == (GREATEST,)
    np.random.default_rng([GREATEST, 1])
    # A process of a training in several adds its number.
    torch.Generator().manual_seed(GREATEST + 64)


# --------------------------------------------------------------------------- encodings, columns


@pytest.mark.parametrize(
    "encoding",
    ["idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "base64", "rot13",
     "hex", "zlib", "bz2", "uu", "quopri", "", "a\0b", "no-such"],
)  # fmt: skip
def test_what_no_text_file_is_written_in(encoding: str) -> None:
    with pytest.raises(ValueError, match="no encoding that text files are written in"):
        known_encoding(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "cp1252", "utf-16", "shift_jis", "gb18030"])
def test_what_text_files_are_written_in(encoding: str) -> None:
    assert known_encoding(encoding) == encoding


def test_an_encoding_is_refused_by_field(tmp_path: Path) -> None:
    (refusal,) = refusals(tmp_path, data={"source": "rows.csv", "encoding": "base64"})
    assert refusal.startswith("data.encoding: no encoding that text files are written in; write ")


EMPTY = "names no column; write the column's name, or leave the key out"


def answer(**keys: Any) -> dict[str, Any]:
    return {"task": {"instruction": "Name the shelf.", "template": "{ware}", "answer": keys}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"data": {"source": "rows.csv", "id": ""}}, "data.id"),
        ({"data": {"source": "rows.csv", "group": ""}}, "data.group"),
        ({"data": {"source": "rows.csv", "slices": ["a", ""]}}, "data.slices.1"),
        ({"general": {"replay": {"column": ""}}}, "general.replay.column"),
        (answer(kind="label", column=""), "task.answer.column"),
        (answer(kind="labels", columns={"red": "is_red", "blue": ""}), "task.answer.columns.blue"),
        (answer(kind="calls", column="calls", tools_column=""), "task.answer.tools_column"),
    ],
)
def test_a_column_has_a_name(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    (refusal,) = refusals(tmp_path, **changes)
    assert refusal.startswith(f"{field}: {EMPTY}")


# --------------------------------------------------------------------------- the right answer


SHELF = {"kind": "label", "column": "shelf", "labels": ["low", "high"]}
SHOWN = (
    "{{{}}} is the column of the right answer (task.answer), which every prompt would show; take "
    "it out of the template, or name another column in task.answer"
)


def test_the_tasks_template_must_not_show_the_answer(tmp_path: Path) -> None:
    task = {"instruction": "?", "template": "{ware}: {shelf}", "answer": SHELF}
    assert refusals(tmp_path, task=task) == [f"task.template: {SHOWN.format('shelf')}"]


@pytest.mark.parametrize(
    "template", ["{ware} ({shelf})", {"choices": ["{ware}", "{ware} on {shelf}"]}]
)
def test_an_arms_template_must_not_show_the_answer(tmp_path: Path, template: Any) -> None:
    for kind in ("prompt", "lora", "classifier"):
        arms = {"asked": {"kind": "prompt"}, "leaky": {"kind": kind, "template": template}}
        said = refusals(tmp_path, arms=arms)
        assert said == [f"arms.leaky.template: {SHOWN.format('shelf')}"]


def test_one_of_several_columns_of_the_answer_gives_it_away_too(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"aisle": {"type": "integer"}, "side": {"enum": ["left", "right"]}},
    }
    columns = {"aisle": "aisle_number", "side": "side_name"}
    task = {"instruction": "?", "template": "{ware}, {side_name}",
            "answer": {"kind": "json", "columns": columns, "schema": schema}}  # fmt: skip
    assert refusals(tmp_path, task=task) == [f"task.template: {SHOWN.format('side_name')}"]
    # A field's name is no column.
    task["template"] = "{ware}, {side}"
    assert load(tmp_path, task=task).input_columns() == ("ware", "side")


def test_the_tools_of_a_row_are_shown_and_its_calls_are_not(tmp_path: Path) -> None:
    calls = {"kind": "calls", "column": "calls", "tools_column": "tools"}
    task = {"instruction": "?", "template": "{tools}\n{ware}", "answer": calls}
    assert load(tmp_path, task=task).input_columns() == ("tools", "ware")
    task["template"] = "{ware} {calls}"
    assert refusals(tmp_path, task=task) == [f"task.template: {SHOWN.format('calls')}"]


def test_what_a_conversation_says_before_its_answer_is_shown(tmp_path: Path) -> None:
    said = {"kind": "text", "column": "talk_response"}
    data = {"source": "rows.jsonl", "conversations": {"column": "talk"}}
    spec = load(tmp_path, data=data, task={"instruction": "?", "answer": said})
    assert spec.input_columns() == ("talk_prompt",)
    shown = {"instruction": "?", "template": "{talk_response}", "answer": said}
    (refusal,) = refusals(tmp_path, task=shown)
    assert refusal == f"task.template: {SHOWN.format('talk_response')}"
