"""Errors that a person at the terminal can act on.

    HarnessError                 anything this package raises on purpose
    ├── InputError               the user's input is wrong; the command exits with code 2
    │   ├── SpecError            the experiment file
    │   ├── DataError            the data set
    │   ├── UnknownReferenceError a model, suite or packaged name that cannot be resolved
    │   └── UnwritableError      a folder or file that the system refuses
    ├── StoreError               the DuckDB store or a trial's folder is damaged or busy
    │   └── NoRoomError          the disk is full; the study goes on once there is room
    ├── CanaryError              a correctness canary failed: the run's numbers would be wrong
    ├── StudyFailedError         no arm has a trial that ended well
    ├── ParityError              an exported model does not answer as the one that was scored
    └── TrialError               one trial failed; the study goes on

Every message states the rule, the value that broke it and the remedy.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Characters of one problem that are shown.
LONGEST = 2_000
# No permission, a system of files that is only read, a file in place of a folder or the reverse, a
# folder that cannot be made, a name that none can have.
_REFUSED = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOENT,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    }
)
# Full disk, spent quota, a file beyond its allowed size.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    where: str
    """File and line, or the dotted path of a field; empty when it is the whole input."""
    what: str
    """The rule, the value that broke it, and what to do."""

    def __str__(self) -> str:
        what = self.what
        if len(what) > LONGEST:
            # It quotes a value that is as long; what to do stands at the end.
            what = f"{what[: LONGEST // 2]} … {what[-LONGEST // 2 :]}"
        return f"{self.where}: {what}" if self.where else what


class HarnessError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class InputError(HarnessError):
    """The user's input is wrong. Carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = [Problem("", problems)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpecError(InputError):
    """The experiment file is not a valid experiment."""


class DataError(InputError):
    """The data set cannot be used as it is."""


class UnknownReferenceError(InputError):
    """A model, suite or packaged data set that cannot be resolved."""


class UnwritableError(InputError):
    """A folder or a file cannot be written, or read: the system refuses."""


class StoreError(HarnessError):
    """The store, or a trial's folder, is damaged, busy or of another version."""


class NoRoomError(StoreError):
    """The disk is full, or a quota or a limit on file sizes is met. Nothing whole is lost.

    Args:
        place: what could not be written.
        reason: what the system said.
    """

    def __init__(self, place: Path | str, reason: object) -> None:
        super().__init__(
            f"{place} could not be written: {reason}; make room and run again: what is finished is "
            "kept, and the study goes on where it stopped"
        )


class CanaryError(HarnessError):
    """A correctness canary failed, so the numbers that would follow are wrong."""


class StudyFailedError(HarnessError):
    """No arm of a study has a trial that ended well, so that there is nothing to compare."""


class ParityError(HarnessError):
    """An exported model does not answer as the one that was scored; nothing was exported."""


class TrialError(HarnessError):
    """A trial failed for a reason worth recording; the study goes on.

    kind is a stable word: ``nan_loss``, ``out_of_memory``, ``killed``, ``canary``, ``length``,
    ``error``; of a trial that asks a server also ``endpoint``, ``key``, ``ledger``,
    ``spending_cap``.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


@contextmanager
def needing_room(place: Path | str) -> Iterator[None]:
    """Turn the system's refusal of more data into an error for the user.

    Args:
        place: what is being written.

    Raises:
        NoRoomError: the disk is full.
    """
    try:
        yield
    except NoRoomError:
        raise
    except Exception as error:
        if is_no_room(error):
            raise NoRoomError(place, error) from error
        raise


def is_no_room(error: BaseException) -> bool:
    """Whether the disk was full, by the error's number or, from libraries, by its text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NO_ROOM
    return any(os.strerror(number) in str(error) for number in _NO_ROOM)


@contextmanager
def writing(place: Path | str, remedy: str) -> Iterator[None]:
    """Turn the system's refusal to write into an error for the user.

    Args:
        place: what is being written.
        remedy: what to do where it is refused.

    Raises:
        UnwritableError: it is refused.
        NoRoomError: the disk is full.
    """
    with needing_room(place):
        try:
            yield
        except OSError as error:
            if not is_refused(error):
                raise
            raise UnwritableError(refusal(place, error, remedy)) from error


def is_refused(error: BaseException) -> bool:
    """Whether the system refuses a place for good, by the error's number or a library's text."""
    if isinstance(error, OSError):
        return error.errno in _REFUSED
    # A library says so too of a file that is not there, which may have other reasons.
    return any(os.strerror(number) in str(error) for number in _REFUSED - {errno.ENOENT})


def refusal(place: Path | str, error: OSError, remedy: str) -> str:
    """What is refused, why, and what to do."""
    met = str(error.filename or place)
    at = "" if met == str(place) else f" at {met}"
    return f"{place} cannot be written ({error.strerror or error}{at}); {remedy}"


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold interrupts back from this thread, and from all processes that it starts meanwhile.

    They take over what is held back. An interrupt of a terminal goes to all of its processes, and
    Python would end one that still imports with a traceback. This process hears one that comes
    meanwhile all the same: through another of its threads, or afterwards.
    """
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    # It lets interrupts through again once it has started, so it may not start within.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
