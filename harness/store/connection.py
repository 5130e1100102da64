"""Opening the store's file: for the length of one call, waiting while another process has it.

DuckDB lets either one process write or several read. Nobody here keeps the file open between
calls, so a reader and a writer meet only for the length of a transaction, and the later one
waits. Calls of one process follow one another: where it closes a file, the system takes back every
lock that it has on it, and so would let another process write beside a call that goes on.

Calls that follow one another at once may share one opening (:func:`held_open`).

What is kept between calls is an empty database in memory, to which a call attaches the file. To
make one, with DuckDB's thousands of functions, takes ten times as long as a short transaction.
SQL of the user's gets a database of its own, since what it must not reach is switched off for good.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from harness.errors import NoRoomError, StoreError, UnwritableError, is_no_room, is_refused

Parameters = Sequence[object] | Mapping[str, object]
"""Values for ``?``, or for ``$name``."""

WAIT_SECONDS = 30.0
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.05

_BUSY = (
    "could not set lock",
    "conflicting lock",
    "different configuration",
    "unique file handle conflict",
    "being used by another process",
)

_QUIET: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
_ATTACH_TO_READ = "ATTACH ? AS store (READ_ONLY)"
_ATTACH_TO_WRITE = "ATTACH ? AS store (READ_WRITE)"

_FREE: dict[int, list[duckdb.DuckDBPyConnection]] = {}
"""Process id -> its empty databases that no call has. A fork leaves alone those of its parent,
whose threads it has not got."""
_TURNS: dict[tuple[int, Path], threading.RLock] = {}
"""Process id and file -> lock of the thread that has the file open."""
_HELD: dict[tuple[int, Path], duckdb.DuckDBPyConnection] = {}
"""Process id and file -> connection of the thread that holds the file open for several calls."""


@contextmanager
def transaction(
    path: Path, wait_seconds: float = WAIT_SECONDS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-write connection inside one transaction: committed on leaving, else rolled back.

    Raises:
        StoreError: another process or thread held the store for ``wait_seconds``, the file is
            damaged, or DuckDB refused a statement.
        NoRoomError: the disk is full; nothing was changed.
    """
    try:
        with _attached(path, read_only=False, wait_seconds=wait_seconds) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            except BaseException:
                # A database that a full disk has invalidated refuses this too; closing it undoes
                # all.
                with suppress(duckdb.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
    except duckdb.Error as error:
        if is_no_room(error):
            raise NoRoomError(path, error) from error
        raise StoreError(f"{path}: the store refused a write, nothing was changed: {error}") from (
            error
        )


@contextmanager
def reading(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection for questions of this program's own.

    Raises:
        StoreError: another process or thread held the store for ``wait_seconds``, or the file is
            damaged.
    """
    with _attached(path, read_only=True, wait_seconds=wait_seconds) as connection:
        yield connection


@contextmanager
def reading_for_user(
    path: Path, wait_seconds: float = WAIT_SECONDS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection from which SQL can reach nothing but the store's tables.

    Raises:
        StoreError: another process or thread held the store for ``wait_seconds``, or the file is
            damaged.
    """
    config = {**_QUIET, "enable_external_access": False}
    with _turn(path, wait_seconds) as until:
        connection = _patiently(
            path,
            wait_seconds,
            until,
            lambda: duckdb.connect(str(path.resolve()), read_only=True, config=config),
        )
        try:
            # enable_external_access leaves the store's own file reachable, so that COPY could
            # write over it; without a file system nothing is, and the open handle still reads.
            connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


@contextmanager
def held_open(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Open the file once for all calls of this thread until leaving; no other process reads it.

    To open and close it takes longer than most of what a call asks. Each call has a transaction of
    its own, as without.

    Raises:
        StoreError: another process or thread held the store for ``wait_seconds``, or the file is
            damaged.
    """
    key = _turn_of(path)
    with _attached(path, read_only=False, wait_seconds=wait_seconds) as connection:
        outermost = key not in _HELD
        _HELD[key] = connection
        try:
            yield
        finally:
            if outermost:
                del _HELD[key]


def named_rows(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Parameters = (),
) -> Iterator[dict[str, Any]]:
    """Rows of an answer, as column name -> value; NULL is None."""
    answer = connection.execute(sql, parameters)
    names = [column[0] for column in answer.description or ()]
    return (dict(zip(names, values, strict=True)) for values in answer.fetchall())


@contextmanager
def _attached(
    path: Path, *, read_only: bool, wait_seconds: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose only tables are the file's, which is closed on leaving."""
    with _turn(path, wait_seconds) as until:
        # Only the thread that holds it comes this far.
        held = _HELD.get(_turn_of(path))
        if held is not None:
            yield held
            return
        free = _FREE.setdefault(os.getpid(), [])
        connection = free.pop() if free else _in_memory()
        attach = _ATTACH_TO_READ if read_only else _ATTACH_TO_WRITE
        file = [str(path.resolve())]
        whole = False
        try:
            _patiently(path, wait_seconds, until, lambda: connection.execute(attach, file))
            connection.execute("USE store")
            yield connection
            # A commit stands by now, whatever becomes of the log that detaching writes into the
            # file.
            with suppress(duckdb.Error):
                connection.execute("USE memory")
                connection.execute("DETACH store")
                whole = True
        finally:
            if whole:
                free.append(connection)
            else:
                connection.close()


@contextmanager
def _turn(path: Path, wait_seconds: float) -> Iterator[float]:
    """While no other thread of this process has the file open; yields when waiting is to end.

    Raises:
        StoreError: another thread had it for ``wait_seconds``.
    """
    until = time.monotonic() + wait_seconds
    lock = _TURNS.setdefault(_turn_of(path), threading.RLock())
    if not lock.acquire(timeout=wait_seconds):
        raise _held("another thread of this process", path, wait_seconds)
    try:
        yield until
    finally:
        lock.release()


def _turn_of(path: Path) -> tuple[int, Path]:
    """What a thread has to itself while it has the file open."""
    return os.getpid(), path.resolve()


def _in_memory() -> duckdb.DuckDBPyConnection:
    """An empty database."""
    # Else DuckDB would make a folder where the program was started, should it need one.
    folder = str(Path(tempfile.gettempdir()) / f"harness-{os.getpid()}.duckdb.tmp")
    return duckdb.connect(config={**_QUIET, "temp_directory": folder})


def _patiently(
    path: Path,
    wait_seconds: float,
    until: float,
    connect: Callable[[], duckdb.DuckDBPyConnection],
) -> duckdb.DuckDBPyConnection:
    """The connection, as soon as no other process holds the file."""
    pause = FIRST_PAUSE
    while True:
        try:
            return connect()
        except duckdb.Error as error:
            reason = str(error)
            if is_no_room(error):
                raise NoRoomError(path, error) from error
            if is_refused(error):
                raise UnwritableError(
                    f"{path}: the store cannot be opened: {reason}; see to it that the file can be "
                    "read and written, or name another folder with --results"
                ) from error
            if not any(mark in reason.lower() for mark in _BUSY):
                raise StoreError(
                    f"{path}: the store cannot be opened: {reason}. Restore the file, or move it "
                    "away and run again: whole trial folders are ingested anew"
                ) from error
            if time.monotonic() >= until:
                raise _held("another process", path, wait_seconds, f": {reason}") from error
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _held(who: str, path: Path, wait_seconds: float, reason: str = "") -> StoreError:
    return StoreError(
        f"{path}: {who} held the store for {wait_seconds:g} s{reason}. "
        "Close the notebook or program that keeps it open, and repeat the command"
    )
