"""Kill the coordinator at any moment, again and again: no trial is lost, and none done twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from fake_trial import executions

from harness.reporting import load_study, write_reports
from harness.store import StoreReader, whole_records

TESTS = Path(__file__).resolve().parents[1]
KILLS = 14

# Torch is only asked which device there is: left out, so that a start takes half a second.
COORDINATOR = """
import sys
from pathlib import Path
from fake_trial import execute, experiment
from harness import pipeline
from harness.engine.child import ChildEngine
from harness.records import Runtime

pipeline.choose_runtime = lambda model, batch: Runtime("cpu", "float32", batch)
folder = Path(sys.argv[1])
mark = "[sleep=0.05]"
arms = {
    "zero-shot": {"kind": "prompt", "instruction": mark},
    "few-shot": {"kind": "prompt", "instruction": mark, "shots": {"low": 1, "high": 9}},
    "lora": {"kind": "lora", "instruction": mark, "curve": [4, 8]},
    "failing": {"kind": "lora", "instruction": "[fail]"},
}
budget = {"trials": 5, "test_default": True}
spec = experiment(folder, arms=arms, budget=budget, seeds=[1, 2], name="killed")
print("ready", flush=True)
engine = ChildEngine(execute, preload=["fake_trial"])
done = pipeline.run_study(spec, folder / "results", open_with=lambda: engine)
print(done.experiment_id, flush=True)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
    )


def begun(folder: Path) -> int:
    """How often a trial began, in all runs so far."""
    logs = (folder / "results").glob("*/executions.log")
    return sum(log.read_text("utf-8").count("begin") for log in logs)


def wait_for(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    while process.poll() is None and begun(folder) < number:
        time.sleep(0.005)


def test_a_study_survives_kills(tmp_path: Path) -> None:
    rng = random.Random(20)
    kills = 0
    while True:
        process = start(tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        if kills < KILLS:
            wait_for(process, tmp_path, begun(tmp_path) + rng.choice((0, 1, 1, 2)))
            time.sleep(rng.uniform(0, 0.2))
            process.kill()
        output, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == -9, errors
        kills += 1
    assert kills >= 12
    experiment_id = output.strip()
    run_folder = tmp_path / "results" / f"killed-{experiment_id[:8]}"
    trials = StoreReader(tmp_path / "results" / "harness.duckdb").trials(experiment_id)

    # Every trial of the plan once: 1 + 5 + 5 + 5 searched, 3 arms on 2 seeds, the base, 2 default
    # settings and 2 sizes of a learning curve on 2 seeds.
    counts = Counter((trial.arm, trial.phase) for trial in trials)
    assert counts == {
        ("zero-shot", "search"): 1,
        ("few-shot", "search"): 5,
        ("lora", "search"): 5,
        ("failing", "search"): 5,
        ("zero-shot", "finalist"): 2,
        ("few-shot", "finalist"): 2,
        ("lora", "finalist"): 2,
        ("base", "baseline"): 1,
        ("few-shot", "default"): 2,
        ("lora", "default"): 2,
        ("lora", "curve"): 4,
    }
    assert len({(t.arm, t.phase, t.number, t.seed) for t in trials}) == len(trials) == 31
    assert {t.status for t in trials if t.arm != "failing"} == {"complete"}
    assert {t.failure_kind for t in trials if t.arm == "failing"} == {"nan_loss"}

    # A trial whose record was whole, or in the store, never began again.
    log = executions(run_folder)
    assert "again" not in {word for word, _ in log}
    ended: set[str] = set()
    for word, trial_id in log:
        assert word == "done" or trial_id not in ended
        if word == "done":
            ended.add(trial_id)
    assert {trial_id for word, trial_id in log if word == "begin"} == {t.trial_id for t in trials}
    interrupted = Counter(word for word, _ in log)["begin"] - len(trials)
    assert 0 < interrupted <= kills

    # Nothing half-done is left to be mistaken for a result, and the report can be made.
    whole, _ = whole_records(run_folder / "trials")
    assert {path.name for path in whole} == {trial.trial_id for trial in trials}
    assert not (run_folder / "trials" / "quarantine").exists()
    files = write_reports(load_study(tmp_path / "results", experiment_id))
    assert "lora" in files.markdown.read_text("utf-8")
