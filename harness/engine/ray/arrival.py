"""Files that arrive from another machine, put into the trial's folder whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.records import sync

RECORD = "record"


class Arrival:
    """Collects a trial's files beside their place; :meth:`settle` moves them there.

    The folder ``record`` moves last, since it is what says that a trial ended: a process killed at
    any moment leaves no record, or a whole one with all that belongs to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._apart = folder / "arriving"
        shutil.rmtree(self._apart, ignore_errors=True)

    def add(self, name: str, offset: int, data: bytes) -> None:
        """Write a part of a file. Parts come in order.

        Raises:
            ValueError: the part does not follow what has arrived, or is to lie elsewhere.
            OSError: the disk refuses.
        """
        place = self._apart / name
        if not place.resolve().is_relative_to(self._apart.resolve()):
            raise ValueError(f"{name} would lie outside the trial's folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("ab") as file:
            if file.tell() != offset:
                raise ValueError(f"{name}: a part of it at byte {file.tell()} is missing")
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def settle(self) -> None:
        """Move everything to its place, the record last.

        Raises:
            ValueError: no record has arrived.
            OSError: the disk refuses.
        """
        if not (self._apart / RECORD).is_dir():
            raise ValueError(f"no record came for {self._folder.name}")
        for item in sorted(self._apart.iterdir(), key=lambda path: path.name == RECORD):
            place = self._folder / item.name
            replaced = self._folder / f"{item.name}.replaced"
            if place.exists():
                place.rename(replaced)
            item.rename(place)
            _remove(replaced)
        self._apart.rmdir()
        sync(self._folder)

    def discard(self) -> None:
        """Remove what has arrived."""
        shutil.rmtree(self._apart, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
