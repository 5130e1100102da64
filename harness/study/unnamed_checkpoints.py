"""Checkpoints of trainings that no study goes on with, and freeing their place on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.records import CHECKPOINT, TRIALS
from harness.store import STORE_FILE, StoreReader
from harness.study.unnamed_weights import remove_unnamed


@dataclass(frozen=True, slots=True)
class UnnamedCheckpoint:
    """What a training that was interrupted left, of a trial that no study names."""

    trial_id: str
    """Id of the trial."""
    bytes: int
    """Size of its files in all."""


def unnamed_checkpoints(results: Path) -> list[UnnamedCheckpoint]:
    """Checkpoints of trials that no study names, by id.

    Raises:
        InputError: there is no store.
    """
    named = StoreReader(results / STORE_FILE).named_trials()
    folders = sorted((results.resolve() / TRIALS).glob(f"*/{CHECKPOINT}"))
    return [
        UnnamedCheckpoint(folder.parent.name, _size(folder))
        for folder in folders
        if folder.parent.name not in named
    ]


def free_checkpoints(
    results: Path, checkpoints: Sequence[UnnamedCheckpoint]
) -> list[UnnamedCheckpoint]:
    """Remove checkpoints that no study names.

    Returns:
        Those that were removed: not those that a study has come to name meanwhile.
    """
    removed = remove_unnamed(results, [each.trial_id for each in checkpoints], CHECKPOINT)
    return [each for each in checkpoints if each.trial_id in removed]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
