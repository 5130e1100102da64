"""Where a trial runs: a child process, this process, or a Ray cluster. One protocol for all."""

from __future__ import annotations

from typing import Literal

from harness.engine.child import ChildEngine, start_server
from harness.engine.in_process import InProcessEngine
from harness.engine.outcome import WORTH_A_RETRY, Ended, Engine, Execute, Outcome
from harness.engine.ray.cluster import RayEngine
from harness.engine.ray.on_node import Relocate
from harness.spec import ExecutionSpec

EngineName = Literal["child", "in-process", "ray"]
ENGINES: tuple[EngineName, ...] = ("child", "in-process", "ray")


def open_engine(
    name: EngineName,
    execute: Execute,
    limits: ExecutionSpec,
    *,
    relocate: Relocate | None = None,
    ray_address: str | None = None,
) -> Engine:
    """The engine called ``name``, under the experiment's limits.

    Args:
        relocate, ray_address: arguments of :class:`RayEngine`, which alone needs them.

    Raises:
        InputError: Ray is asked for, and not installed or not to be reached.
    """
    match name:
        case "child":
            return ChildEngine(execute, limits)
        case "in-process":
            return InProcessEngine(execute)
        case "ray":
            if relocate is None:
                raise ValueError("engine ray needs relocate")
            return RayEngine(execute, relocate, limits, ray_address)


__all__ = [
    "ENGINES",
    "WORTH_A_RETRY",
    "Ended",
    "Engine",
    "EngineName",
    "Execute",
    "Outcome",
    "RayEngine",
    "Relocate",
    "open_engine",
    "start_server",
]
