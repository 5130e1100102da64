"""Which study a name means. Loads nothing but the store, so that a command says it at once."""

from __future__ import annotations

from pathlib import Path

from harness.records import FoundStudy, StoredStudy
from harness.store import STORE_FILE, StoreReader


def find_named(results: Path, name: str | None) -> FoundStudy:
    """The newest finished study of that name, or whose id begins so; of all without either.

    Raises:
        InputError: none, or several, match.
    """
    return StoreReader(results / STORE_FILE).find(name)


def notice_of(found: FoundStudy) -> str:
    """A sentence on a newer study that could be meant too; empty where there is none."""
    if found.newer is None:
        return ""
    meant, newer = found.study, found.newer
    return (
        f"taken is {meant.experiment.name} ({meant.short_id}), the newest that is finished; "
        f"{newer.experiment.name} ({newer.short_id}), declared later, is not "
        f"({ended_of_planned(newer)} trials): give {newer.short_id} to mean that one"
    )


def ended_of_planned(study: StoredStudy) -> str:
    """How many of its trials ended, as ``12 of 40``; no total where it is not known."""
    if study.planned is None:
        return f"{study.ended:,}"
    # Finalists of a setting that a longer search left behind are stored, and planned no more.
    return f"{min(study.ended, study.planned):,} of {study.planned:,}"


__all__ = ["ended_of_planned", "find_named", "notice_of"]
