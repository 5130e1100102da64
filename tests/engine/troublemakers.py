"""Trials that do what trials should not, to be run in processes of their own.

Each has the signature that engines call. Progress carries a process id as ``done``.
"""

from __future__ import annotations

import errno
import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.records import Progress, Status, TrialSpec

Report = Callable[[Progress], None]
LONG = 60.0


def say(spec: TrialSpec, report: Report, number: int) -> None:
    report(Progress(spec.trial_id, spec.arm, "load", number, 1))


def wait_there(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Say which process this is, and wait."""
    say(spec, report, os.getpid())
    time.sleep(LONG)


def wait_or_work(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Wait in silence if so instructed; else report eight times in two seconds and end."""
    if spec.params["instruction"] == "wait":
        wait_there(spec, folder, report)
    for number in range(8):
        say(spec, report, number)
        time.sleep(0.25)


def say_whether_set(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Say 1 if the variable that the instruction names is set, else 0."""
    say(spec, report, int(str(spec.params["instruction"]) in os.environ))


def talk_for_ever(spec: TrialSpec, folder: Path, report: Report) -> None:
    while True:
        say(spec, report, os.getpid())
        time.sleep(0.01)


def meet(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Wait until as many trials are there at once as the instruction says."""
    folder.parent.mkdir(exist_ok=True)
    (folder.parent / f"{spec.trial_id}.here").touch()
    until = time.monotonic() + 20
    while len(list(folder.parent.glob("*.here"))) < int(spec.params["instruction"]):
        if time.monotonic() > until:
            raise TimeoutError("the others did not come")
        time.sleep(0.01)


def count_the_others(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Report how many trials run at this moment."""
    folder.parent.mkdir(exist_ok=True)
    here = folder.parent / f"{spec.trial_id}.here"
    here.touch()
    time.sleep(0.2)
    say(spec, report, len(list(folder.parent.glob("*.here"))))
    here.unlink()


def interrupt_oneself(spec: TrialSpec, folder: Path, report: Report) -> None:
    """What Ctrl-C at the terminal does to the whole process group."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)


def start_family(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Start a fork, which holds every pipe, a child of its own, and one that left the group.

    Then do as instructed: ``end``, or ``wait``.
    """
    fork = os.fork()
    if not fork:
        other = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG})"])
        say(spec, report, other.pid)
        time.sleep(LONG)
    sleep = [sys.executable, "-c", f"import time; time.sleep({LONG})"]
    apart = subprocess.Popen(sleep, start_new_session=spec.params["instruction"] != "end")
    say(spec, report, fork)
    say(spec, report, apart.pid)
    say(spec, report, os.getpid())
    if spec.params["instruction"] != "end":
        time.sleep(LONG)
    # Long enough for the fork to have said who its child is.
    time.sleep(0.5)


def linger(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Be done, but for a thread that keeps the process."""
    threading.Thread(target=time.sleep, args=(LONG,)).start()


def stumble_out(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Be done, and crash when the interpreter is taken down."""
    multiprocessing.util.Finalize(None, os.kill, (os.getpid(), signal.SIGSEGV), exitpriority=1)


def slip_away(spec: TrialSpec, folder: Path, report: Report) -> None:
    """End as if all were well, with nothing said."""
    os._exit(0)


def find_no_room(spec: TrialSpec, folder: Path, report: Report) -> None:
    """Fail as Python does on a full disk, or as libraries do that give no number."""
    if spec.params["instruction"] == "library":
        raise RuntimeError(f"cannot save: {os.strerror(errno.ENOSPC)} (os error 28)")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def say_who(spec: TrialSpec, folder: Path, report: Report) -> Status | None:
    """Say which process this is, and how the trial ended, as instructed; nothing if not."""
    say(spec, report, os.getpid())
    return spec.params["instruction"]  # type: ignore[no-any-return]
