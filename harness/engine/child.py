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
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path

from harness.engine.outcome import Execute, Outcome
from harness.records import Progress, TrialSpec

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


class ChildEngine:
    """One child per trial.

    Parameters:
        execute: importable by name, since the child looks it up itself.
        preload: modules that the fork server imports once.
    """

    def __init__(self, execute: Execute, preload: list[str] | None = None) -> None:
        self._execute = execute
        can_fork = "forkserver" in multiprocessing.get_all_start_methods()
        if can_fork and not _has_nvidia_gpu():
            self._context: _Context = multiprocessing.get_context("forkserver")
            self._context.set_forkserver_preload(PRELOADED if preload is None else preload)
        else:
            self._context = multiprocessing.get_context("spawn")

    def run(
        self, spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]
    ) -> Outcome:
        """Run the trial in a child and pass its progress on until it ends."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_in_child,
            args=(self._execute, spec, folder, sender),
            daemon=True,
        )
        process.start()
        sender.close()
        try:
            while True:
                try:
                    on_progress(receiver.recv())
                except EOFError:
                    break
            process.join()
        finally:
            receiver.close()
            if process.is_alive():
                process.kill()
                process.join()
        return _outcome(process.exitcode)

    def close(self) -> None:
        """Children end with their trial; the fork server ends with this process."""


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
