"""Where a trial runs: in this process or in a child of its own. One protocol, named engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from harness.engine.child import ChildEngine
from harness.engine.in_process import InProcessEngine
from harness.engine.outcome import Execute, Outcome
from harness.records import Progress, TrialSpec

EngineName = Literal["child", "in-process"]
ENGINES: tuple[EngineName, ...] = ("child", "in-process")


class Engine(Protocol):
    """Runs one trial at a time."""

    def run(
        self, spec: TrialSpec, folder: Path, on_progress: Callable[[Progress], None]
    ) -> Outcome:
        """Run the trial; say whether its record is in ``folder`` or why the process died."""
        ...

    def close(self) -> None:
        """Release what the engine holds."""
        ...


def open_engine(name: EngineName, execute: Execute) -> Engine:
    """The engine called ``name``."""
    return ChildEngine(execute) if name == "child" else InProcessEngine(execute)


__all__ = ["ENGINES", "Engine", "EngineName", "Execute", "Outcome", "open_engine"]
