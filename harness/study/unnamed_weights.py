"""Trained weights that no study names, and freeing their place on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import writing
from harness.records import ARTIFACT, TRIALS
from harness.store import STORE_FILE, StoreReader
from harness.store.reuse import UnnamedWeights


def freeable(results: Path) -> list[UnnamedWeights]:
    """Weights that no study names and that are on the disk still, the oldest first."""
    trials = results.resolve() / TRIALS
    unnamed = StoreReader(results / STORE_FILE).unnamed_weights()
    return [each for each in unnamed if (trials / each.trial_id / ARTIFACT).exists()]


def free_weights(results: Path, weights: Sequence[UnnamedWeights]) -> list[UnnamedWeights]:
    """Remove weights that no study names; what they scored stays known.

    A study that names the trial later trains it again.

    Returns:
        Those that were removed: not those that a study has come to name meanwhile.
    """
    removed = remove_unnamed(results, [each.trial_id for each in weights], ARTIFACT)
    return [each for each in weights if each.trial_id in removed]


def remove_unnamed(results: Path, trial_ids: Sequence[str], folder: str) -> set[str]:
    """Remove a folder of each trial that no study names.

    Args:
        folder: name within the trial's own.

    Returns:
        Ids of the trials of which it was removed.
    """
    reader, trials = StoreReader(results / STORE_FILE), results.resolve() / TRIALS
    removed = set()
    for trial_id in trial_ids:
        try:
            with FileLock(trials / f"{trial_id}.lock").acquire(timeout=0):
                if trial_id in reader.named_trials():
                    continue
                with writing(trials, "see to it that files there can be removed"):
                    shutil.rmtree(trials / trial_id / folder)
                removed.add(trial_id)
        except (Timeout, FileNotFoundError):
            # A run is at it; or its files are gone already.
            continue
    return removed
