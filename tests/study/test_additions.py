"""Scores that are added to trials that had ended, where something goes wrong or is gone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.records import Artifact, Progress, TrialSpec, file_sha256
from harness.store import StoreReader, write_record
from harness.study.run import StudyRun, run_study
from harness.study.unnamed_weights import free_weights, freeable
from tests.fake_trial import Watching, execute, experiment, pretend
from tests.untimed import untimed_module

__all__ = ["untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

FIXED = {"kind": "lora", "learning_rate": 1e-3}
ARMS: dict[str, Any] = {"zero-shot": {"kind": "prompt"}, "fixed": FIXED}


@dataclass
class Keeping(Watching):
    """Pretends to leave weights; additions fail where that is wished."""

    fails: bool = False
    trained: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._execute = self._run

    def _run(self, spec: TrialSpec, folder: Path, report: Any) -> None:
        report(Progress(spec.trial_id, spec.arm, "load", 1, 1))
        if spec.adds and self.fails:
            from dataclasses import replace

            failed = replace(
                pretend(spec, failed=True), failure_kind="killed", failure_message="it was killed"
            )
            write_record(folder, failed)
            return
        if not spec.keep_artifact or (spec.adds and spec.trained_path):
            execute(spec, folder, report)
            return
        from dataclasses import replace

        self.trained.append(spec.trial_id)
        weights = folder / "artifact" / "adapter_model.safetensors"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(b"weights of " + spec.trial_id.encode())
        kept = Artifact(
            "artifact/adapter_model.safetensors", file_sha256(weights), weights.stat().st_size
        )
        write_record(folder, replace(pretend(spec), artifacts=(kept,)))


def run(folder: Path, engine: Keeping | None = None, **changes: Any) -> tuple[StudyRun, Keeping]:
    engine = engine or Keeping()
    values = {"arms": ARMS, "seeds": [1, 2], **changes}
    retry = values.pop("retry", False)
    done = run_study(
        experiment(folder, **values),
        folder / "results",
        open_with=lambda: engine,
        retry_failed=retry,
    )
    return done, engine


def status(folder: Path, done: StudyRun) -> dict[tuple[str, str, int], str]:
    trials = StoreReader(folder / "results" / "harness.duckdb").trials(done.experiment_id)
    return {(t.arm, t.phase, t.seed): t.status for t in trials}


def test_one_setting_is_trained_once_a_seed_and_its_first_finalist_is_an_addition(
    tmp_path: Path,
) -> None:
    done, engine = run(tmp_path)
    assert done.trials_failed == 0
    assert len(engine.trained) == 2
    assert [spec.phase for spec in engine.seen if spec.adds] == ["finalist"]
    assert all(spec.trained_path for spec in engine.seen if spec.adds)


def test_an_addition_that_fails_is_a_failed_trial_of_its_study(tmp_path: Path) -> None:
    done, _ = run(tmp_path, Keeping(fails=True))
    assert done.trials_failed == 1
    found = status(tmp_path, done)
    assert found["fixed", "finalist", 1] == "failed"
    # What the search asked of it is there.
    assert found["fixed", "search", 1] == "complete"
    _, engine = run(tmp_path)
    assert [spec.phase for spec in engine.seen if spec.phase != "latency"] == []
    retried, engine = run(tmp_path, retry=True)
    assert [spec.adds for spec in engine.seen if spec.phase == "finalist"] == [True]
    assert set(status(tmp_path, retried).values()) == {"complete"}


def test_weights_that_were_freed_are_trained_again_for_who_names_them(tmp_path: Path) -> None:
    done, first = run(tmp_path)
    results = tmp_path / "results"
    assert freeable(results) == []
    from harness.study.removal import carry_out, plan_removal

    carry_out(results, plan_removal(results, done.experiment_id))
    unnamed = freeable(results)
    assert {each.trial_id for each in unnamed} == set(first.trained)
    assert free_weights(results, unnamed) == unnamed
    assert freeable(results) == []
    assert not list((results / "trials").glob("*/artifact"))
    again, engine = run(tmp_path)
    assert again.trials_failed == 0
    assert sorted(engine.trained) == sorted(first.trained)
    assert len(list((results / "trials").glob("*/artifact/*"))) == 2


def test_a_store_that_is_gone_does_not_stop_a_run(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "results" / "harness.duckdb").unlink()
    again, _ = run(tmp_path)
    assert again.trials_failed == 0
    assert set(status(tmp_path, again).values()) == {"complete"}


@pytest.mark.parametrize("seed", [1_000_003, 20_260_601])
def test_a_large_seed_is_a_seed(tmp_path: Path, seed: int) -> None:
    done, _ = run(tmp_path, seeds=[seed])
    assert done.trials_failed == 0
    found = status(tmp_path, done)
    assert found["fixed", "search", seed] == found["fixed", "finalist", seed] == "complete"
    _, engine = run(tmp_path, seeds=[seed])
    assert engine.seen == []
    shutil.rmtree(tmp_path / "results")
