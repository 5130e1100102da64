"""What a change costs with real weights: trained, loaded, or neither."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.engine.in_process import InProcessEngine
from harness.records import TrialSpec, TrialSummary
from harness.store import StoreReader
from harness.study.executing import execute_trial
from harness.study.explanation import explain
from harness.study.rehearsal import rehearse
from harness.study.run import StudyRun, plan_study, run_study
from harness.trial import candidate as trial_candidate
from harness.trial import fine_tuning, story
from tests.fake_trial import experiment
from tests.tiny_model import TinyModels, tiny_models, write_suite

__all__ = ["tiny_models"]
pytestmark = pytest.mark.weights

ARMS: dict[str, dict[str, Any]] = {
    "few-shot": {"kind": "prompt", "shots": 2},
    "lora": {"kind": "lora", "rank": 2, "epochs": 1, "learning_rate": 1e-3},
}
LIMITS = {"train": 16, "validation": 6, "test": 8}
# An untrained model would write to its limit, again and again.
REPLY_TOKENS = 3


@dataclass
class Counting:
    """Counts what is done with weights."""

    loaded: int = 0
    trained: int = 0
    specs: list[TrialSpec] = field(default_factory=list)


class Engine(InProcessEngine):
    """Keeps what it is asked to run."""

    def __init__(self, counting: Counting) -> None:
        super().__init__(execute_trial)
        self.counting = counting

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        self.counting.specs.append(spec)
        super().submit(spec, folder)


def values_of(folder: Path, models: TinyModels, **changes: Any) -> dict[str, Any]:
    """The experiment's fields."""
    suite = folder / "suite"
    suite.mkdir(exist_ok=True)
    path = suite / "tiny.yaml"
    task = experiment(folder).task.model_dump(mode="json", by_alias=True)
    return {
        "model": {"reference": str(models.chat), "dtype": "float32"},
        "arms": ARMS,
        "data": {"source": str(folder / "data.jsonl"), "limits": LIMITS},
        "general": {
            "suite": str(path if path.exists() else write_suite(suite)),
            "limit": 4,
            "search_limit": 2,
        },
        "memorisation_items": 4,
        "score_batch_size": 4,
        "budget": {"trials": 1, "test_default": False},
        **changes,
        "task": {**task, "max_new_tokens": REPLY_TOKENS, **changes.get("task", {})},
    }


def run(folder: Path, models: TinyModels, **changes: Any) -> tuple[StudyRun, Counting]:
    values = values_of(folder, models, **changes)
    counting = Counting()
    patch = pytest.MonkeyPatch()
    count(patch, counting, "loaded", trial_candidate, "base_candidate", story)
    count(patch, counting, "loaded", trial_candidate, "trained_candidate", story)
    count(patch, counting, "trained", fine_tuning, "fine_tune", story)
    try:
        done = run_study(
            experiment(folder, **values), folder / "results", open_with=lambda: Engine(counting)
        )
    finally:
        patch.undo()
    return done, counting


def count(
    patch: pytest.MonkeyPatch, counting: Counting, name: str, home: Any, function: str, user: Any
) -> None:
    whole: Callable[..., Any] = getattr(home, function)

    def counted(*args: Any, **more: Any) -> Any:
        setattr(counting, name, getattr(counting, name) + 1)
        return whole(*args, **more)

    patch.setattr(user, function, counted)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny_models: TinyModels) -> Path:
    folder = tmp_path_factory.mktemp("first")
    done, counted = run(folder, tiny_models)
    assert done.trials_failed == 0
    # One setting is trained once: for the search, and for the test.
    assert counted.trained == 1
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


GENERAL = {"limit": 6, "search_limit": 2}
TIMED = "latency"


@pytest.mark.parametrize(
    ("changes", "scored", "loads"),
    [
        pytest.param({"name": "copied"}, set(), 0, id="name"),
        pytest.param({"data": {"limits": {**LIMITS, "test": 10}}}, {"few-shot", "lora", "base"}, 3,
                     id="test"),
        pytest.param({"general": GENERAL}, {"lora", "base"}, 2, id="general"),
        pytest.param({"task": {"metrics": ["exact_match"]}}, {"few-shot", "lora", "base"}, 0,
                     id="metric"),
    ],
)  # fmt: skip
def test_what_is_scored_afterwards_trains_nothing(
    folder: Path, tiny_models: TinyModels, changes: dict[str, Any], scored: set[str], loads: int
) -> None:
    if "data" in changes:
        changes["data"]["source"] = str(folder / "data.jsonl")
    if "general" in changes:
        changes = {"general": {**changes["general"], "suite": str(folder / "suite" / "tiny.yaml")}}
    done, counted = run(folder, tiny_models, **changes)
    events = StoreReader(folder / "results" / "harness.duckdb").events(done.experiment_id)
    assert [event.detail for event in events if event.kind == "addition_failed"] == []
    assert (done.trials_failed, counted.trained) == (0, 0)
    added = {spec.arm for spec in counted.specs if spec.phase != TIMED}
    assert added == scored
    timed = sum(spec.phase == TIMED for spec in counted.specs)
    # A trial of which every reply is known loads nothing; the base once more, for what changed.
    assert counted.loaded - timed <= loads + (1 if loads else 0)
    study = StoreReader(folder / "results" / "harness.duckdb").study(done.experiment_id)
    assert {trial.status for trial in study.trials} == {"complete"}
    tests = {
        v.arm: len(v.values) for v in study.vectors if (v.suite, v.split) == ("domain", "test")
    }
    expected = changes.get("data", {}).get("limits", LIMITS)["test"]
    assert set(tests.values()) == {expected}


def test_scores_from_replies_are_those_of_the_weights(
    folder: Path, tiny_models: TinyModels
) -> None:
    """A longer test set, scored in two steps, gives what it gives in one."""
    changes = {"data": {"source": str(folder / "data.jsonl"), "limits": {**LIMITS, "test": 12}}}
    done, _ = run(folder, tiny_models, **changes)
    shutil.rmtree(folder / "results")
    whole, counted = run(folder, tiny_models, **changes)
    assert counted.trained == 1
    assert whole.experiment_id == done.experiment_id


def test_another_way_of_answering_asks_the_same_weights(
    folder: Path, tiny_models: TinyModels
) -> None:
    changes = {"arms": {**ARMS, "lora": {**ARMS["lora"], "answering": "choice"}}}

    def tuned(**more: Any) -> tuple[int, dict[str, TrialSummary]]:
        done, counted = run(folder, tiny_models, **changes, **more)
        assert done.trials_failed == 0
        trials = StoreReader(folder / "results" / "harness.duckdb").trials(done.experiment_id)
        return counted.trained, {t.phase: t for t in trials if t.arm == "lora" and t.phase != TIMED}

    plan = plan_study(experiment(folder, **values_of(folder, tiny_models, **changes)), folder / "p")
    copies = folder / "copies"
    copies.mkdir()
    rehearsal = rehearse(plan, folder / "results", copies)
    (why,) = [row.why for row in explain(rehearsal, ["lora"])]
    assert "answering is choice here" in why
    assert "its weights are at hand, so that nothing is trained" in why
    trained, after = tuned()
    assert trained == 0
    shutil.rmtree(folder / "results")
    trained, anew = tuned()
    assert trained == 1
    assert after.keys() == anew.keys() == {"search", "finalist"}
    for phase, trial in after.items():
        mine, whole = trial, anew[phase]
        assert mine.trial_id == whole.trial_id
        assert (
            [(s.step, s.loss) for s in mine.steps] == [(s.step, s.loss) for s in whole.steps] != []
        )
        for name in ("checkpoint", "canaries", "train_examples"):
            assert getattr(mine, name) == getattr(whole, name), name
        # How much memory was free differs.
        layouts = [trial.training_memory.partition(";")[0] for trial in (mine, whole)]
        assert layouts[0] == layouts[1] != ""
        weights = {a.path: a.sha256 for a in mine.artifacts if a.path.endswith(".safetensors")}
        assert weights
        assert weights.items() <= {a.path: a.sha256 for a in whole.artifacts}.items()
        values = [
            [(a.task, a.split, a.metric, a.value) for a in t.aggregates] for t in (mine, whole)
        ]
        assert values[0] == values[1]
        assert mine.cost is not None
        assert whole.cost is not None
        assert mine.cost.train_seconds > 0
        for name in ("train_tokens", "trainable_parameters", "total_parameters"):
            assert getattr(mine.cost, name) == getattr(whole.cost, name), name


def test_weights_that_are_gone_are_trained_again(folder: Path, tiny_models: TinyModels) -> None:
    for weights in (folder / "results" / "trials").glob("*/artifact"):
        shutil.rmtree(weights)
    changes = {"data": {"source": str(folder / "data.jsonl"), "limits": {**LIMITS, "test": 10}}}
    done, counted = run(folder, tiny_models, **changes)
    assert (done.trials_failed, counted.trained) == (0, 1)
    assert list((folder / "results" / "trials").glob("*/artifact/*.safetensors"))
