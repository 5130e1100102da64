"""Where a trial runs: in this process or in a child of its own. One protocol, named engines."""

from __future__ import annotations

from typing import Literal

from harness.engine.child import ChildEngine
from harness.engine.in_process import InProcessEngine
from harness.engine.outcome import WORTH_A_RETRY, Ended, Engine, Execute, Outcome
from harness.spec import ExecutionSpec

EngineName = Literal["child", "in-process"]
ENGINES: tuple[EngineName, ...] = ("child", "in-process")


def open_engine(name: EngineName, execute: Execute, limits: ExecutionSpec) -> Engine:
    """The engine called ``name``, under the experiment's limits."""
    match name:
        case "child":
            return ChildEngine(execute, limits)
        case "in-process":
            return InProcessEngine(execute)


__all__ = [
    "ENGINES",
    "WORTH_A_RETRY",
    "Ended",
    "Engine",
    "EngineName",
    "Execute",
    "Outcome",
    "open_engine",
]
