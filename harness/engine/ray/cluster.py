"""Run trials on a Ray cluster: on this machine, or on many.

The driver keeps the study and the store. A slot, an actor of Ray's, runs trials one after the other
in a process that keeps their base loaded, and sends back each one's files; what a machine lacks of
the inputs it gets once. A trial that asks a paid
server stays on the driver's machine, where the ledger and the key are. Trials that time requests
all run on one machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.child import ChildEngine
from harness.engine.outcome import Ended, Execute, Outcome
from harness.engine.ray.arrival import Arrival
from harness.engine.ray.claims import claims_of, in_words, room_for
from harness.engine.ray.connection import connect
from harness.engine.ray.inputs import Input, file_parts, gather, input_paths, versions_for
from harness.engine.ray.on_node import FilePart, Job, Lacking, Relocate, Unfit
from harness.engine.ray.slots import Slot, Slots, Wanted
from harness.errors import InputError
from harness.records import Progress, TrialSpec
from harness.spec import ExecutionSpec

# A line of Ray's message on a lost actor that says which it was.
_OF_ACTOR = re.compile(r"(class_name|actor_id|name|namespace|pid|ip|job_id|repr)\b.*:")
# Values that a slot may be ahead of the driver: half a gigabyte of a trial's files at most.
AHEAD = 64
SENT_CHUNK = 2**26
POLL_SECONDS = 0.25
# Slots of a trial that may be lost before it says a word: for a while Ray starts more of them on a
# machine that is gone.
FALSE_STARTS = 3
# Seconds that a trial may wait for a machine that could hold it; clusters grow on demand.
PATIENCE = 600.0


@dataclass(slots=True, eq=False)
class _Task:
    """A trial that is somewhere in the cluster."""

    spec: TrialSpec
    """The trial."""
    folder: Path
    """Where its record is to lie."""
    claims: Mapping[str, float]
    """Resource -> how much of it the trial claims."""
    inputs: tuple[Input, ...]
    """What the trial reads."""
    arrival: Arrival
    """The files of its folder, as far as they came."""
    slot: Slot | None = None
    """Where it runs; None while it waits."""
    stream: Any = None
    """Ray's generator of its messages; None while it waits."""
    heard: bool = False
    """A message of it came."""
    false_starts: int = 0
    """Number of slots that were lost before a message of it came."""


class RayEngine:
    """One actor of Ray's for every trial that runs at once.

    Args:
        execute, relocate: run a trial, and move its record; importable by name on every machine.
        limits: what a trial claims, and how long it may run or be silent.
        address: address of a running cluster, ``auto`` for the one of this machine; None takes
            ``RAY_ADDRESS``, or starts Ray here for the time of the run.
        in_place: whether a machine may use files at the driver's paths if they are the same.
        preload: modules that the machines import once; None takes those of a real trial.

    Raises:
        InputError: Ray is not installed, no cluster answers, or the claims are none.
    """

    def __init__(
        self,
        execute: Execute,
        relocate: Relocate,
        limits: ExecutionSpec | None = None,
        address: str | None = None,
        *,
        in_place: bool = True,
        preload: list[str] | None = None,
    ) -> None:
        self._relocate = relocate
        self._limits = limits or ExecutionSpec()
        self._in_place, self._address = in_place, address
        self._claims = claims_of(self._limits)
        self._ray, self._started_here = connect(address)
        self._slots = Slots(self._ray, execute, self._limits, preload)
        self._tasks: list[_Task] = []
        self._parts: dict[str, list[Any]] = {}
        self._homeless_since: float | None = None
        self._timing_on = ""
        self._here = ChildEngine(execute, self._limits, preload)
        self._running_here = 0

    @property
    def slots(self) -> int:
        """How many trials the machines of the cluster can hold at this moment."""
        return max(1, sum(room_for(machine, self._claims) for machine in self._machines()))

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Hand the trial to the cluster; one that asks a server runs on this machine.

        What a server may charge, for replies or for a judge's marks, is counted in a file here.
        """
        if spec.endpoint is not None or any(seat.endpoint for seat in spec.seats):
            self._here.submit(spec, folder)
            self._running_here += 1
            return
        if not self._ray.is_initialized():
            # It was closed; Ray would start by itself, with other settings.
            self._ray, self._started_here = connect(self._address)
        self._claims = claims_of(self._limits, spec)
        inputs = tuple(gather(path, kind) for path, kind in input_paths(spec).items())
        self._tasks.append(_Task(spec, folder, self._claims, inputs, Arrival(folder)))
        self._fill()

    def wait(self, on_progress: Callable[[Progress], None]) -> Ended:
        """Pass progress on until a trial ends, here or elsewhere.

        Raises:
            ValueError: no trial was submitted that has not been waited for.
            InputError: a machine has other versions installed, or none can hold the trial.
            OSError: the trial's files cannot be written.
        """
        if not (self._tasks or self._running_here):
            raise ValueError("no trial was submitted")
        try:
            while True:
                ended = self._poll_here(on_progress) or self._poll_cluster(on_progress)
                if ended is not None:
                    return ended
        except BaseException:
            self._abandon()
            raise

    def rest(self) -> None:
        """Give back what idle slots claim: another run may wait for it, and this one for that."""
        if not self._tasks:
            self._slots.end_all()

    def close(self) -> None:
        """End all trials, and Ray if it was started for this engine."""
        self._abandon()
        if self._started_here:
            self._parts.clear()
            self._ray.shutdown()
            self._started_here = False

    # ------------------------------------------------------------------ on this machine

    def _poll_here(self, on_progress: Callable[[Progress], None]) -> Ended | None:
        if not self._running_here:
            return None
        ended = self._here.poll(on_progress, 0.0 if self._tasks else POLL_SECONDS)
        self._running_here -= ended is not None
        return ended

    # ------------------------------------------------------------------ in the cluster

    def _fill(self) -> None:
        """Hand trials that wait to idle slots, and start slots for the others."""
        lacking: list[Wanted] = []
        for task in self._waiting():
            wanted = self._wanted(task)
            slot = self._slots.take(task.spec, wanted)
            if slot is None:
                lacking.append(wanted)
            else:
                self._start(task, slot)
        self._slots.provide(lacking)

    def _waiting(self) -> list[_Task]:
        return [task for task in self._tasks if task.slot is None]

    def _start(self, task: _Task, slot: Slot) -> None:
        job = Job(self._relocate, task.spec, task.inputs, versions_for(task.spec), self._in_place)
        task.slot = slot
        task.stream = slot.worker.run.options(
            num_returns="streaming", _generator_backpressure_num_objects=AHEAD
        ).remote(job, dict(self._parts))

    def _wanted(self, task: _Task) -> Wanted:
        """Where the trial can run: all that time requests on one machine, while it lives."""
        if task.spec.phase != "latency":
            return Wanted(task.claims, "")
        able = [
            node["NodeID"]
            for node in self._ray.nodes()
            if node["Alive"] and room_for(node["Resources"], task.claims)
        ]
        if self._timing_on not in able:
            self._timing_on = min(able, default="")
        return Wanted(task.claims, self._timing_on)

    def _poll_cluster(self, on_progress: Callable[[Progress], None]) -> Ended | None:
        """One message of every trial that has one."""
        self._slots.end_idle()
        if not self._tasks:
            return None
        running = {task.stream: (task, task.slot) for task in self._tasks if task.slot is not None}
        starting = {slot.started: slot for slot in self._slots.starting()}
        watched = [*running, *starting]
        ready, _ = self._ray.wait(watched, timeout=POLL_SECONDS, fetch_local=False)
        if not ready:
            self._check_room()
            self._slots.ask_anew()
            return None
        ready, _ = self._ray.wait(watched, num_returns=len(watched), timeout=0, fetch_local=False)
        for one in ready:
            ended = (
                self._hear(*running[one], on_progress)
                if one in running
                else self._greet(starting[one])
            )
            if ended is not None:
                return ended
        return None

    def _greet(self, slot: Slot) -> Ended | None:
        """Hand a slot that has started its trial; the end of one that waited for it in vain."""
        if slot not in self._slots.starting():
            # It was ended since it was looked for.
            return None
        wanted, failure = slot.wanted, None
        try:
            self._slots.note_start(slot)
        except self._ray.exceptions.RayError as error:
            failure = self._fallen(error)
        waiting = [task for task in self._waiting() if self._wanted(task) == wanted]
        if failure is not None and waiting:
            return self._lost(waiting[0], failure)
        self._fill()
        return None

    def _lost(self, task: _Task, outcome: Outcome) -> Ended | None:
        """The end of a trial whose slot is gone; None where it never ran there and waits again."""
        task.slot = task.stream = None
        if task.heard or outcome.kind != "lost" or task.false_starts >= FALSE_STARTS:
            return self._finish(task, outcome)
        task.false_starts += 1
        self._fill()
        return None

    def _hear(
        self, task: _Task, slot: Slot, on_progress: Callable[[Progress], None]
    ) -> Ended | None:
        """Take one message of a trial; its end if that was the last."""
        try:
            message = self._ray.get(next(task.stream))
        except StopIteration:
            self._slots.end_lost(slot)
            silent = Outcome(False, "lost", "the trial's machine fell silent before it ended")
            return self._lost(task, silent)
        except self._ray.exceptions.RayError as error:
            self._slots.end_lost(slot)
            return self._lost(task, self._fallen(error))
        task.heard = True
        match message:
            case Progress():
                on_progress(message)
            case FilePart():
                task.arrival.add(message.name, message.offset, message.data)
            case Lacking():
                for digest in message.digests:
                    self._send(task, digest)
                self._start(task, slot)
            case Unfit():
                raise InputError(
                    f"machine {message.host} would compute something else, it has "
                    f"{'; '.join(message.differences)}: install there what is installed here, and "
                    "run again; the study goes on where it stopped"
                )
            case Outcome():
                return self._finish(task, message)
        return None

    def _fallen(self, error: Exception) -> Outcome:
        """What became of a trial whose slot was lost, or could not be started."""
        failures = self._ray.exceptions
        if isinstance(error, failures.OutOfMemoryError):
            return Outcome(
                False,
                "killed",
                "its machine's memory ran out and Ray ended the trial: raise execution.memory_gib, "
                "or lower micro_batch_size or max_length",
            )
        message = str(error).strip() or type(error).__name__
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        of_actor = isinstance(error, failures.ActorDiedError)
        raised = isinstance(error, failures.RayTaskError | failures.RuntimeEnvSetupError)
        if raised or (of_actor and "creation task" in message):
            return Outcome(False, "error", f"the trial could not be started there: {lines[-1]}")
        if of_actor:
            # A sentence that is always the same and what the actor was come before the reason.
            lines = [line for line in lines[1:] if not _OF_ACTOR.match(line)] or lines
        # What follows the first sentence is about Ray's own logs.
        first = lines[0].partition(". ")[0]
        return Outcome(False, "lost", f"its machine or Ray's worker there was lost: {first}")

    def _finish(self, task: _Task, outcome: Outcome) -> Ended:
        self._tasks.remove(task)
        if task.slot is not None:
            self._slots.give_back(task.slot)
        self._fill()
        if outcome.finished:
            task.arrival.settle()
        else:
            task.arrival.discard()
        return Ended(task.spec, task.folder, outcome)

    def _send(self, task: _Task, digest: str) -> None:
        """Put a file into the object store, once: from there each machine takes it."""
        if digest in self._parts:
            return
        places = (Path(i.root) / f.name for i in task.inputs for f in i.files if f.sha256 == digest)
        self._parts[digest] = [self._ray.put(part) for part in file_parts(next(places), SENT_CHUNK)]

    def _abandon(self) -> None:
        """End every trial; nothing of them stays."""
        self._slots.end_all()
        while self._tasks:
            self._tasks.pop().arrival.discard()
        self._here.close()
        self._running_here = 0

    # ------------------------------------------------------------------ machines

    def _machines(self) -> Iterator[Mapping[str, float]]:
        return (node["Resources"] for node in self._ray.nodes() if node["Alive"])

    def _check_room(self) -> None:
        """Refuse to go on if there has been no machine for too long that could hold a trial."""
        machines = list(self._machines())
        homeless = [t for t in self._waiting() if not any(room_for(m, t.claims) for m in machines)]
        if not homeless:
            self._homeless_since = None
            return
        now = time.monotonic()
        self._homeless_since = self._homeless_since or now
        if self._started_here or now - self._homeless_since >= PATIENCE:
            raise InputError(
                f"a trial claims {in_words(homeless[0].claims)}, and none of {len(machines)} "
                f"machines has that ({'; '.join(map(in_words, machines))}): lower execution.cpus, "
                "gpus or memory_gib, or add a machine, and run again; the study goes on where it "
                "stopped"
            )
