"""Run trials in child processes, so that a crash or an out-of-memory kill takes only one of them.

A child is a worker: it runs trials one after the other, and keeps what it loaded for them. One
whose trial failed, was ended, or left something running is replaced.

Where the system can fork and no GPU is in use, workers come from a server that has the heavy
libraries imported already (they start in milliseconds); elsewhere each imports them anew.
A worker ends itself, with all that it started, when the coordinator is gone.
"""

from __future__ import annotations

import atexit
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.engine.outcome import Ended, Execute, Outcome
from harness.engine.trial_process import LastWord, end_family, end_group, work_here
from harness.errors import interrupts_held
from harness.records import Progress, TrialSpec
from harness.spec import ExecutionSpec

_Context = multiprocessing.context.ForkServerContext | multiprocessing.context.SpawnContext

PRELOADED = [
    # First: it silences the others.
    "harness",
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "harness.models.peft_library",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface",
    "sklearn.feature_extraction.text",
    "harness.trial",
]
# A child whose end no pipe tells, because something that it started holds them, is found so late.
LOOK_SECONDS = 1.0
# For a child that has said its last word, or was killed, to be gone.
LEAVE_SECONDS = 10.0
# For a fork server that was ended to be gone, and between two looks.
SERVER_SECONDS, SERVER_PAUSE = 10.0, 0.01
# What multiprocessing gives for an exit code where the fork server cannot tell it any more.
SERVER_GONE = 255


@dataclass(slots=True)
class _Running:
    """A trial that a worker runs."""

    spec: TrialSpec
    """The trial."""
    folder: Path
    """Where its record is to lie."""
    began: float
    """When it began, on the clock of ``time.monotonic``."""
    heard: float
    """When it last reported, on the same clock."""
    last_word: LastWord | None = None
    """What the worker said of its end; None until it does."""


@dataclass(slots=True)
class _Worker:
    """A process that runs one trial after the other."""

    process: BaseProcess
    """The process."""
    pipe: Connection
    """The pipe that trials go in by, and reports come out."""
    running: _Running | None = None
    """The trial that it runs; None while it is idle."""
    last: TrialSpec | None = None
    """The trial that it ran last; None before the first."""

    def handles(self) -> list[Connection | int]:
        """What becomes ready when there is something to hear or the process ends."""
        pipes = [] if self.pipe.closed else [self.pipe]
        return [*pipes, self.process.sentinel]


def has_loaded(last: TrialSpec | None, spec: TrialSpec) -> tuple[bool, bool]:
    """How much of what a trial needs a worker has loaded; to be compared with another's.

    Args:
        last: the trial that it ran last; None before its first.
    """
    if last is None:
        return (False, False)
    same = last.model == spec.model
    return (same, same and last.kind == spec.kind)


class ChildEngine:
    """A few workers, each of which runs one trial after the other.

    Args:
        execute: runs a trial; importable by name, since the worker looks it up itself. What it
            keeps from one trial to the next is the worker's own.
        limits: number of workers, and how long a trial may run or be silent.
        preload: modules that the fork server imports once.
    """

    def __init__(
        self,
        execute: Execute,
        limits: ExecutionSpec | None = None,
        preload: list[str] | None = None,
    ) -> None:
        self._execute = execute
        self._limits = limits or ExecutionSpec()
        self._waiting: deque[tuple[TrialSpec, Path]] = deque()
        self._workers: list[_Worker] = []
        self._context = _context(PRELOADED if preload is None else preload)
        # Python waits for children at its exit; these would not end before their trials do.
        atexit.register(self.close)

    @property
    def slots(self) -> int:
        """The declared number of workers."""
        return self._limits.workers

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Hand the trial to a worker, now or as soon as one is free."""
        self._waiting.append((spec, folder))
        self._fill()

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Pass progress on until a trial ends, or has to be ended."""
        while True:
            if ended := self.poll(on_progress, math.inf):
                return ended

    def poll(self, on_progress: Callable[[Progress], None], seconds: float) -> Ended | None:
        """Do as :meth:`wait`, but give None if no trial ends within ``seconds``."""
        if not self._busy():
            raise ValueError("no trial was submitted")
        until = time.monotonic() + seconds
        try:
            while True:
                now = time.monotonic()
                busy = self._busy()
                left = min(now + LOOK_SECONDS, self._deadline(), until) - now
                wait([handle for worker, _ in busy for handle in worker.handles()], max(0.0, left))
                for worker, running in busy:
                    # Asked first: what it sent before it ended is then there to be heard.
                    gone = worker.process.exitcode is not None
                    _listen(worker, running, on_progress)
                    if ended := self._ended(worker, running, gone):
                        self._fill()
                        return ended
                if time.monotonic() >= until:
                    return None
        except BaseException:
            self.close()
            raise

    def rest(self) -> None:
        """Keep the workers: nobody waits for what they hold."""

    def close(self) -> None:
        """End every worker; the fork server ends with this process."""
        self._waiting.clear()
        while self._workers:
            self._take_away(self._workers[0])

    # ------------------------------------------------------------------ workers

    def _busy(self) -> list[tuple[_Worker, _Running]]:
        return [(worker, worker.running) for worker in self._workers if worker.running]

    def _fill(self) -> None:
        """Give waiting trials to idle workers, starting those that there is room for."""
        for worker in [
            w for w in self._workers if not w.running and w.process.exitcode is not None
        ]:
            # It was ended from outside.
            self._take_away(worker)
        while self._waiting:
            spec, folder = self._waiting[0]
            idle = [worker for worker in self._workers if not worker.running]
            if idle:
                worker = max(idle, key=lambda worker: has_loaded(worker.last, spec))
            elif len(self._workers) < self.slots:
                worker = self._start()
            else:
                return
            try:
                worker.pipe.send((spec, folder))
            except OSError:
                # It was ended this very moment; another one takes the trial.
                self._take_away(worker)
                continue
            self._waiting.popleft()
            now = time.monotonic()
            worker.running, worker.last = _Running(spec, folder, began=now, heard=now), spec

    def _start(self) -> _Worker:
        until = time.monotonic() + SERVER_SECONDS
        while True:
            try:
                self._workers.append(self._process())
            except (ConnectionError, EOFError):
                # The fork server was ended meanwhile. Once the system is done with it, which may
                # be a little after it has closed its socket, the next request brings up another.
                if time.monotonic() > until:
                    raise
                time.sleep(SERVER_PAUSE)
            else:
                return self._workers[-1]

    def _process(self) -> _Worker:
        here, there = self._context.Pipe()
        # Not a daemon: a trial may train with several processes of its own.
        work = (self._execute, there, dict(os.environ))
        process = self._context.Process(target=work_here, args=work, daemon=False)
        try:
            # A process of its own, or a fork server in place of one that was ended, imports first.
            with interrupts_held():
                process.start()
        finally:
            # Else the pipe would never end.
            there.close()
        return _Worker(process, here)

    def _take_away(self, worker: _Worker) -> None:
        """Take a worker off the list, leaving no process behind."""
        self._workers.remove(worker)
        process = worker.process
        if process.pid is not None:
            if process.exitcode in (None, SERVER_GONE):
                end_family(process.pid, LEAVE_SECONDS)
            else:
                end_group(process.pid)
        process.join(LEAVE_SECONDS)
        worker.pipe.close()

    # ------------------------------------------------------------------ trials

    def _ended(self, worker: _Worker, running: _Running, gone: bool) -> Ended | None:
        """The end of a worker's trial, if it came or has to be made.

        Args:
            gone: the worker's process has ended.
        """
        word = running.last_word
        if word is not None and word.stays and not gone:
            worker.running = None
            return Ended(running.spec, running.folder, word.outcome)
        overdue = None if gone else self._overdue(running)
        if not gone and overdue is None:
            return None
        self._take_away(worker)
        outcome = word.outcome if word else overdue or _outcome(worker.process.exitcode)
        return Ended(running.spec, running.folder, outcome)

    def _deadline(self) -> float:
        """When the next trial may have run or been silent for too long."""
        return min(at for _, running in self._busy() for at, _ in self._limits_of(running))

    def _overdue(self, running: _Running) -> Outcome | None:
        now = time.monotonic()
        return next((end for at, end in self._limits_of(running) if now >= at), None)

    def _limits_of(self, running: _Running) -> list[tuple[float, Outcome]]:
        """When the trial is to be ended if nothing happens, and what that is called."""
        if running.last_word is not None:
            return [(running.heard + LEAVE_SECONDS, running.last_word.outcome)]
        silence, deadline = self._limits.silence_minutes, self._limits.deadline_minutes
        message = f"the trial reported nothing for execution.silence_minutes, {silence:g}"
        limits = [(running.heard + 60 * silence, Outcome(False, "hung", message))]
        if deadline is not None:
            message = f"the trial took longer than execution.deadline_minutes, {deadline:g}"
            limits.insert(0, (running.began + 60 * deadline, Outcome(False, "deadline", message)))
        return limits


def _listen(worker: _Worker, running: _Running, on_progress: Callable[[Progress], None]) -> None:
    """Hear what the worker has said so far."""
    try:
        while not worker.pipe.closed and worker.pipe.poll():
            message = worker.pipe.recv()
            running.heard = time.monotonic()
            if isinstance(message, LastWord):
                running.last_word = message
            else:
                on_progress(message)
    except (EOFError, ConnectionError):
        worker.pipe.close()


def start_server() -> None:
    """Begin to import what trials need, while the caller reads its data; it takes seconds.

    Nothing happens where children are not forked.
    """
    if isinstance(_context(PRELOADED), multiprocessing.context.ForkServerContext):
        with interrupts_held():
            forkserver.ensure_running()


def _context(preload: list[str]) -> _Context:
    if "forkserver" not in multiprocessing.get_all_start_methods() or _has_nvidia_gpu():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    return context


def _outcome(exit_code: int | None) -> Outcome:
    """How a child ended that had no last word."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = (
            "; on Linux that is most often the kernel's answer to memory running out: lower "
            "micro_batch_size or max_length"
            if name == "SIGKILL"
            else ""
        )
        return Outcome(False, "killed", f"the trial's process was ended by {name}{hint}")
    if exit_code == SERVER_GONE:
        message = "the server that the trial's process came from was ended, and the trial with it"
        return Outcome(False, "killed", message)
    return Outcome(False, "error", f"the trial's process ended with exit code {exit_code}")


def _has_nvidia_gpu() -> bool:
    # Asking torch would start CUDA, after which a fork cannot use it.
    return Path("/proc/driver/nvidia/version").exists() or "CUDA_VISIBLE_DEVICES" in os.environ
