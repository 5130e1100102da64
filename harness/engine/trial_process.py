"""A process that runs trials: what it does there, and how to end it with all that they started."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from harness.engine.outcome import Execute, Outcome
from harness.errors import NoRoomError, needing_room
from harness.records import Progress, TrialSpec

if TYPE_CHECKING:
    import psutil


@dataclass(frozen=True, slots=True)
class LastWord:
    """What a worker says of a trial that it is done with."""

    outcome: Outcome
    """How the trial ended."""
    stays: bool
    """The worker takes another trial; else it ends itself now."""


def work_here(execute: Execute, pipe: Connection, environment: Mapping[str, str]) -> None:
    """Run trials as they come through the pipe, sending each Progress and a LastWord.

    It goes on until the pipe closes, or until a trial may have left something of itself in this
    process. A process that ends without a LastWord was ended by something else.

    Args:
        environment: the coordinator's variables, as they are when the process is started.
    """
    # Those of a fork server are of when it began, and it serves one study after the other.
    os.environ.clear()
    os.environ.update(environment)
    if sys.platform != "win32":
        # A session of its own: whatever a trial starts can be ended with it, and an interrupt
        # at the terminal does not reach it.
        os.setsid()
    # The coordinator alone decides what an interrupt means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_coordinator, daemon=True).start()
    # Workers are killed, and a bar's lock between processes would be left behind by each.
    tqdm.set_lock(threading.RLock())
    # What was imported stays: to look through all of it again after each trial takes longer than
    # to find what that left.
    gc.freeze()

    def send(message: Progress | LastWord) -> None:
        try:
            pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            # Nobody is listening any more: there is nobody to finish for.
            end_family(os.getpid())
            os._exit(1)

    stays = True
    while stays:
        try:
            spec, folder = pipe.recv()
        except (EOFError, ConnectionError):
            break
        stays = _run(execute, spec, folder, send)
    pipe.close()


def _run(
    execute: Execute, spec: TrialSpec, folder: Path, send: Callable[[Progress | LastWord], None]
) -> bool:
    """Run one trial; whether this process is as good for the next one as a fresh one."""
    try:
        with needing_room(folder):
            status = execute(spec, folder, send)
    except NoRoomError as error:
        send(LastWord(Outcome(False, "no_room", str(error)), stays=False))
        return False
    except BaseException as error:
        text = f"the trial's process raised {type(error).__name__}: {error}"
        send(LastWord(Outcome(False, "error", text), stays=False))
        raise
    # After a failure, of memory for one, nobody knows what is left.
    stays = status != "failed" and not _something_runs()
    send(LastWord(Outcome(finished=True), stays))
    return stays


def _something_runs() -> bool:
    """Whether the trial left a thread or a process behind."""
    import psutil

    others = [thread for thread in threading.enumerate() if not thread.daemon]
    return len(others) > 1 or bool(psutil.Process().children()) or _group_size() > 1


def _group_size() -> int:
    """Number of processes in this one's group."""
    import psutil

    if sys.platform == "win32":
        return 1
    size, own = 0, os.getpgrp()
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            size += os.getpgid(pid) == own
    return size


def end_family(leader: int, seconds: float = 0.0) -> None:
    """SIGKILL a trial's process and all that it started, and wait ``seconds`` for them to be gone.

    Args:
        leader: the process id of one that may still run.
    """
    import psutil

    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        first = psutil.Process(leader)
        family = [first, *first.children(recursive=True)]
    for member in family:
        # Oneself comes last, with the group.
        if member.pid != os.getpid():
            with suppress(psutil.Error):
                member.kill()
    end_group(leader)
    until = time.monotonic() + seconds
    while any(map(_lives, family)) and time.monotonic() < until:
        time.sleep(0.005)


def _lives(process: psutil.Process) -> bool:
    """Whether a process runs: one that only waits to be reaped does not."""
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
