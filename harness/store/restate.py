"""A record under another specification than the one it was made with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.records import TrialSpec
from harness.store.trial_folder import read_record, write_record


def restate_record(folder: Path, spec: TrialSpec) -> None:
    """Put the record in ``folder`` under ``spec``.

    A trial on another machine is handed that machine's paths; its record is to say what was
    planned.

    Raises:
        StoreError: there is no whole record.
        OSError: the disk refuses; the record is as it was.
    """
    write_record(folder, replace(read_record(folder), spec=spec))
