"""Run trials as tasks of a Ray cluster: on this machine, or on many.

The driver keeps the study and the store. A task runs its trial in a process of its own, and sends
back the trial's files; what a machine lacks of the inputs it gets once. A trial that asks a paid
server stays on the driver's machine, where the ledger and the key are. Trials that time requests
all run on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.child import ChildEngine
from harness.engine.outcome import Ended, Execute, Outcome
from harness.engine.ray.arrival import Arrival
from harness.engine.ray.connection import connect
from harness.engine.ray.inputs import Input, file_parts, gather, input_paths
from harness.engine.ray.on_node import (
    FilePart,
    Job,
    Lacking,
    Relocate,
    Unfit,
    run_on_node,
)
from harness.errors import InputError
from harness.records import Progress, TrialSpec
from harness.spec import ExecutionSpec
from harness.versions import program_versions
from harness.wording import file_size

# Values that a task may be ahead of the driver: half a gigabyte of a trial's files at most.
AHEAD = 64
SENT_CHUNK = 2**26
POLL_SECONDS = 0.25
# Seconds that a trial may wait for a machine that could hold it; clusters grow on demand.
PATIENCE = 600.0


@dataclass(slots=True)
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
    stream: Any
    """Ray's generator of the task's messages; None until it is started."""


class RayEngine:
    """One Ray task per trial.

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
        self._execute, self._relocate = execute, relocate
        self._limits = limits or ExecutionSpec()
        self._in_place, self._preload, self._address = in_place, preload, address
        self._claims = _claims(self._limits)
        self._ray, self._started_here = connect(address)
        self._task = self._ray.remote(
            num_returns="streaming",
            # A lost trial is told, and started again where that is counted and recorded.
            max_retries=0,
            scheduling_strategy="SPREAD",
            _generator_backpressure_num_objects=AHEAD,
        )(run_on_node)
        self._tasks: list[_Task] = []
        self._parts: dict[str, list[Any]] = {}
        self._homeless_since: float | None = None
        self._timing_on = ""
        self._here = ChildEngine(execute, self._limits, preload)
        self._running_here = 0

    @property
    def slots(self) -> int:
        """How many trials the machines of the cluster can hold at this moment."""
        return max(1, sum(_room(machine, self._claims) for machine in self._machines()))

    def submit(self, spec: TrialSpec, folder: Path) -> None:
        """Hand the trial to the cluster; one that asks a server runs on this machine."""
        if spec.endpoint is not None:
            self._here.submit(spec, folder)
            self._running_here += 1
            return
        if not self._ray.is_initialized():
            # It was closed; Ray would start by itself, with other settings.
            self._ray, self._started_here = connect(self._address)
        self._claims = _claims(self._limits, spec)
        inputs = tuple(gather(path, kind) for path, kind in input_paths(spec).items())
        task = _Task(spec, folder, self._claims, inputs, Arrival(folder), None)
        self._start(task)
        self._tasks.append(task)

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

    def _start(self, task: _Task) -> None:
        job = Job(
            self._execute,
            self._relocate,
            self._limits,
            task.spec,
            task.inputs,
            program_versions(),
            self._in_place,
            self._preload,
        )
        task.stream = self._task.options(
            num_cpus=task.claims["CPU"],
            num_gpus=task.claims["GPU"],
            memory=task.claims["memory"] or None,
            **self._placed(task),
        ).remote(job, dict(self._parts))

    def _placed(self, task: _Task) -> dict[str, Any]:
        """Where the trial has to run: all that time requests on one machine, while it lives."""
        if task.spec.phase != "latency":
            return {}
        able = [
            node["NodeID"]
            for node in self._ray.nodes()
            if node["Alive"] and _room(node["Resources"], task.claims)
        ]
        if self._timing_on not in able:
            self._timing_on = min(able, default="")
        if not self._timing_on:
            return {}
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(self._timing_on, soft=False)
        return {"scheduling_strategy": strategy}

    def _poll_cluster(self, on_progress: Callable[[Progress], None]) -> Ended | None:
        """One message of every task that has one."""
        if not self._tasks:
            return None
        by_stream = {task.stream: task for task in self._tasks}
        streams = list(by_stream)
        ready, _ = self._ray.wait(streams, timeout=POLL_SECONDS, fetch_local=False)
        if not ready:
            self._check_room()
            return None
        ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0, fetch_local=False)
        for stream in ready:
            outcome = self._hear(by_stream[stream], on_progress)
            if outcome is not None:
                return self._finish(by_stream[stream], outcome)
        return None

    def _hear(self, task: _Task, on_progress: Callable[[Progress], None]) -> Outcome | None:
        """Take one message; the outcome if it was the last."""
        try:
            message = self._ray.get(next(task.stream))
        except StopIteration:
            return Outcome(False, "lost", "the trial's machine fell silent before it ended")
        except self._ray.exceptions.RayError as error:
            return self._fallen(error)
        match message:
            case Progress():
                on_progress(message)
            case FilePart():
                task.arrival.add(message.name, message.offset, message.data)
            case Lacking():
                for digest in message.digests:
                    self._send(task, digest)
                self._start(task)
            case Unfit():
                raise InputError(
                    f"machine {message.host} would compute something else, it has "
                    f"{'; '.join(message.differences)}: install there what is installed here, and "
                    "run again; the study goes on where it stopped"
                )
            case Outcome():
                return message
        return None

    def _fallen(self, error: Exception) -> Outcome:
        """What became of a trial whose task did not end by itself."""
        failures = self._ray.exceptions
        if isinstance(error, failures.OutOfMemoryError):
            return Outcome(
                False,
                "killed",
                "its machine's memory ran out and Ray ended the trial: raise execution.memory_gib, "
                "or lower micro_batch_size or max_length",
            )
        message = str(error).strip() or type(error).__name__
        if isinstance(error, failures.RayTaskError | failures.RuntimeEnvSetupError):
            last = message.splitlines()[-1]
            return Outcome(False, "error", f"the trial could not be started there: {last}")
        # What follows the first sentence is about Ray's own logs.
        first = message.splitlines()[0].partition(". ")[0]
        return Outcome(False, "lost", f"its machine or Ray's worker there was lost: {first}")

    def _finish(self, task: _Task, outcome: Outcome) -> Ended:
        self._tasks.remove(task)
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
        while self._tasks:
            task = self._tasks.pop()
            self._ray.cancel(task.stream, force=True)
            task.arrival.discard()
        self._here.close()
        self._running_here = 0

    # ------------------------------------------------------------------ machines

    def _machines(self) -> Iterator[Mapping[str, float]]:
        return (node["Resources"] for node in self._ray.nodes() if node["Alive"])

    def _check_room(self) -> None:
        """Refuse to go on if there has been no machine for too long that could hold a trial."""
        machines = list(self._machines())
        homeless = [t for t in self._tasks if not any(_room(m, t.claims) for m in machines)]
        if not homeless:
            self._homeless_since = None
            return
        now = time.monotonic()
        self._homeless_since = self._homeless_since or now
        if self._started_here or now - self._homeless_since >= PATIENCE:
            raise InputError(
                f"a trial claims {_in_words(homeless[0].claims)}, and none of {len(machines)} "
                f"machines has that ({'; '.join(map(_in_words, machines))}): lower execution.cpus, "
                "gpus or memory_gib, or add a machine, and run again; the study goes on where it "
                "stopped"
            )


def _claims(limits: ExecutionSpec, spec: TrialSpec | None = None) -> dict[str, float]:
    """What a trial claims of a machine, by Ray's names; of a trial that is not known yet, no GPU.

    Raises:
        InputError: Ray cannot give so much of a GPU.
    """
    gpus = limits.gpus
    if gpus is None:
        on_gpu = spec is not None and spec.runtime.device.startswith("cuda")
        gpus = spec.params.get("processes", 1) if spec is not None and on_gpu else 0
    if gpus > 1 and gpus % 1:
        raise InputError(f"execution.gpus: {gpus:g}; write a whole number, or a part of one GPU")
    memory = math.ceil(limits.memory_gib * 2**30) if limits.memory_gib else 0
    return {"CPU": limits.cpus, "GPU": gpus, "memory": memory}


def _room(machine: Mapping[str, float], claims: Mapping[str, float]) -> int:
    """How many trials a machine can hold."""
    # Claims may be fractions: 0.1 goes ten times into 1.
    return min(
        math.floor(machine.get(name, 0.0) / claim + 1e-9) for name, claim in claims.items() if claim
    )


def _in_words(resources: Mapping[str, float]) -> str:
    memory = resources.get("memory", 0.0)
    words = [f"{resources.get('CPU', 0):g} CPU", f"{resources.get('GPU', 0):g} GPU"]
    return ", ".join([*words, file_size(memory)] if memory else words)
