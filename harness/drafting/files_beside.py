"""Test and validation files that lie beside a training file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# What stands in the place of "train" in the names of the files beside it.
TEST_NAMES = ("test",)
VALIDATION_NAMES = ("validation", "validate", "valid", "val", "dev")


def file_beside(data: str, names: Sequence[str]) -> str | None:
    """The file whose name has one of ``names`` in the place of ``train``; None where none is."""
    path = Path(data)
    if "train" not in path.name:
        return None
    found = (path.with_name(path.name.replace("train", name)) for name in names)
    return next((str(place) for place in found if place.is_file()), None)
