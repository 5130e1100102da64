"""What an engine is given to run, and how a trial's process ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.records import Progress, TrialSpec

Execute = Callable[[TrialSpec, Path, Callable[[Progress], None]], None]
"""Runs a trial and leaves its record in the folder. Must be importable by a child process."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """finished: the record lies in the trial's folder. Otherwise kind and message say why not."""

    finished: bool
    kind: str = ""
    message: str = ""
