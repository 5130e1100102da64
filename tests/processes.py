"""Whether processes that a test saw started have ended."""

import os
import signal
import time

import psutil


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    """Whether none of the processes runs any more; kills those that do when time is up."""
    until = time.monotonic() + seconds
    while (left := list(filter(lives, pids))) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in left if seconds else ():
        os.kill(pid, signal.SIGKILL)
    return not left


def lives(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
