"""A trial in a process of its own: what it does there, and how to end it with all it started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engine.outcome import Execute, Outcome
from harness.errors import NoRoomError, needing_room
from harness.records import Progress, TrialSpec

if TYPE_CHECKING:
    import psutil


def run_here(execute: Execute, spec: TrialSpec, folder: Path, sender: Connection) -> None:
    """Run the trial, sending each Progress, and an Outcome as the last word.

    A process that ends without an Outcome was ended by something else.
    """
    if sys.platform != "win32":
        # A session of its own: whatever the trial starts can be ended with it, and an interrupt
        # at the terminal does not reach it.
        os.setsid()
    # The coordinator alone decides what an interrupt means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_coordinator, daemon=True).start()

    def send(message: Progress | Outcome) -> None:
        try:
            sender.send(message)
        except (BrokenPipeError, ConnectionResetError):
            # Nobody is listening any more: there is nobody to finish for.
            end_family(os.getpid())
            os._exit(1)

    try:
        with needing_room(folder):
            execute(spec, folder, send)
    except NoRoomError as error:
        send(Outcome(False, "no_room", str(error)))
    except BaseException as error:
        send(Outcome(False, "error", f"the trial's process raised {type(error).__name__}: {error}"))
        raise
    else:
        send(Outcome(finished=True))
    sender.close()


def end_family(leader: int, seconds: float = 0.0) -> None:
    """SIGKILL a trial's process and all that it started, and wait ``seconds`` for them to be gone.

    leader: the process id of one that may still run.
    """
    import psutil

    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        first = psutil.Process(leader)
        family = [first, *first.children(recursive=True)]
    for one in family:
        # Oneself comes last, with the group.
        if one.pid != os.getpid():
            with suppress(psutil.Error):
                one.kill()
    end_group(leader)
    until = time.monotonic() + seconds
    while any(map(_lives, family)) and time.monotonic() < until:
        time.sleep(0.005)


def _lives(process: psutil.Process) -> bool:
    """Whether it runs: one that only waits to be reaped does not."""
    import psutil

    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end_group(leader: int) -> None:
    """SIGKILL what is left of a trial's process group, be it nothing."""
    if sys.platform != "win32":
        # There is no such group where the process has not yet made its session; and macOS forbids
        # a signal to a group of which only a zombie is left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def _end_with_coordinator() -> None:
    coordinator = multiprocessing.parent_process()
    if coordinator is not None:
        # A pipe that closes when the coordinator ends, however it ends; a process id may belong
        # to a process that was killed but not yet waited for, or to another one by now.
        wait([coordinator.sentinel])
        end_family(os.getpid())
        os._exit(1)
