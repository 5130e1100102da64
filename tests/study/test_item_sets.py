"""General text is prepared where an arm may use it, and only there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare, read_examples_file
from harness.errors import SpecError
from harness.evaluation.suites.find import load_suite
from harness.records import ResolvedModel, Runtime
from harness.spec import Experiment
from harness.study.item_sets import REPLAY, replay_texts
from harness.study.make_plan import make_plan
from harness.study.plan import Plan
from tests.fake_trial import experiment
from tests.tiny_model import write_suite

MODEL = ResolvedModel("fake", "/fake", "f" * 64)
TEXTS = ["A text of its own.", "Café number 1.", "Another one, which is nowhere else."]


def spec_of(folder: Path, texts: list[str] = TEXTS, **lora: Any) -> Experiment:
    rows = [json.dumps({"body": text}) for text in texts]
    (folder / "texts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    folder.joinpath("suite").mkdir(exist_ok=True)
    suite = folder / "suite" / "tiny.yaml"
    if not suite.exists():
        write_suite(folder / "suite")
    replay = {"source": str(folder / "texts.jsonl"), "column": "body"}
    arms = {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora", **lora}}
    return experiment(folder, arms=arms, general={"suite": str(suite), "replay": replay})


def plan_of(folder: Path, texts: list[str] = TEXTS, **lora: Any) -> Plan:
    spec = spec_of(folder, texts, **lora)
    assert spec.general is not None
    suite = load_suite(spec.general.suite)
    runtime = Runtime("cpu", "float32", 32)
    return make_plan(spec, prepare(spec), MODEL, runtime, suite, folder / "results")


@pytest.mark.parametrize(
    ("lora", "wanted"),
    [
        ({}, False),
        ({"replay": 0.2}, True),
        ({"kl_weight": 0.1}, True),
        ({"replay": {"low": 0.0, "high": 0.3}}, True),
        ({"kl_weight": {"choices": [0.0, 0.1], "default": 0.0}}, True),
        ({"replay": {"choices": [0.0], "default": 0.0}}, False),
    ],
)
def test_texts_are_written_where_an_arm_may_use_them(
    tmp_path: Path, lora: dict[str, Any], wanted: bool
) -> None:
    made = plan_of(tmp_path, **lora)
    assert (REPLAY in made.sets) is wanted
    assert bool(list((made.folder / "splits").glob("replay-*.parquet"))) is wanted
    if wanted:
        read = read_examples_file(made.sets[REPLAY].path)
        assert [item.inputs for item in read] == [{"text": TEXTS[0]}, {"text": TEXTS[2]}]
        (sentence,) = (text for text in made.left_out() if "replay" in text)
        assert "1 of 3 texts" in sentence
        assert sentence.endswith("1 in prose")


def test_a_setting_without_texts_is_handed_none(tmp_path: Path) -> None:
    made = plan_of(tmp_path, replay={"low": 0.0, "high": 0.5, "default": 0.0})
    arm = made.experiment.arms["lora"]
    without, with_them = (
        made.search_trial("lora", number, arm.resolve({**arm.defaults(), "replay": share}))
        for number, share in ((0, 0.0), (1, 0.25))
    )
    assert without.replay_path == ""
    assert with_them.replay_path == str(made.sets[REPLAY].path)


def test_other_texts_make_another_study_and_their_place_does_not(tmp_path: Path) -> None:
    made = plan_of(tmp_path, replay=0.2)
    assert plan_of(tmp_path, replay=0.2).experiment_id == made.experiment_id
    other = plan_of(tmp_path, [*TEXTS, "One more."], replay=0.2)
    assert other.experiment_id != made.experiment_id
    moved = tmp_path / "elsewhere.jsonl"
    spec = spec_of(tmp_path, replay=0.2)
    moved.write_bytes((tmp_path / "texts.jsonl").read_bytes())
    assert spec.general is not None
    there = spec.general.replay.model_copy(update={"source": str(moved)})
    general = spec.general.model_copy(update={"replay": there})
    relocated = spec.model_copy(update={"general": general})
    assert relocated.trial_identity() == spec.trial_identity()
    splits = prepare(spec).splits
    texts = replay_texts(spec, splits)
    found = replay_texts(relocated, splits)
    assert texts is not None
    assert found is not None
    assert found == replace(texts, source=str(moved))


def test_texts_need_the_general_section(tmp_path: Path) -> None:
    arms = {"lora": {"kind": "lora", "kl_weight": {"low": 0.0, "high": 1.0}}}
    with pytest.raises((SpecError, ValueError), match=r"arms\.lora: replay and kl_weight need"):
        experiment(tmp_path, arms=arms, general=None)
    with pytest.raises(ValueError, match="less than 1"):
        experiment(tmp_path, arms={"lora": {"kind": "lora", "replay": 1.0}})
