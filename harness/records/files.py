"""Files: written whole or not at all, and hashed."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(target: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes ``target``'s place, on the disk, when the block ends well.

    Folders on the way are made. Where the block raises, what was at ``target`` before then stays.

    Raises:
        OSError: the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(target: Path, content: str | bytes) -> Path:
    """Write ``content`` (text as UTF-8) to ``target`` as :func:`whole_file` does; returns the path.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(target) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
    return target


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable. Windows cannot sync a folder."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex; the file need not fit into memory.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["file_sha256", "sync", "whole_file", "write_whole"]
