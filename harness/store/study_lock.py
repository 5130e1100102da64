"""One process at a time works on a study: the lock in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import InputError

LOCK_FILE = "running.lock"
# Whoever asks whether a study runs has its lock for an instant.
PATIENCE_SECONDS = 0.2


@contextmanager
def working_on(folder: Path) -> Iterator[None]:
    """Hold the study in ``folder``, which is there.

    Raises:
        InputError: another process holds it.
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=PATIENCE_SECONDS / 4)
    except Timeout:
        raise InputError(
            f"another process runs this experiment in {folder}; wait for it, or stop it first"
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_worked_on(folder: Path) -> bool | None:
    """Whether a process holds the study in ``folder``; None where this user may not know."""
    if not (folder / LOCK_FILE).exists():
        return False
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return None
