"""An arm that goes on from an adapter that another program trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import SpecError
from harness.records import ARTIFACT, TRIALS
from harness.review.studies import load_study
from harness.spec import load_experiment
from harness.spec.arms import LoraArm
from harness.spec.settings import LoraSettings, settings_from
from harness.study.run import plan_study, run_study
from tests.models.test_brought import adapter
from tests.tiny_model import CHATML, messages, write_model

pytestmark = pytest.mark.weights
THEIRS = {"kind": "trained", "path": "theirs", "answering": "choice"}
ON = {"kind": "lora", "start": "theirs", "epochs": 2, "batch_size": 4, "answering": "choice",
      "learning_rate": 0.01}  # fmt: skip


def write(folder: Path, arms: dict[str, Any]) -> Path:
    if not (folder / "model").exists():
        write_model(folder / "model", CHATML)
        adapter(folder / "theirs", folder / "model")
    rows = [{"text": e.inputs["text"], "label": e.answer} for e in messages(30)]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "before.jsonl").write_text("\n".join(map(json.dumps, rows[-4:])))
    plain = {
        "name": "on",
        "model": {"reference": "model", "device": "cpu", "dtype": "float32"},
        "data": {"source": "data.jsonl", "splits": {"train": 0.4, "validation": 0.2, "test": 0.4}},
        "task": {
            "instruction": "Positive or negative?",
            "template": "{text}",
            "answer": {"kind": "label", "column": "label", "labels": ["positive", "negative"]},
        },
        "arms": arms,
        "budget": {"trials": 1, "test_default": False},
        "seeds": [1],
        "general": None,
        "memorisation_items": 0,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def test_it_goes_on_from_what_the_adapter_is(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    arms = {"theirs": {**THEIRS, "trained_on": "before.jsonl"}, "on": ON}
    spec = load_experiment(write(tmp_path, arms))
    config = json.loads((tmp_path / "theirs" / "adapter_config.json").read_text())
    arm = spec.arms["on"]
    assert isinstance(arm, LoraArm)
    assert (arm.rank, arm.targets) == (config["r"], tuple(sorted(config["target_modules"])))
    done = run_study(spec, tmp_path / "results")
    assert (done.trials_failed, done.without_result) == (0, {})
    loaded = load_study(done.store.parent, done.experiment_id)
    (final,) = [t for t in loaded.study.trials if (t.arm, t.phase) == ("on", "finalist")]
    settings = settings_from(final.params)
    assert isinstance(settings, LoraSettings)
    assert settings.rank == config["r"]
    assert final.canaries is not None
    assert final.canaries.before_max_difference == 0
    assert (final.canaries.after_max_difference or 0) > 0
    name = "adapter_model.safetensors"
    mine = load_file(tmp_path / "results" / TRIALS / final.trial_id / ARTIFACT / name)
    theirs = load_file(tmp_path / "theirs" / name)
    assert mine.keys() == theirs.keys()
    # Two epochs from there lie near it, and not at it.
    apart = sum(float((mine[key] - theirs[key]).square().sum()) for key in mine)
    size = sum(float(theirs[key].square().sum()) for key in mine)
    assert 0 < apart < size
    # What the adapter had seen is looked for in what judges this arm, too.
    audit = loaded.study.experiment.data.audit
    assert audit.brought["on"] == audit.brought["theirs"]
    assert any(audit.brought["on"].values())


def test_what_it_goes_on_from_is_part_of_what_a_trial_is_known_by(tmp_path: Path) -> None:
    spec = load_experiment(write(tmp_path, {"plain": {"kind": "prompt"}, "on": {**ON}}
                                 | {"theirs": THEIRS}))  # fmt: skip
    plan = plan_study(spec, tmp_path / "results")
    settings = plan.default_setting("on")
    before = plan.finalist("on", 0, 1, settings)
    assert before.start_path == str(tmp_path / "theirs")
    shutil.rmtree(tmp_path / "theirs")
    adapter(tmp_path / "theirs", tmp_path / "model")
    after = plan_study(spec, tmp_path / "results").finalist("on", 0, 1, settings)
    assert after.trial_id != before.trial_id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 8}, "rank: that is the adapter's own"),
        ({"start": "nowhere"}, "nowhere is no folder here that holds an adapter"),
        ({"start": "plain"}, "plain is of kind prompt; name an arm of kind trained"),
        ({"processes": 2}, "training in 2 processes begins anew"),
    ],
)
def test_what_cannot_be_gone_on_from_is_told(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    arms = {"plain": {"kind": "prompt"}, "theirs": THEIRS, "on": {**ON, **change}}
    with pytest.raises(SpecError, match=message):
        load_experiment(write(tmp_path, arms))
