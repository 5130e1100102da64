"""Whether results can be written where a study is to lie."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import writing


def require_writable(results: Path) -> None:
    """Try to write where a study is to lie, before anything is spent on it. Leaves nothing.

    Raises:
        UnwritableError, NoRoomError: the system refuses, or the disk is full.
    """
    folder = results.absolute()
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    with writing(results, "name another folder with --results"):
        try:
            TemporaryDirectory(prefix="harness-", dir=nearest).cleanup()
        except OSError as error:
            # The folder that could not be made is of no interest, but where it was to be.
            error.filename = str(nearest)
            raise


__all__ = ["require_writable"]
