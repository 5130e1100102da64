"""Run each trial in a fresh child process, so that a crash or an out-of-memory kill takes only it.

Where the system can fork and no GPU is in use, children come from a server that has the heavy
libraries imported already (they start in milliseconds); elsewhere each child imports them anew.
A child ends itself, with all that it started, when the coordinator is gone.
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
from harness.engine.trial_process import end_family, end_group, run_here
from harness.records import Progress, TrialSpec
from harness.spec import ExecutionSpec

_Context = multiprocessing.context.ForkServerContext | multiprocessing.context.SpawnContext

PRELOADED = [
    # First: it silences the others.
    "harness",
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "peft",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface",
    "sklearn.feature_extraction.text",
    "harness.trial",
]
# A child whose end no pipe tells, because something that it started holds them, is found so late.
LOOK_SECONDS = 1.0
# For a child that has said its last word, or was killed, to be gone.
LEAVE_SECONDS = 10.0
# What multiprocessing gives for an exit code where the fork server cannot tell it any more.
SERVER_GONE = 255


@dataclass(slots=True)
class _Child:
    """A running trial. heard: when it last reported, on the clock of ``time.monotonic``.

    last_word: what the trial itself said of its end. receiver: None once it is closed.
    """

    spec: TrialSpec
    folder: Path
    process: BaseProcess
    receiver: Connection | None
    began: float
    heard: float
    last_word: Outcome | None = None

    def handles(self) -> list[Connection | int]:
        """What becomes ready when there is something to hear or the process ends."""
        pipes = [] if self.receiver is None else [self.receiver]
        return [*pipes, self.process.sentinel]


class ChildEngine:
    """One child per trial.

    Parameters:
        execute: importable by name, since the child looks it up itself.
        limits: number of children at once, and how long each may run or be silent.
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
        self._running: list[_Child] = []
        self._context = _context(PRELOADED if preload is None else preload)
        # Python waits for children at its exit; these would not end before their trials do.
        atexit.register(self.close)

    @property
    def slots(self) -> int:
        """The declared number of workers."""
        return self._limits.workers

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Start a child on the trial, or as soon as there is room for one."""
        self._waiting.append((spec, folder))
        self._fill()

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Pass progress on until a child ends, or has to be ended."""
        while True:
            if ended := self.poll(on_progress, math.inf):
                return ended

    def poll(self, on_progress: Callable[[Progress], None], seconds: float) -> Ended | None:
        """As :meth:`wait`, but None if no child ends within ``seconds``."""
        if not self._running:
            raise ValueError("no trial was submitted")
        until = time.monotonic() + seconds
        try:
            while True:
                now = time.monotonic()
                left = min(now + LOOK_SECONDS, self._deadline(), until) - now
                wait([one for child in self._running for one in child.handles()], max(0.0, left))
                for child in self._running:
                    # Asked first: what it sent before it ended is then there to be heard.
                    gone = child.process.exitcode is not None
                    self._listen(child, on_progress)
                    if gone or (outcome := self._overdue(child)):
                        ended = self._take_away(child, None if gone else outcome)
                        self._fill()
                        return ended
                if time.monotonic() >= until:
                    return None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every child; the fork server ends with this process."""
        self._waiting.clear()
        while self._running:
            self._take_away(self._running[0], Outcome(False, "killed", "the engine was closed"))

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.slots:
            spec, folder = self._waiting.popleft()
            try:
                self._running.append(self._start(spec, folder))
            except (ConnectionError, EOFError):
                # The fork server was ended meanwhile; the next request brings up another.
                self._running.append(self._start(spec, folder))

    def _start(self, spec: TrialSpec, folder: Path) -> _Child:
        receiver, sender = self._context.Pipe(duplex=False)
        # Not a daemon: a trial may train with several processes of its own.
        process = self._context.Process(
            target=run_here, args=(self._execute, spec, folder, sender), daemon=False
        )
        try:
            process.start()
        finally:
            # Else the pipe would never end.
            sender.close()
        now = time.monotonic()
        return _Child(spec, folder, process, receiver, began=now, heard=now)

    def _listen(self, child: _Child, on_progress: Callable[[Progress], None]) -> None:
        """Hear what the child has said so far."""
        try:
            while child.receiver is not None and child.receiver.poll():
                message = child.receiver.recv()
                child.heard = time.monotonic()
                if isinstance(message, Outcome):
                    child.last_word = message
                else:
                    on_progress(message)
        except (EOFError, ConnectionError):
            _close(child)

    def _deadline(self) -> float:
        """When the next child may have run or been silent for too long."""
        return min(at for child in self._running for at, _ in self._limits_of(child))

    def _overdue(self, child: _Child) -> Outcome | None:
        now = time.monotonic()
        return next((end for at, end in self._limits_of(child) if now >= at), None)

    def _limits_of(self, child: _Child) -> list[tuple[float, Outcome]]:
        """When the child is to be ended if nothing happens, and what that is called."""
        if child.last_word is not None:
            return [(child.heard + LEAVE_SECONDS, child.last_word)]
        silence, deadline = self._limits.silence_minutes, self._limits.deadline_minutes
        told = f"the trial reported nothing for execution.silence_minutes, {silence:g}"
        found = [(child.heard + 60 * silence, Outcome(False, "hung", told))]
        if deadline is not None:
            told = f"the trial took longer than execution.deadline_minutes, {deadline:g}"
            found.insert(0, (child.began + 60 * deadline, Outcome(False, "deadline", told)))
        return found

    def _take_away(self, child: _Child, outcome: Outcome | None) -> Ended:
        """Leave no process behind; ``outcome`` None: the child ended by itself."""
        self._running.remove(child)
        process = child.process
        if process.pid is not None:
            if process.exitcode in (None, SERVER_GONE):
                end_family(process.pid, LEAVE_SECONDS)
            else:
                end_group(process.pid)
        process.join(LEAVE_SECONDS)
        _close(child)
        outcome = outcome or child.last_word or _outcome(process.exitcode)
        return Ended(child.spec, child.folder, outcome)


def start_server() -> None:
    """Begin to import what trials need, while the caller reads its data; it takes seconds.

    Nothing happens where children are not forked.
    """
    if isinstance(_context(PRELOADED), multiprocessing.context.ForkServerContext):
        forkserver.ensure_running()


def _context(preload: list[str]) -> _Context:
    if "forkserver" not in multiprocessing.get_all_start_methods() or _has_nvidia_gpu():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    return context


def _close(child: _Child) -> None:
    if child.receiver is not None:
        child.receiver.close()
        child.receiver = None


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
        told = "the server that the trial's process came from was ended, and the trial with it"
        return Outcome(False, "killed", told)
    return Outcome(False, "error", f"the trial's process ended with exit code {exit_code}")


def _has_nvidia_gpu() -> bool:
    # Asking torch would start CUDA, after which a fork cannot use it.
    return Path("/proc/driver/nvidia/version").exists() or "CUDA_VISIBLE_DEVICES" in os.environ
