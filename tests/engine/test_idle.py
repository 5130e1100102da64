"""Waiting for a trial leaves the processors to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from harness.engine.child import ChildEngine
from harness.records import Progress, TrialSpec
from harness.study.run import plan_study
from tests.fake_trial import PRELOADED, experiment

SECONDS = 1.5


def sleep(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    time.sleep(SECONDS)


def test_the_coordinator_is_idle_while_a_trial_runs(tmp_path: Path) -> None:
    spec = plan_study(experiment(tmp_path), tmp_path / "results").baseline()
    engine = ChildEngine(sleep, preload=PRELOADED)
    engine.submit(spec, tmp_path)
    used, began = time.process_time(), time.monotonic()
    assert engine.wait(lambda progress: None).outcome.finished
    assert time.monotonic() - began > SECONDS / 2
    assert time.process_time() - used < SECONDS / 6
    engine.close()
