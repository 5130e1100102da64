"""Names that become those of files and folders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Sets of items that a study makes itself.
TAKEN = re.compile(r"domain|train|validation|test|replay|memorisation|(train|memorisation)_.*")
# The lm-eval task of texts to be completed, as the study's own training rows are.
MEMORISATION = "memorisation"
# Devices of Windows, where no file can be called so, whatever its ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def checked_name(name: str) -> str:
    """The name, if files can be called so on every system.

    Raises:
        ValueError: they cannot.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r}: use letters, digits, dot, dash and underscore, at most 64"
        )
    if _DEVICE.fullmatch(name):
        raise ValueError(f"name {name!r} is that of a device on Windows; choose another")
    return name


def named_column(name: str) -> str:
    """The name of a column, if there is one.

    Raises:
        ValueError: it is empty.
    """
    if not name:
        raise ValueError("names no column; write the column's name, or leave the key out")
    return name


Column = Annotated[str, AfterValidator(named_column)]


def own_memorisation(arm: str) -> str:
    """The lm-eval task of the texts that one arm alone is asked to complete."""
    return f"{MEMORISATION}_{arm}"


def is_memorisation(task: str) -> bool:
    """Whether an lm-eval task is one of texts that are to be completed."""
    return task == MEMORISATION or task.startswith(own_memorisation(""))


def distinct_files(names: Iterable[str]) -> None:
    """Refuse names whose files would be one where case does not count."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(f"{other!r} and {name!r} differ in case only; rename one")


def is_suite_file(reference: str) -> bool:
    """Whether a suite is given as a file, not by the name of a bundled one."""
    return "/" in reference or reference.endswith((".yaml", ".yml"))
