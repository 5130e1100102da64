"""Real weights trained under the instruction that a real search selected; arms that reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data import read_examples_file
from harness.models.load import load_tokenizer
from harness.records import TrialSpec
from harness.review.studies import load_study
from harness.spec import TaskSpec
from harness.store import StoreReader
from harness.study.run import run_study
from harness.trial.candidate import make_renderer
from tests.end_to_end.test_change_one_thing import Counting, Engine, values_of
from tests.fake_trial import experiment
from tests.tiny_model import TinyModels, tiny_models

__all__ = ["tiny_models"]
pytestmark = pytest.mark.weights

WORDINGS = ["Sort the message.", "Name the class of the message."]
LORA = {"kind": "lora", "rank": 2, "epochs": 1, "learning_rate": 1e-3}
ARMS: dict[str, Any] = {
    "both": {**LORA, "instruction": {"from": "written"}},
    "written": {
        "kind": "prompt",
        "instruction": {"choices": WORDINGS},
        "reasoning": {"choices": ["none", "brief"]},
        "reasoning_tokens": 5,
    },
    "lora": LORA,
}


def prompt_of(spec: TrialSpec) -> str:
    pool = read_examples_file(spec.train_path)
    task = TaskSpec.model_validate(spec.task)
    return make_renderer(spec, task, pool, load_tokenizer(spec.model)).prompt(pool[0])


def test_weights_are_trained_and_asked_under_the_selected_wording(
    tmp_path: Path, tiny_models: TinyModels
) -> None:
    counting = Counting()
    experiment(tmp_path)
    budget = {"trials": 4, "test_default": False}
    values = values_of(tmp_path, tiny_models, arms=ARMS, seeds=[1], budget=budget)
    spec = experiment(tmp_path, **values)
    done = run_study(spec, tmp_path / "results", open_with=lambda: Engine(counting))
    assert done.trials_failed == 0
    reader = StoreReader(tmp_path / "results" / "harness.duckdb")
    (finalist,) = [
        t for t in reader.trials(done.experiment_id) if (t.arm, t.phase) == ("written", "finalist")
    ]
    selected = finalist.params["instruction"]
    specs = {(s.arm, s.phase): s for s in counting.specs}
    for phase in ("search", "finalist", "latency"):
        assert specs["both", phase].params["instruction"] == selected
        assert selected in prompt_of(specs["both", phase])
        assert not any(wording in prompt_of(specs["lora", phase]) for wording in WORDINGS)
    # Other prompts, other weights.
    assert specs["both", "finalist"].weights_id != specs["lora", "finalist"].weights_id
    asked = [s for s in counting.specs if (s.arm, s.phase) == ("written", "search")]
    assert {(s.params["instruction"], s.params["reasoning"]) for s in asked} == {
        (wording, how) for wording in WORDINGS for how in ("none", "brief")
    }
    assert all(
        ("Final answer:" in prompt_of(s)) == (s.params["reasoning"] == "brief") for s in asked
    )
    findings = load_study(tmp_path / "results", done.experiment_id).findings
    assert {("both", "written"), ("both", "lora")} <= {
        (one.a, one.b) for one in (findings.primary, *findings.secondary) if one is not None
    } | {(one.b, one.a) for one in (findings.primary,) if one is not None}
    costs = {row.arm: row.cost for row in findings.arms}
    assert costs["both"].search_seconds > costs["written"].search_seconds
