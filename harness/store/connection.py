"""Opening the store's file: for the length of one call, waiting while another process has it.

DuckDB lets either one process write or several read. Nobody here keeps the file open between
calls, so a reader and a writer meet only for the length of a transaction, and the later one
waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from harness.errors import NoRoomError, StoreError, UnwritableError, is_no_room, is_refused

WAIT_SECONDS = 30.0
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5

_BUSY = (
    "could not set lock",
    "conflicting lock",
    "different configuration",
    "unique file handle conflict",
    "being used by another process",
)

_QUIET = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}


@contextmanager
def transaction(
    path: Path, wait_seconds: float = WAIT_SECONDS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-write connection inside one transaction: committed on leaving, else rolled back.

    Raises:
        StoreError: another process held the store for ``wait_seconds``, the file is damaged,
            or DuckDB refused a statement. NoRoomError: the disk is full; nothing was changed.
    """
    connection = _open(path, read_only=False, wait_seconds=wait_seconds)
    try:
        connection.execute("BEGIN")
        try:
            yield connection
        except BaseException:
            # A database that a full disk has invalidated refuses this too; closing it undoes all.
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
    finally:
        connection.close()


@contextmanager
def reading(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection from which SQL can reach nothing but the store's tables.

    Raises:
        StoreError: another process held the store for ``wait_seconds``, or the file is damaged.
    """
    connection = _open(path, read_only=True, wait_seconds=wait_seconds)
    try:
        # enable_external_access leaves the store's own file reachable, so that COPY could write
        # over it; without a file system nothing is, and the open handle still reads.
        connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def _open(path: Path, *, read_only: bool, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = dict(_QUIET)
    if read_only:
        config["enable_external_access"] = False
    deadline = time.monotonic() + wait_seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return duckdb.connect(str(path.resolve()), read_only=read_only, config=config)
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
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{path}: another process held the store for {wait_seconds:g} s: {reason}. "
                    "Close the notebook or program that keeps it open, and repeat the command"
                ) from error
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
