"""Arms that ask a server: what may be written, what is part of a trial's identity, which keys."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.spec import Experiment
from harness.spec.endpoint import TERMS, EndpointSpec
from harness.spec.served_arms import endpoints, missing_keys

URL = "https://api.example.com/v1"


def experiment(**changes: Any) -> Experiment:
    """A study with one arm that asks a server; ``changes`` go to its endpoint."""
    endpoint = {"url": URL, "model": "large", "key_variable": "LARGE_KEY", **changes}
    return Experiment.model_validate(
        {
            "name": "asked",
            "model": "smollm2-135m-instruct",
            "data": {"source": "data.jsonl"},
            "task": {
                "instruction": "Name the intent.",
                "answer": {"kind": "label", "column": "label", "labels": ["a", "b"]},
            },
            "arms": {
                "large": {"kind": "prompt", "endpoint": endpoint},
                "few-shot": {"kind": "prompt", "shots": 4},
                "lora": {"kind": "lora"},
            },
        }
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "api.example.com/v1"},
        {"url": "https://me:secret@api.example.com/v1"},
        {"url": "https://api.example.com/v1?key=secret"},
        {"prompt_price": 1.0},
        {"prompt_price": -1.0, "spending_cap": 1.0},
        {"key_variable": "not a name"},
        {"concurrency": 0},
        {"key": "secret"},
    ],
)
def test_what_an_endpoint_must_not_say(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        experiment(**changes)


def test_terms_are_no_part_of_what_a_trial_computes() -> None:
    plain = experiment().trial_identity()
    changed: dict[str, Any] = {
        "key_variable": "OTHER",
        "concurrency": 9,
        "requests_per_minute": 7.0,
        "timeout_seconds": 9.0,
        "retries": 1,
        "prompt_price": 1.0,
        "completion_price": 2.0,
        "spending_cap": 3.0,
    }
    assert changed.keys() == TERMS
    assert experiment(**changed).trial_identity() == plain
    assert set(EndpointSpec.model_fields) - TERMS == {"url", "model", "chat_template_args"}
    assert experiment(model="small").trial_identity() != plain
    assert experiment(url="http://localhost:8000/v1").trial_identity() != plain


def test_missing_keys_are_named() -> None:
    (problem,) = missing_keys(experiment(), {"LARGE_KEY": " ", "OTHER": "x"})
    assert problem.where == "arms.large.endpoint.key_variable"
    assert "LARGE_KEY is not set" in problem.what
    assert URL in problem.what
    assert missing_keys(experiment(), {"LARGE_KEY": "sk-1"}) == []
    assert missing_keys(experiment(key_variable=None), {}) == []


def test_only_arms_with_an_endpoint_ask_a_server() -> None:
    found = endpoints(experiment())
    assert list(found) == ["large"]
    assert not found["large"].local
    assert endpoints(experiment(url="http://127.0.0.1:8000/v1"))["large"].local
