"""Run trials in this very process: the plainest engine, for debugging and for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from harness.engine.outcome import Ended, Execute, Outcome
from harness.records import Progress, TrialSpec


class InProcessEngine:
    """Call ``execute`` directly, one trial after the other."""

    slots = 1

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._waiting: deque[tuple[TrialSpec, Path]] = deque()

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Put the trial in the queue; :meth:`wait` runs it."""
        self._waiting.append((spec, folder))

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Run the next trial here."""
        if not self._waiting:
            raise ValueError("no trial was submitted")
        spec, folder = self._waiting.popleft()
        self._execute(spec, folder, on_progress)
        return Ended(spec, folder, Outcome(finished=True))

    def rest(self) -> None:
        """Hold nothing, as ever."""

    def close(self) -> None:
        """Forget what was submitted and not run."""
        self._waiting.clear()
