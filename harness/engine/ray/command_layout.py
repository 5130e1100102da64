"""Files of a training command on another machine, which lie to one another as on the driver's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from harness.packaged.fetch import cache_folder
from harness.records import CommandCall, content_hash


def laid_out(call: CommandCall, places: Mapping[str, str]) -> dict[str, str]:
    """Put the command's files together: a script finds what it imports beside it.

    Nothing is done where all lie at the driver's own paths. Each may be run, as it may be there.

    Args:
        places: the driver's path of each file -> where it lies on this machine.

    Returns:
        The driver's path of each file -> where it is to be used.

    Raises:
        OSError: the cache cannot be written.
    """
    if all(places.get(file.path, file.path) == file.path for file in call.files):
        return {}
    root = os.path.commonpath([str(Path(file.path).parent) for file in call.files])
    names = {file.path: os.path.relpath(file.path, root) for file in call.files}
    known = content_hash([[names[file.path], file.sha256] for file in call.files], 40)
    folder = cache_folder() / "cluster" / "commands" / known
    folder.parent.mkdir(parents=True, exist_ok=True)
    found = {path: folder / name for path, name in names.items()}
    with FileLock(f"{folder}.lock"):
        for file in call.files:
            place = found[file.path]
            if not replace(file, path=str(place)).is_as_planned():
                place.parent.mkdir(parents=True, exist_ok=True)
                unfinished = place.with_name(f"{place.name}.unfinished")
                shutil.copyfile(places.get(file.path, file.path), unfinished)
                unfinished.chmod(0o755)
                unfinished.replace(place)
    return {path: str(place) for path, place in found.items()}


__all__ = ["laid_out"]
