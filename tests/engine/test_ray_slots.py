"""Slots of a cluster, on a pretended Ray: what is ended, and what is held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.engine.ray.slots import Slot, Slots, Wanted
from harness.spec import ExecutionSpec
from tests.fake_trial import execute

ONE_CPU = Wanted({"CPU": 1, "GPU": 0, "memory": 0}, "")


class FakeRay:
    """Notes what is killed; a worker's machine is known at once."""

    def __init__(self, **free: float) -> None:
        self.killed: list[Any] = []
        self.asked = 0
        self.free = free
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def remote(self, *arguments: Any, **_: Any) -> Any:
        """The class made an actor, one of it started, or its machine asked for."""
        if arguments:
            self.asked += 1
            return SimpleNamespace(number=self.asked, node=SimpleNamespace(remote=lambda: ""))
        return lambda cls: self

    def options(self, **_: Any) -> Any:
        return self

    def available_resources(self) -> dict[str, float]:
        return self.free

    def get(self, reference: str) -> str:
        return reference

    def kill(self, worker: Any) -> None:
        self.killed.append(worker)


def held(ray: FakeRay, *nodes: str) -> tuple[Slots, list[Slot]]:
    """Slots that have started, one on each of the machines, and are idle."""
    slots = Slots(ray, execute, ExecutionSpec(), [])
    found = [Slot(f"worker {number}", ONE_CPU, node) for number, node in enumerate(nodes)]
    slots._held += found
    for slot in found:
        slots.note_start(slot)
    return slots, found


def test_a_slot_is_ended_once() -> None:
    ray = FakeRay()
    slots, (one, two) = held(ray, "a", "b")
    slots.end(one)
    slots.end(one)
    assert ray.killed == [one.worker]
    slots.end_all()
    assert ray.killed == [one.worker, two.worker]


@pytest.mark.parametrize("node", ["a", "b"])
def test_with_a_lost_slot_go_the_idle_ones_of_its_machine(node: str) -> None:
    ray = FakeRay()
    slots, found = held(ray, "a", "b", "a", "b")
    lost = next(slot for slot in found if slot.node == node)
    lost.idle_since = None
    slots.end_lost(lost)
    assert ray.killed == [slot.worker for slot in found if slot.node == node]


@pytest.mark.parametrize(
    ("free", "anew"), [({"CPU": 1.0}, True), ({"CPU": 0.5}, False), ({}, False)]
)
def test_one_that_does_not_start_though_there_is_room_is_asked_for_anew(
    monkeypatch: pytest.MonkeyPatch, free: dict[str, float], anew: bool
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    ray = FakeRay(**free)
    slots = Slots(ray, execute, ExecutionSpec(), [])
    slots.provide([ONE_CPU])
    (first,) = slots.starting()
    now = 119.0
    slots.ask_anew()
    assert slots.starting() == [first]
    now = 121.0
    slots.ask_anew()
    (second,) = slots.starting()
    assert (second is not first) is anew
    assert ray.killed == [first.worker] * anew
    # A machine may be slow to start one, and is given longer.
    now = 300.0
    slots.ask_anew()
    assert slots.starting() == [second]
    now = 362.0
    slots.ask_anew()
    assert (slots.starting() != [second]) is anew
