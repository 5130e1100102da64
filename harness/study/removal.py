"""Removing a study: what goes with it and what stays, and doing it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError, writing
from harness.records import StoredStudy
from harness.store import STORE_FILE, StoreReader
from harness.store.sharing import SharedTrials
from harness.store.study_lock import is_worked_on, working_on

# No study's folder is called so: names begin with a letter or a digit.
LEAVING = ".removed-"
REMEDY = "the study is out of the store; remove this folder yourself"


@dataclass(frozen=True, slots=True)
class Removal:
    """A study that is to go, and what goes with it."""

    study: StoredStudy
    """The study."""
    folder: Path
    """Its folder among the results, whether it is there or not."""
    size: int
    """Bytes of the files in it."""
    shared: tuple[SharedTrials, ...]
    """The other studies that use what its trials scored, which stays."""


def plan_removal(results: Path, asked: str) -> Removal:
    """The one study that ``asked`` means, which nobody works on.

    Args:
        asked: its name, where no other has it, or the start of its id.

    Raises:
        InputError: several have the name, there is none, or a process works on it.
    """
    reader = StoreReader(results / STORE_FILE)
    named = [study for study in reader.studies() if study.experiment.name == asked]
    if len(named) > 1:
        ids = ", ".join(study.short_id for study in named)
        raise InputError(
            f"{len(named)} studies are called {asked!r}; say by the start of its id which one is "
            f"to go: {ids}. `harness status {asked}` shows what tells them apart"
        )
    study = named[0] if named else reader.find(asked).study
    folder = results / study.experiment.folder
    if is_worked_on(folder):
        raise InputError(
            f"a process runs {asked} in {folder}; wait for it, or stop it first, and remove it then"
        )
    size = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
    return Removal(study, folder, size, reader.shared_trials(study.experiment.experiment_id))


def carry_out(results: Path, removal: Removal) -> None:
    """Remove the study's rows and its folder; a link in place of the folder goes, not its target.

    Raises:
        InputError: a process works on it by now, or the system refuses to remove the folder.
        StoreError: the store stays busy.
    """
    # It needs Arrow, which nobody who is only asked should wait for.
    from harness.store import StoreWriter

    with _nobody_works_on(removal.folder):
        StoreWriter(results / STORE_FILE).remove_study(removal.study.experiment.experiment_id)
        with writing(removal.folder, REMEDY):
            _delete(results, removal.folder)


@contextmanager
def _nobody_works_on(folder: Path) -> Iterator[None]:
    if not folder.is_dir():
        yield
        return
    with working_on(folder):
        yield


def _delete(results: Path, folder: Path) -> None:
    """Delete the folder, so that a kill on the way leaves none that a run would go on with."""
    # What an earlier removal left could have the very name that the folder is to get.
    for left in results.glob(f"{LEAVING}*"):
        _delete_at_once(left)
    if folder.is_dir() and not folder.is_symlink():
        leaving = results / f"{LEAVING}{folder.name}"
        folder.rename(leaving)
        folder = leaving
    _delete_at_once(folder)


def _delete_at_once(path: Path) -> None:
    """Delete a folder with all in it, or a link alone; nothing if it is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


__all__ = ["Removal", "carry_out", "plan_removal"]
