"""Run each trial in a fresh child process, so that a crash or an out-of-memory kill takes only it.

Where the system can fork and no GPU is in use, children come from a server that has the heavy
libraries imported already (they start in milliseconds); elsewhere each child imports them anew.
A child ends itself when the coordinator is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.engine.outcome import Ended, Execute, Outcome
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


@dataclass(slots=True)
class _Child:
    """A running trial. heard: when it last reported, on the clock of ``time.monotonic``."""

    spec: TrialSpec
    folder: Path
    process: BaseProcess
    receiver: Connection
    began: float
    heard: float


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
        self._running: list[_Child] = []
        can_fork = "forkserver" in multiprocessing.get_all_start_methods()
        if can_fork and not _has_nvidia_gpu():
            self._context: _Context = multiprocessing.get_context("forkserver")
            self._context.set_forkserver_preload(PRELOADED if preload is None else preload)
        else:
            self._context = multiprocessing.get_context("spawn")

    @property
    def slots(self) -> int:
        """The declared number of workers."""
        return self._limits.workers

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Start a child on the trial."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_in_child,
            args=(self._execute, spec, folder, sender),
            daemon=True,
        )
        process.start()
        sender.close()
        now = time.monotonic()
        self._running.append(_Child(spec, folder, process, receiver, now, now))

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Pass progress on until a child ends, or has to be ended."""
        if not self._running:
            raise ValueError("no trial was submitted")
        try:
            while True:
                ready = wait([child.receiver for child in self._running], self._patience())
                for child in list(self._running):
                    if child.receiver in ready and not self._listen(child, on_progress):
                        return self._take_away(child, None)
                    if too_long := self._overdue(child):
                        return self._take_away(child, too_long)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every child; the fork server ends with this process."""
        while self._running:
            self._take_away(self._running[0], Outcome(False, "killed", "the engine was closed"))

    def _listen(self, child: _Child, on_progress: Callable[[Progress], None]) -> bool:
        """Whether the child still talks."""
        try:
            progress = child.receiver.recv()
        except (EOFError, ConnectionResetError):
            return False
        child.heard = time.monotonic()
        on_progress(progress)
        return True

    def _patience(self) -> float:
        """Seconds until the next child may have run or been silent for too long."""
        return max(0.0, min(self._deadline(child) for child in self._running) - time.monotonic())

    def _deadline(self, child: _Child) -> float:
        silent = child.heard + 60 * self._limits.silence_minutes
        if self._limits.deadline_minutes is None:
            return silent
        return min(silent, child.began + 60 * self._limits.deadline_minutes)

    def _overdue(self, child: _Child) -> Outcome | None:
        now, limits = time.monotonic(), self._limits
        if (
            limits.deadline_minutes is not None
            and now >= child.began + 60 * limits.deadline_minutes
        ):
            return Outcome(
                False,
                "deadline",
                f"the trial took longer than execution.deadline_minutes, {limits.deadline_minutes:g}",
            )
        if now >= child.heard + 60 * limits.silence_minutes:
            return Outcome(
                False,
                "hung",
                f"the trial reported nothing for execution.silence_minutes, "
                f"{limits.silence_minutes:g}",
            )
        return None

    def _take_away(self, child: _Child, outcome: Outcome | None) -> Ended:
        """Leave no process behind; ``outcome`` None reads it off the exit code."""
        self._running.remove(child)
        if outcome is not None:
            child.process.kill()
        child.process.join()
        child.receiver.close()
        return Ended(child.spec, child.folder, outcome or _outcome(child.process.exitcode))


def _outcome(exit_code: int | None) -> Outcome:
    if exit_code == 0:
        return Outcome(finished=True)
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = (
            "; on Linux that is most often the kernel's answer to memory running out: lower "
            "micro_batch_size or max_length"
            if name == "SIGKILL"
            else ""
        )
        return Outcome(False, "killed", f"the trial's process was ended by {name}{hint}")
    return Outcome(False, "error", f"the trial's process ended with exit code {exit_code}")


def _in_child(execute: Execute, spec: TrialSpec, folder: Path, sender: Connection) -> None:
    # An interrupt at the terminal reaches the whole group; the coordinator alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_coordinator, daemon=True).start()

    def send(progress: Progress) -> None:
        try:
            sender.send(progress)
        except (BrokenPipeError, ConnectionResetError):
            # Nobody is listening any more: there is nobody to finish for.
            os._exit(1)

    execute(spec, folder, send)
    sender.close()


def _end_with_coordinator() -> None:
    coordinator = multiprocessing.parent_process()
    if coordinator is not None:
        # A pipe that closes when the coordinator ends, however it ends; a process id may belong
        # to a process that was killed but not yet waited for, or to another one by now.
        wait([coordinator.sentinel])
        os._exit(1)


def _has_nvidia_gpu() -> bool:
    # Asking torch would start CUDA, after which a fork cannot use it.
    return Path("/proc/driver/nvidia/version").exists() or "CUDA_VISIBLE_DEVICES" in os.environ
