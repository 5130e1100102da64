"""The searches of a stored study as Optuna studies, which optuna-dashboard opens."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError, writing
from harness.export.destination import ELSEWHERE
from harness.review.searches import stored_searches
from harness.review.studies import find_record
from harness.store import STORE_FILE, StoreReader


def export_optuna(
    results: Path, name: str | None, path: Path, *, journal: bool = False, force: bool = False
) -> list[str]:
    """Write the experiment's searches to an Optuna storage.

    Args:
        results: folder of the store.
        name: name or start of the id of the study; the newest that is finished if None.
        path: the file to write: an SQLite database, or a journal file with ``journal``.
        force: whether to write over a file that is there.

    Returns:
        The studies' names.

    Raises:
        InputError: no such experiment, nothing searched yet, or ``path`` exists or cannot be
            written.
    """
    from harness.search.rebuilt import write_storage

    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file to write")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; --force writes over it")
    record = find_record(results, name)
    study = StoreReader(results / STORE_FILE).study(record.experiment_id)
    searches = list(stored_searches(study))
    if not searches:
        raise InputError(f"no search trial of {study.experiment.name} has ended yet")
    with writing(path, ELSEWHERE):
        write_storage(searches, path, journal=journal)
    return [search.name for search in searches]


__all__ = ["export_optuna"]
