"""Run trials in the coordinator's own process: simplest to debug, no protection from a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.engine.outcome import Execute, Outcome
from harness.records import Progress, TrialSpec


class InProcessEngine:
    """Call ``execute`` directly."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def run(
        self, spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]
    ) -> Outcome:
        """Run the trial here."""
        self._execute(spec, folder, on_progress)
        return Outcome(finished=True)

    def close(self) -> None:
        """Nothing is held."""
