"""Which experiments ask for more than can be written under a constraint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.spec import Experiment, load_experiment

FEEDBACK = Path(__file__).resolve().parents[2] / "experiments" / "product-feedback.yaml"


@pytest.mark.parametrize("answering", ["constrained", {"choices": ["generate", "constrained"]}])
def test_an_experiment_is_refused_before_it_runs(answering: Any) -> None:
    plain = load_experiment(FEEDBACK).plain()
    plain["arms"] = {"few": {"kind": "prompt", "shots": 2, "answering": answering}}
    plain["contrast"] = {}
    assert Experiment.model_validate(plain).arms["few"].settings() in (1, 2)
    plain["task"] = {"instruction": "Do.", "answer": {"kind": "text", "column": "label"}}
    with pytest.raises(ValidationError, match=r"arms\.few.answering: constrained needs labels"):
        Experiment.model_validate(json.loads(json.dumps(plain)))


def test_columns_are_those_of_every_template() -> None:
    plain = load_experiment(FEEDBACK).plain()
    own = load_experiment(FEEDBACK).input_columns()
    plain["arms"]["zero-shot"]["template"] = {"choices": ["{title}: {text}", "{stars} {text}"]}
    experiment = Experiment.model_validate(plain)
    assert experiment.input_columns() == (*own, "title", "stars")
    assert set(experiment.columns()) > {"title", "stars"}
