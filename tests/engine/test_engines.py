"""What every engine keeps, and what only a child protects from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.engine import ENGINES, Engine, EngineName, Execute, open_engine
from harness.engine import child as child_module
from harness.engine.child import ChildEngine
from harness.engine.in_process import InProcessEngine
from harness.records import Progress
from harness.spec import ExecutionSpec
from harness.store import read_record
from tests.engine import troublemakers
from tests.engine.contract import EngineContract, ignored, run, trial
from tests.fake_trial import PRELOADED, execute, executions
from tests.processes import gone

ROOT = Path(__file__).resolve().parents[2]
LOCAL: tuple[EngineName, ...] = ("child", "in-process")
Opened = Callable[..., ChildEngine]


class TestInProcess(EngineContract):
    """This process."""

    @pytest.fixture
    def engine(self) -> Engine:
        return InProcessEngine(execute)

    def test_an_exception_is_raised(self, engine: Engine, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="the trial raised"):
            run(engine, *trial(tmp_path, "[raise]"))


class TestChild(EngineContract):
    """A process for one trial after the other."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        engine = ChildEngine(execute, preload=PRELOADED)
        yield engine
        engine.close()

    @pytest.mark.parametrize(
        ("mark", "kind", "message"),
        [
            ("[killed]", "killed", "SIGKILL; on Linux that is most often"),
            ("[segfault]", "killed", "SIGSEGV"),
            ("[exit]", "error", "exit code 7"),
            ("[raise]", "error", "raised RuntimeError: the trial raised"),
        ],
    )
    def test_a_death_is_an_outcome(
        self, engine: Engine, tmp_path: Path, mark: str, kind: str, message: str
    ) -> None:
        spec, folder = trial(tmp_path, mark)
        outcome = run(engine, spec, folder)
        assert (outcome.finished, outcome.kind) == (False, kind)
        assert message in outcome.message
        assert not (folder / "record").exists()
        assert run(engine, *trial(tmp_path)).finished


class TestChildren(EngineContract):
    """Three processes at once."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        engine = ChildEngine(execute, ExecutionSpec(workers=3), preload=PRELOADED)
        yield engine
        engine.close()

    def test_slots_are_workers(self, engine: Engine) -> None:
        assert engine.slots == 3

    @pytest.mark.parametrize("mark", ["[killed]", "[segfault]", "[exit]", "[raise]"])
    def test_a_death_leaves_the_others_running(
        self, engine: Engine, tmp_path: Path, mark: str
    ) -> None:
        marks = {"a": "[sleep=0.6]", "b": mark, "c": "[sleep=0.6]", "d": None}
        for name, instruction in marks.items():
            engine.submit(*trial(tmp_path, instruction, name))
        ended = {one.spec.trial_id: one for one in (engine.wait(ignored) for _ in marks)}
        assert next(iter(ended)) == "b"
        assert {name for name, one in ended.items() if one.outcome.finished} == {"a", "c", "d"}
        for name in ("a", "c", "d"):
            assert read_record(ended[name].folder).spec == ended[name].spec
        assert Counter(executions(tmp_path)) == Counter(
            [("begin", name) for name in "abcd"] + [("done", name) for name in "acd"]
        )


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens engines on troublemakers, and closes them."""
    engines: list[ChildEngine] = []

    def make(execute: Execute, **limits: float) -> ChildEngine:
        engine = ChildEngine(execute, ExecutionSpec.model_validate(limits), preload=PRELOADED)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


def test_a_trial_has_the_environment_of_its_start(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []

    def asked() -> int:
        # Each engine begins a process of its own, of the one fork server.
        engine = opened(troublemakers.say_whether_set)
        assert run(
            engine, *trial(tmp_path, "HARNESS_OF_ONE_STUDY"), lambda one: said.append(one.done)
        )
        return said[-1]

    assert asked() == 0
    monkeypatch.setenv("HARNESS_OF_ONE_STUDY", "here")
    assert asked() == 1
    monkeypatch.delenv("HARNESS_OF_ONE_STUDY")
    assert asked() == 0


def test_several_trials_run_at_once(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.meet, workers=3)
    for name in "abc":
        engine.submit(*trial(tmp_path, "3", name))
    assert [engine.wait(ignored).outcome.finished for _ in "abc"] == [True] * 3


def test_no_more_than_the_workers_run_at_once(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.count_the_others, workers=2)
    most: list[int] = []
    for name in "abcde":
        engine.submit(*trial(tmp_path, None, name))
    for _ in "abcde":
        assert engine.wait(lambda one: most.append(one.done)).outcome.finished
    assert len(most) == 5
    assert max(most) <= 2


def test_a_trial_past_its_deadline_is_ended(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.talk_for_ever, deadline_minutes=1.5 / 60)
    heard: list[Progress] = []
    outcome = run(engine, *trial(tmp_path), heard.append)
    assert (outcome.finished, outcome.kind) == (False, "deadline")
    assert "longer than execution.deadline_minutes, 0.025" in outcome.message
    assert len(heard) > 3
    assert gone([heard[0].done])


def test_a_silent_trial_is_held_to_hang_and_a_talking_one_is_not(
    opened: Opened, tmp_path: Path
) -> None:
    engine = opened(troublemakers.wait_or_work, silence_minutes=1.5 / 60, workers=2)
    engine.submit(*trial(tmp_path, "wait", "silent"))
    engine.submit(*trial(tmp_path, "work", "talking"))
    pids: list[int] = []

    def listen(one: Progress) -> None:
        if one.trial_id == "silent":
            pids.append(one.done)

    ended = {one.spec.trial_id: one.outcome for one in (engine.wait(listen), engine.wait(listen))}
    assert ended["talking"].finished
    assert ended["silent"].kind == "hung"
    assert "nothing for execution.silence_minutes, 0.025" in ended["silent"].message
    assert gone(pids)


def test_a_child_that_is_killed_from_outside(opened: Opened, tmp_path: Path) -> None:
    def kill(progress: Progress) -> None:
        assert progress.done != os.getpid()
        os.kill(progress.done, signal.SIGKILL)

    outcome = run(opened(troublemakers.wait_there), *trial(tmp_path), kill)
    assert (outcome.finished, outcome.kind) == (False, "killed")


def test_an_interrupt_is_for_the_coordinator(opened: Opened, tmp_path: Path) -> None:
    assert run(opened(troublemakers.interrupt_oneself), *trial(tmp_path)).finished


def test_closing_leaves_no_process_behind(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.start_family, workers=2)
    for name in "ab":
        engine.submit(*trial(tmp_path, "wait", name))
    pids: list[int] = []
    until = time.monotonic() + 20
    while len(pids) < 8 and time.monotonic() < until:
        assert engine.poll(lambda one: pids.append(one.done), 0.1) is None
    assert len(set(pids)) == 8
    assert not gone(pids, seconds=0.0)
    engine.close()
    assert gone(pids)


@pytest.mark.parametrize("how", ["killed", "deadline", "finished"])
def test_what_a_trial_started_ends_with_it(opened: Opened, tmp_path: Path, how: str) -> None:
    limits = {"deadline_minutes": 2 / 60} if how == "deadline" else {}
    pids: list[int] = []

    def listen(progress: Progress) -> None:
        pids.append(progress.done)
        if how == "killed" and len(pids) == 4:
            # Its fork holds the pipes, so that none of them tells of the death.
            os.kill(next(pid for pid in pids if psutil.Process(pid).ppid() not in pids), 9)

    instruction = "end" if how in ("killed", "finished") else "wait"
    engine = opened(troublemakers.start_family, **limits)
    began = time.monotonic()
    outcome = run(engine, *trial(tmp_path, instruction), listen)
    assert (outcome.kind or "finished") == how
    assert time.monotonic() - began < 15
    assert len(pids) == 4
    assert gone(pids)


def process_of(engine: ChildEngine, folder: Path, mark: str | None, name: str = "t1") -> int:
    """The process that a trial ran in."""
    pids: list[int] = []
    spec, place = trial(folder, mark, name)
    assert run(engine, spec, place, lambda one: pids.append(one.done)).finished
    return pids[-1]


@pytest.mark.parametrize(
    ("status", "stays"),
    [(None, True), ("complete", True), ("pruned", True), ("failed", False)],
)
def test_a_worker_stays_unless_its_trial_failed(
    opened: Opened, tmp_path: Path, status: str | None, stays: bool
) -> None:
    engine = opened(troublemakers.say_who)
    first = process_of(engine, tmp_path, status, "a")
    second = process_of(engine, tmp_path, None, "b")
    assert (first == second) == stays
    if not stays:
        assert gone([first])
    engine.close()
    assert gone([second])


def test_a_worker_that_something_was_left_in_is_replaced(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.start_family)
    assert process_of(engine, tmp_path, "end", "a") != process_of(engine, tmp_path, "end", "b")


def test_an_idle_worker_that_was_killed_is_replaced(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.say_who)
    first = process_of(engine, tmp_path, None, "a")
    os.kill(first, signal.SIGKILL)
    # The fork server tells of the death a little after it.
    (worker,) = engine._workers
    worker.process.join(5)
    # No trial was lost with it.
    assert process_of(engine, tmp_path, None, "b") != first


def test_a_trial_goes_to_the_worker_that_has_its_base(opened: Opened, tmp_path: Path) -> None:
    engine = opened(troublemakers.say_who, workers=3)
    specs = {}
    for name, model, kind in (("a", "m", "prompt"), ("b", "m", "lora"), ("c", "n", "lora")):
        spec, folder = trial(tmp_path, None, name)
        other = replace(spec.model, reference=model)
        specs[name] = (replace(spec, model=other, kind=kind), folder)
    pids: dict[str, int] = {}

    def listen(one: Progress) -> None:
        pids[one.trial_id] = one.done

    for spec, folder in specs.values():
        engine.submit(spec, folder)
    for _ in specs:
        assert engine.wait(listen).outcome.finished
    before = dict(pids)
    assert len(set(before.values())) == 3
    for name in ("c", "b", "a"):
        run(engine, *specs[name], listen)
        assert pids[name] == before[name]
    spec, folder = specs["c"]
    run(engine, replace(spec, kind="qlora"), folder, listen)
    assert pids["c"] == before["c"]


def test_a_finished_trial_whose_process_stays_is_ended(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "LEAVE_SECONDS", 0.3)
    assert run(opened(troublemakers.linger), *trial(tmp_path)).finished


def test_a_crash_after_the_last_word_changes_nothing(opened: Opened, tmp_path: Path) -> None:
    assert run(opened(troublemakers.stumble_out), *trial(tmp_path)).finished


def test_leaving_without_a_word_is_no_end(opened: Opened, tmp_path: Path) -> None:
    outcome = run(opened(troublemakers.slip_away), *trial(tmp_path))
    assert (outcome.finished, outcome.kind) == (False, "error")
    assert "exit code 0" in outcome.message


@pytest.mark.parametrize("instruction", ["system", "library"])
def test_a_full_disk_is_no_fault_of_the_trial(
    opened: Opened, tmp_path: Path, instruction: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spec, folder = trial(tmp_path, instruction)
    outcome = run(opened(troublemakers.find_no_room), spec, folder)
    assert (outcome.finished, outcome.kind) == (False, "no_room")
    assert str(folder) in outcome.message
    assert "make room" in outcome.message
    assert "Traceback" not in capfd.readouterr().err


def test_the_fork_server_may_be_killed(opened: Opened, tmp_path: Path) -> None:
    pids: list[int] = []

    def kill(progress: Progress) -> None:
        pids.append(progress.done)
        os.kill(psutil.Process(progress.done).ppid(), signal.SIGKILL)

    outcome = run(opened(troublemakers.wait_there), *trial(tmp_path), kill)
    assert (outcome.finished, outcome.kind) == (False, "killed")
    assert gone(pids)
    assert run(opened(troublemakers.interrupt_oneself), *trial(tmp_path)).finished


def test_engines_by_name() -> None:
    assert [type(open_engine(name, execute, ExecutionSpec())) for name in LOCAL] == [
        ChildEngine,
        InProcessEngine,
    ]
    assert set(LOCAL) <= set(ENGINES)


COORDINATOR = """
import sys
from pathlib import Path
from tests.engine import troublemakers
from tests.engine.contract import run, trial
from harness.engine.child import ChildEngine
spec, folder = trial(Path(sys.argv[1]), "wait")
engine = ChildEngine(troublemakers.start_family, preload=["harness.data"])
run(engine, spec, folder, lambda one: print(one.done, flush=True))
"""


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_no_process_outlives_a_killed_coordinator(tmp_path: Path, reaped: bool) -> None:
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert coordinator.stdout is not None
    family = [int(coordinator.stdout.readline()) for _ in range(4)]
    family += [one.pid for one in psutil.Process(coordinator.pid).children(recursive=True)]
    assert len(set(family)) >= 6
    assert not gone(family, seconds=0.0)
    coordinator.kill()
    if reaped:
        coordinator.wait()
    left = not gone(family)
    coordinator.wait()
    coordinator.stdout.close()
    assert not left
