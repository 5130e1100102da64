"""What an engine runs: a trial, and its record written where the engine says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.engine import Execute
from harness.models.base_cache import BaseCache
from harness.records import Progress, Status, TrialSpec
from harness.store import write_record
from harness.trial import run_trial


def execute_trial(
    spec: TrialSpec,
    folder: Path,
    on_progress: Callable[[Progress], None],
    bases: BaseCache | None = None,
) -> Status:
    """Run a trial and leave its whole record in ``folder``. What an engine calls.

    Args:
        bases: those that are kept for the trials of one process; None keeps none.
    """
    record = run_trial(spec, folder, on_progress, bases)
    write_record(folder, record)
    return record.status


def executing() -> Execute:
    """:func:`execute_trial` for one engine: each of its processes keeps its bases loaded."""
    return partial(execute_trial, bases=BaseCache())
