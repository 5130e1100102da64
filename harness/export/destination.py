"""What an export writes appears whole or not at all, and never over something else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import InputError, needing_room, writing
from harness.records import write_whole

# In every exported folder: what it is, and what came of checking it.
RECEIPT = "harness-export.json"
ELSEWHERE = "name another place with --out"


@contextmanager
def whole_folder(place: Path, *, force: bool) -> Iterator[Path]:
    """An empty folder beside ``place`` that takes its place when the block ends well.

    Args:
        force: whether to replace an earlier export; nothing but an export is ever replaced.

    Raises:
        InputError: ``place`` is taken, or cannot be written.
        NoRoomError: the disk is full.
    """
    _check_folder(place, force=force)
    with writing(place, ELSEWHERE):
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        with needing_room(place):
            yield partial
        with writing(place, ELSEWHERE):
            # Temporary folders are for their owner's eyes only.
            partial.chmod(0o755)
            if place.exists():
                replaced = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
                place.rename(replaced / "replaced")
                partial.rename(place)
                shutil.rmtree(replaced)
            else:
                partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_folder(place: Path, *, force: bool) -> None:
    if place.is_file():
        raise InputError(f"{place} is a file; give the name of a folder to write")
    if not place.exists() or not any(place.iterdir()):
        return
    if not (place / RECEIPT).is_file():
        raise InputError(f"{place} holds something else; give the name of a new folder")
    if not force:
        raise InputError(f"{place} holds an earlier export; --force replaces it")


def write_file(place: Path, text: str, *, force: bool) -> None:
    """Write ``text`` as UTF-8.

    Args:
        force: whether to write over a file that is there.

    Raises:
        InputError: ``place`` is taken, or cannot be written.
        NoRoomError: the disk is full.
    """
    if place.is_dir():
        raise InputError(f"{place} is a folder; give the name of a file to write")
    if place.exists() and not force:
        raise InputError(f"{place} exists already; --force writes over it")
    with writing(place, ELSEWHERE):
        write_whole(place, text)


__all__ = ["RECEIPT", "whole_folder", "write_file"]
