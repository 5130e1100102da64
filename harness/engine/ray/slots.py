"""Slots of the cluster: workers on its machines, each with what it claims there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engine.child import has_loaded
from harness.engine.outcome import Execute
from harness.engine.ray.claims import room_for
from harness.engine.ray.on_node import Worker
from harness.records import TrialSpec
from harness.spec import ExecutionSpec

# Seconds that a slot keeps its claim without a trial: others may wait for the machine.
IDLE_SECONDS = 30.0
# Seconds after which a slot that has not started is asked for anew though there is room for it. Ray
# was seen to keep one waiting for good that it would have started at once had it come later. A
# machine may be slow to start one: each time it is given twice as long.
STUCK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a trial can run."""

    claims: Mapping[str, float]
    """Resource, by Ray's name -> how much of it the trial claims."""
    node: str
    """Ray's id of the machine that it has to be; empty where any will do."""


@dataclass(slots=True, eq=False)
class Slot:
    """A worker on a machine, and what it claims there."""

    worker: Any
    """Ray's handle of the actor."""
    wanted: Wanted
    """What it was started for."""
    started: Any
    """Ray's reference to the id of its machine, which is there once the worker is."""
    patience: float = STUCK_SECONDS
    """Seconds after which it is asked for anew, where it has not started and there is room."""
    asked_at: float = 0.0
    """When it was asked for, on the clock of ``time.monotonic``."""
    node: str = ""
    """The id of its machine; empty until it has started."""
    last: TrialSpec | None = None
    """The trial that it runs or ran last; None before the first."""
    idle_since: float | None = None
    """When it became idle, on the clock of ``time.monotonic``; None while it starts or runs."""

    def suits(self, wanted: Wanted) -> bool:
        """Whether such a trial can run there."""
        return self.wanted.claims == wanted.claims and wanted.node in ("", self.node)


class Slots:
    """The slots that an engine holds.

    Args:
        ray: the module, connected.
        execute, limits, preload: arguments of each :class:`Worker`.
    """

    def __init__(
        self, ray: Any, execute: Execute, limits: ExecutionSpec, preload: list[str] | None
    ) -> None:
        self._ray = ray
        self._arguments = (execute, limits, preload)
        # One that is lost is told, and its trial started again where that is counted.
        self._actor = ray.remote(max_restarts=0, max_task_retries=0)(Worker)
        self._held: list[Slot] = []

    def take(self, spec: TrialSpec, wanted: Wanted) -> Slot | None:
        """An idle slot for the trial, rather one that has its base loaded; None without any."""
        idle = [slot for slot in self._idle() if slot.suits(wanted)]
        if not idle:
            return None
        slot = max(idle, key=lambda slot: has_loaded(slot.last, spec))
        slot.idle_since, slot.last = None, spec
        return slot

    def give_back(self, slot: Slot) -> None:
        """Its trial has ended, and it is ready for another."""
        slot.idle_since = time.monotonic()

    def provide(self, wanted: Sequence[Wanted]) -> None:
        """See that a slot starts for each trial that waits, in place of those that none can use.

        Args:
            wanted: what trials wait for that no idle slot suits.
        """
        unwanted, lacking = list(self.starting()), []
        for each in wanted:
            slot = next((slot for slot in unwanted if slot.wanted == each), None)
            if slot is None:
                lacking.append(each)
            else:
                unwanted.remove(slot)
        # What they claim may be just what trials wait for.
        for slot in [*(unwanted if lacking else ()), *(self._idle() if wanted else ())]:
            self.end(slot)
        for each in lacking:
            self._held.append(self._start(each))

    def starting(self) -> list[Slot]:
        """Those that have not started yet."""
        return [slot for slot in self._held if not slot.node]

    def ask_anew(self) -> None:
        """Ask again for slots that have not started for long, though the cluster has room."""
        now = time.monotonic()
        for slot in self.starting():
            overdue = now - slot.asked_at >= slot.patience
            if overdue and room_for(self._ray.available_resources(), slot.wanted.claims):
                self.end(slot)
                self._held.append(self._start(slot.wanted, 2 * slot.patience))

    def note_start(self, slot: Slot) -> None:
        """Its worker is there.

        Raises:
            RayError: it is not, and will not be; the slot is held no longer.
        """
        try:
            slot.node = self._ray.get(slot.started)
        except self._ray.exceptions.RayError:
            self.end(slot)
            raise
        self.give_back(slot)

    def end_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Give back to others what slots claim that have been idle for so long."""
        now = time.monotonic()
        for slot in self._idle():
            if slot.idle_since is not None and now - slot.idle_since >= seconds:
                self.end(slot)

    def end(self, slot: Slot) -> None:
        """End its worker, with whatever runs there; nothing, where it was ended before."""
        if slot in self._held:
            self._held.remove(slot)
            self._ray.kill(slot.worker)

    def end_lost(self, slot: Slot) -> None:
        """End a slot that was lost, and those that are idle on its machine, which may be lost."""
        self.end(slot)
        for other in self._idle():
            if slot.node and other.node == slot.node:
                self.end(other)

    def end_all(self) -> None:
        """End every worker."""
        while self._held:
            self.end(self._held[0])

    def _idle(self) -> list[Slot]:
        return [slot for slot in self._held if slot.idle_since is not None]

    def _start(self, wanted: Wanted, patience: float = STUCK_SECONDS) -> Slot:
        strategy: Any = "SPREAD"
        if wanted.node:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            strategy = NodeAffinitySchedulingStrategy(wanted.node, soft=False)
        claims = wanted.claims
        worker = self._actor.options(
            num_cpus=claims["CPU"],
            num_gpus=claims["GPU"],
            memory=claims["memory"] or None,
            scheduling_strategy=strategy,
        ).remote(*self._arguments)
        return Slot(worker, wanted, worker.node.remote(), patience, time.monotonic())
