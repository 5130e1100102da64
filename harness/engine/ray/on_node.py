"""What a machine of the cluster does for its trials: find inputs, run them, send their files.

All that it has to say of one goes to the driver as one stream of values, in order: progress while
the trial runs, then the files of its folder, then how it ended.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from harness.engine.child import PRELOADED, ChildEngine
from harness.engine.outcome import Execute, Outcome, OutcomeKind
from harness.engine.ray.inputs import Input, LackingError, NodeInputs, file_parts
from harness.errors import is_no_room
from harness.records import Progress, TrialSpec
from harness.spec import ExecutionSpec
from harness.versions import program_versions, version_of_import

Relocate = Callable[[Path, TrialSpec], None]
"""Puts the record in a folder under another specification. Must be importable by the nodes."""

POLL_SECONDS = 0.5
_SCRATCH = "harness-trial"
# The trial's process is forked with these loaded. Ray's own start-up file is its main module.
_RAY = ["ray", "ray._private.node", "ray.actor"]


@dataclass(frozen=True, slots=True)
class Job:
    """A trial, and how it is to be run."""

    relocate: Relocate
    """Puts the record under the driver's specification."""
    spec: TrialSpec
    """The trial, with paths of the driver."""
    inputs: tuple[Input, ...]
    """What lies at these paths."""
    versions: Mapping[str, str]
    """Program or library -> version that the driver has."""
    in_place: bool
    """Files at the driver's own paths may be used where their content is the same."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """The machine needs files that it was given no reference to: the driver is to send them."""

    digests: tuple[str, ...]
    """SHA-256 of the files."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The machine would compute something else."""

    host: str
    """Name of the machine."""
    differences: tuple[str, ...]
    """What differs in its programs, a phrase each."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a file of the trial's folder."""

    name: str
    """Name of the file relative to the folder, with slashes."""
    offset: int
    """Place of the first byte in the file."""
    data: bytes
    """The bytes."""


Message = Progress | FilePart | Lacking | Unfit | Outcome


class Worker:
    """Runs one trial after the other here, in a process that keeps what it loaded for them.

    Args:
        execute: runs a trial.
        limits: how long one may run or be silent.
        preload: modules that the fork server imports once; None for those of real trials.
    """

    def __init__(self, execute: Execute, limits: ExecutionSpec, preload: list[str] | None) -> None:
        modules = PRELOADED if preload is None else preload
        self._engine = ChildEngine(execute, limits, [*modules, *_RAY])

    def node(self) -> str:
        """Ray's id of the machine."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def run(self, job: Job, parts: Mapping[str, Sequence[Any]]) -> Iterator[Message]:
        """See :func:`run_on_node`."""
        yield from run_on_node(self._engine, job, parts)


def run_on_node(
    engine: ChildEngine, job: Job, parts: Mapping[str, Sequence[Any]]
) -> Iterator[Message]:
    """Run one trial here, in a process of the engine's; the last value says how it ended.

    Args:
        parts: SHA-256 of a file -> references to its parts in Ray's object store.
    """
    import ray

    def fetch(digest: str) -> Iterable[bytes]:
        return (ray.get(part) for part in parts[digest])

    here = {name: version_of_import(name) for name in job.versions} | program_versions()
    differences = tuple(
        f"{name} {here[name]} in place of {version}"
        for name, version in job.versions.items()
        if here[name] != version
    )
    if differences:
        yield Unfit(platform.node(), differences)
        return
    inputs = NodeInputs(frozenset(parts), fetch, job.in_place)
    try:
        spec = inputs.localise(job.spec, job.inputs)
        with _scratch_folder() as scratch:
            place = scratch / "trials" / spec.trial_id
            yield from _run(engine, job, _on_its_device(spec), place)
    except LackingError as lacking:
        yield Lacking(lacking.digests)
    except OSError as error:
        # No fault of the trial.
        kind: OutcomeKind = "no_room" if is_no_room(error) else "lost"
        yield Outcome(False, kind, f"machine {platform.node()} could not hold the trial: {error}")


def _run(engine: ChildEngine, job: Job, spec: TrialSpec, folder: Path) -> Iterator[Message]:
    heard, ended = _Heard(), None
    try:
        engine.submit(spec, folder)
        while ended is None:
            ended = engine.poll(heard, POLL_SECONDS)
            # Ray sends values into its generators, which a list's iterator cannot take.
            for progress in heard.taken():  # noqa: UP028
                yield progress
    finally:
        if ended is None:
            engine.close()
    if ended.outcome.finished:
        if spec != job.spec:
            job.relocate(folder, job.spec)
        yield from _files(folder)
    elif ended.outcome.kind == "no_room":
        message = f"on machine {platform.node()}: {ended.outcome.message}"
        yield replace(ended.outcome, message=message)
        return
    yield ended.outcome


def _on_its_device(spec: TrialSpec) -> TrialSpec:
    # Ray shows a trial only the GPUs that it claimed, numbered from 0.
    device = spec.runtime.device.partition(":")[0]
    return replace(spec, runtime=replace(spec.runtime, device=device))


def _files(folder: Path) -> Iterator[FilePart]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        offset = 0
        for data in file_parts(path):
            yield FilePart(path.relative_to(folder).as_posix(), offset, data)
            offset += len(data)


class _Heard:
    """Progress of one trial, thinned out: the first of each stage, and the latest."""

    def __init__(self) -> None:
        self._stages: set[tuple[str, str]] = set()
        self._pending: list[Progress] = []
        self._replaceable = False

    def __call__(self, progress: Progress) -> None:
        stage = (progress.stage, progress.task)
        new = stage not in self._stages
        if self._replaceable and not new:
            self._pending.pop()
        self._stages.add(stage)
        self._pending.append(progress)
        self._replaceable = not new

    def taken(self) -> list[Progress]:
        """What is to be passed on now."""
        pending, self._pending, self._replaceable = self._pending, [], False
        return pending


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder for one trial; those of processes that were killed here are removed."""
    own = f"{_SCRATCH}-{platform.node()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{own}*"):
        process = left.name.removeprefix(own).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{own}{os.getpid()}-", ignore_cleanup_errors=True
    ) as path:
        yield Path(path)
