"""What every engine keeps, and what only a child protects from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from fake_trial import execute, executions, pretend

from harness.data import write_examples
from harness.engine import ENGINES, Engine, Outcome, open_engine
from harness.engine.child import ChildEngine
from harness.engine.in_process import InProcessEngine
from harness.records import (
    Example,
    Progress,
    ResolvedModel,
    Runtime,
    ScoreRequest,
    TrialSpec,
)
from harness.store import read_record

TESTS = Path(__file__).resolve().parents[1]


def trial(folder: Path, instruction: str | None = None) -> tuple[TrialSpec, Path]:
    """A trial on two items, and the folder it is to be run in."""
    items = folder / "items.parquet"
    write_examples(items, [Example(str(n), {"text": str(n)}, "a", str(n)) for n in range(2)])
    spec = TrialSpec(
        trial_id="t1",
        experiment_id="e1",
        arm="zero-shot",
        kind="prompt",
        phase="search",
        number=0,
        seed=1,
        params={"instruction": instruction},
        model=ResolvedModel("fake", "/fake", "f" * 64),
        task={"metrics": ["exact_match"]},
        train_path=str(items),
        scores=(ScoreRequest("k1", "domain", "domain", "validation", str(items)),),
        runtime=Runtime("cpu", "float32", 4),
    )
    return spec, folder / "trials" / "t1"


def ignored(progress: Progress) -> None:
    """Progress that nobody watches."""


class EngineContract:
    """What :class:`harness.engine.Engine` promises; each engine inherits these tests."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    def test_the_record_lies_in_the_folder(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path)
        assert engine.run(spec, folder, ignored) == Outcome(finished=True)
        assert read_record(folder) == pretend(spec)

    def test_progress_arrives_in_order(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path)
        heard: list[Progress] = []
        engine.run(spec, folder, heard.append)
        assert [(one.stage, one.done) for one in heard] == [
            ("load", 1), ("score", 1), ("score", 2),
        ]  # fmt: skip
        assert {one.trial_id for one in heard} == {"t1"}

    def test_a_failed_trial_is_a_finished_one(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path, "[fail]")
        assert engine.run(spec, folder, ignored).finished
        record = read_record(folder)
        assert (record.status, record.failure_kind) == ("failed", "nan_loss")

    def test_trials_follow_one_another(self, engine: Engine, tmp_path: Path) -> None:
        spec, folder = trial(tmp_path)
        for name in ("a", "b", "c"):
            assert engine.run(spec, folder.with_name(name), ignored).finished

    def test_an_error_of_the_listener_is_raised(self, engine: Engine, tmp_path: Path) -> None:
        def listener(progress: Progress) -> None:
            raise KeyboardInterrupt

        spec, folder = trial(tmp_path, "[sleep=0.2]")
        with pytest.raises(KeyboardInterrupt):
            engine.run(spec, folder, listener)
        assert not (folder / "record").exists()
        engine.close()


class TestInProcess(EngineContract):
    """This process."""

    @pytest.fixture
    def engine(self) -> Engine:
        return InProcessEngine(execute)

    def test_an_exception_is_raised(self, engine: Engine, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="the trial raised"):
            engine.run(*trial(tmp_path, "[raise]"), ignored)


class TestChild(EngineContract):
    """A process for each trial."""

    @pytest.fixture
    def engine(self) -> Engine:
        return ChildEngine(execute, preload=[])

    @pytest.mark.parametrize(
        ("mark", "kind", "message"),
        [
            ("[killed]", "killed", "SIGKILL; on Linux that is most often"),
            ("[segfault]", "killed", "SIGSEGV"),
            ("[exit]", "error", "exit code 7"),
            ("[raise]", "error", "exit code 1"),
        ],
    )
    def test_a_death_is_an_outcome(
        self, engine: Engine, tmp_path: Path, mark: str, kind: str, message: str
    ) -> None:
        spec, folder = trial(tmp_path, mark)
        outcome = engine.run(spec, folder, ignored)
        assert (outcome.finished, outcome.kind) == (False, kind)
        assert message in outcome.message
        assert not (folder / "record").exists()
        assert engine.run(*trial(tmp_path), ignored).finished

    def test_a_child_that_is_killed_from_outside(self, tmp_path: Path) -> None:
        def kill(progress: Progress) -> None:
            assert progress.done != os.getpid()
            os.kill(progress.done, signal.SIGKILL)

        outcome = ChildEngine(report_pid, preload=[]).run(*trial(tmp_path), kill)
        assert (outcome.finished, outcome.kind) == (False, "killed")

    def test_an_interrupt_is_for_the_coordinator(self, tmp_path: Path) -> None:
        outcome = ChildEngine(interrupt_oneself, preload=[]).run(*trial(tmp_path), ignored)
        assert outcome.finished


def report_pid(spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    """Say which process this is, and wait."""
    on_progress(Progress(spec.trial_id, spec.arm, "load", os.getpid(), 1))
    time.sleep(60)


def interrupt_oneself(
    spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]
) -> None:
    """What Ctrl-C at the terminal does to the whole process group."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)


def test_engines_by_name() -> None:
    assert [type(open_engine(name, execute)) for name in ENGINES] == [ChildEngine, InProcessEngine]


COORDINATOR = """
import sys
from pathlib import Path
from engine.test_engines import trial
from fake_trial import execute
from harness.engine.child import ChildEngine
spec, folder = trial(Path(sys.argv[1]), "[hang]")
ChildEngine(execute, preload=[]).run(spec, folder, lambda one: print("begun", flush=True))
"""


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_no_child_outlives_a_killed_coordinator(tmp_path: Path, reaped: bool) -> None:
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert coordinator.stdout is not None
    assert coordinator.stdout.readline() == b"begun\n"
    family = psutil.Process(coordinator.pid).children(recursive=True)
    assert len(family) >= 2
    coordinator.kill()
    if reaped:
        coordinator.wait()
    deadline = time.monotonic() + 5
    while (left := [one for one in family if lives(one)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    coordinator.wait()
    coordinator.stdout.close()
    for process in left:
        process.kill()
    assert left == []
    assert executions(tmp_path) == [("begin", "t1")]


def lives(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
