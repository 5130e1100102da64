"""What a chat template is told is part of what a trial and its scores are known by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.data import prepare
from harness.records import ResolvedModel, Runtime
from harness.study.make_plan import make_plan
from harness.study.plan import Plan
from tests.fake_trial import experiment

MODEL = ResolvedModel("fake", "/fake", "f" * 64)
RUNTIME = Runtime("cpu", "float32", 32)
SERVER = {"url": "http://localhost:1/v1", "model": "big"}


def plan(folder: Path, **changes: Any) -> Plan:
    spec = experiment(folder, general=None, **changes)
    return make_plan(spec, prepare(spec), MODEL, RUNTIME, None, folder / "results")


def test_local_arms_are_told_what_their_model_says(tmp_path: Path) -> None:
    own = {"reference": "other", "chat_template_args": {"mood": "kind"}}
    made = plan(
        tmp_path,
        model={"reference": "m", "chat_template_args": {"mood": "brief"}},
        arms={
            "zero": {"kind": "prompt"},
            "other": {"kind": "prompt", "model": own},
            "served": {"kind": "prompt", "endpoint": SERVER},
            "lora": {"kind": "lora"},
        },
    )
    told = {
        arm: made.search_trial(arm, 0, made.default_setting(arm)).template_args
        for arm in ("zero", "other", "served", "lora")
    }
    assert told == {
        "zero": {"mood": "brief"},
        "other": {"mood": "kind"},
        "served": {},
        "lora": {"mood": "brief"},
    }
    assert made.baseline().template_args == {"mood": "brief"}


def test_another_rendering_is_another_trial_and_another_score(tmp_path: Path) -> None:
    arms = {"zero": {"kind": "prompt"}, "lora": {"kind": "lora"}}
    made = plan(tmp_path, arms=arms)
    other = replace(made, renderings={"zero": "kind", "lora": "kind"})
    for arm in arms:
        first = made.search_trial(arm, 0, made.default_setting(arm))
        second = other.search_trial(arm, 0, made.default_setting(arm))
        assert first.trial_id != second.trial_id
        assert first.scores[0].key != second.scores[0].key
    assert first.weights_id != second.weights_id


def test_servers_that_are_told_otherwise_are_others(tmp_path: Path) -> None:
    told = {**SERVER, "chat_template_args": {"mood": "kind"}}
    made = plan(
        tmp_path,
        arms={
            "served": {"kind": "prompt", "endpoint": SERVER},
            "told": {"kind": "prompt", "endpoint": told},
        },
    )
    first, second = (
        made.search_trial(arm, 0, made.default_setting(arm)) for arm in ("served", "told")
    )
    assert first.trial_id != second.trial_id
    assert first.scores[0].key != second.scores[0].key
    assert second.endpoint is not None
    assert second.endpoint.asked_as == (
        'big at http://localhost:1/v1 with chat_template_args {"mood": "kind"}'
    )
