"""The files that a trial reads, and where they lie on the machine that runs it.

A trial names its inputs by path. On another machine the same path may hold the same files (shared
storage, a common image), other ones, or none. :func:`gather` takes down what an input holds, so
that :class:`NodeInputs` can use what is there already, and fetch what is not, once for a machine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml
from filelock import FileLock

from harness.engine.ray.command_layout import laid_out
from harness.packaged.fetch import cache_folder
from harness.records import (
    CommandCall,
    JsonValue,
    Seat,
    TrialSpec,
    content_hash,
    file_sha256,
    option_of,
    write_whole,
)
from harness.spec.names import is_suite_file
from harness.versions import program_versions

InputKind = Literal["file", "suite", "model", "folder"]
Fetch = Callable[[str], Iterable[bytes]]
"""The parts of a file, by its SHA-256."""

CHUNK = 2**23
# Other forms of weights, which are never loaded and may be as large as those that are.
_UNREAD = {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".ot"}
_REMEMBERED_ABOVE = 2**20


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of an input."""

    name: str
    """Name relative to the input's root, with slashes."""
    sha256: str
    """SHA-256 of its content, hex."""
    bytes: int
    """Its size in bytes."""


@dataclass(frozen=True, slots=True)
class Input:
    """What lies at one path of a trial's specification."""

    kind: InputKind
    """What it is: a file, a suite, a model, or a folder with all that is in it."""
    path: str
    """The path as the specification has it."""
    root: str
    """The folder that ``files`` are relative to."""
    entry: str
    """Place of ``path`` within ``root``."""
    files: tuple[InputFile, ...]
    """Its files, by name."""

    @property
    def identity(self) -> str:
        """Hash of the content, wherever it lies."""
        return content_hash([self.entry, *([f.name, f.sha256] for f in self.files)], 40)


class LackingError(Exception):
    """An input's content is neither here nor at hand. digests: SHA-256 of the files missing."""

    def __init__(self, digests: Iterable[str]) -> None:
        self.digests = tuple(digests)
        super().__init__(f"{len(self.digests)} files are missing")


def input_paths(spec: TrialSpec) -> dict[str, InputKind]:
    """Every path that the trial reads -> what it is.

    Weights that are no folder here are left out: a hub's, or such as are gone.
    """
    files = [spec.train_path, spec.validation_path, spec.replay_path, spec.replies_path,
             spec.training_path]  # fmt: skip
    kinds: dict[str, InputKind] = {}
    for path in [*files, *(request.items_path for request in spec.scores)]:
        if path:
            kinds[path] = "file"
    for request in spec.scores:
        if request.suite_path:
            kinds[request.suite_path] = "suite"
    for path in _embedding_models(spec):
        kinds[path] = "folder"
    for file in spec.command.files if spec.command else ():
        kinds[file.path] = "file"
    judges = [seat.model.path for seat in spec.seats if seat.model is not None]
    for path in (spec.model.path, spec.trained_path, spec.start_path, *judges):
        if path and Path(path).is_dir():
            kinds[path] = "model"
    return kinds


def versions_for(spec: TrialSpec) -> dict[str, str]:
    """Program, library or package that a metric of the user's imports -> the version here."""
    metrics = spec.task.get("metrics", ())
    packages = [metric.get("packages", {}) for metric in metrics if isinstance(metric, dict)]
    return {name: version for one in packages for name, version in one.items()} | program_versions()


def with_paths(spec: TrialSpec, places: Mapping[str, str]) -> TrialSpec:
    """The specification with its paths replaced; those that ``places`` lacks stay."""

    def there(path: str) -> str:
        return places.get(path, path)

    def moved(seat: Seat) -> Seat:
        return replace(seat, model=seat.model and replace(seat.model, path=there(seat.model.path)))

    return replace(
        spec,
        train_path=there(spec.train_path),
        validation_path=there(spec.validation_path),
        replay_path=there(spec.replay_path),
        replies_path=there(spec.replies_path),
        training_path=there(spec.training_path),
        model=replace(spec.model, path=there(spec.model.path)),
        trained_path=there(spec.trained_path),
        start_path=there(spec.start_path),
        command=spec.command and _moved_command(spec.command, there),
        judges=tuple(map(moved, spec.judges)),
        writing=spec.writing
        and replace(
            spec.writing, reflector=spec.writing.reflector and moved(spec.writing.reflector)
        ),
        task=_moved_metrics(spec.task, there),
        scores=tuple(
            replace(score, items_path=there(score.items_path), suite_path=there(score.suite_path))
            for score in spec.scores
        ),
    )


def _moved_command(call: CommandCall, there: Callable[[str], str]) -> CommandCall:
    return replace(
        call,
        words=tuple(option + there(named) for option, named in map(option_of, call.words)),
        files=tuple(replace(file, path=there(file.path)) for file in call.files),
    )


def _embedding_models(spec: TrialSpec) -> list[str]:
    """Folders of embedding models that metrics of the user's ask."""
    metrics = [one for one in spec.task.get("metrics", ()) if isinstance(one, dict)]
    return [one["similarity"] for one in metrics if one.get("similarity")]


def _moved_metrics(task: dict[str, JsonValue], there: Callable[[str], str]) -> dict[str, JsonValue]:
    """The task with the folders of its embedding models where they lie on this machine."""
    metrics = [
        {**one, "similarity": there(one["similarity"])}
        if isinstance(one, dict) and one.get("similarity")
        else one
        for one in task.get("metrics", ())
    ]
    return {**task, "metrics": metrics} if "metrics" in task else task


def gather(path: str, kind: InputKind) -> Input:
    """Take down what lies at ``path``.

    A suite is its YAML file, all that its ``include`` folder and its mirrors hold, and the suite
    that it extends; a model, the files of its folder that can be loaded.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    place = Path(path)
    if kind == "model":
        root, files = place, [path for path in place.iterdir() if path.suffix not in _UNREAD]
    elif kind == "folder":
        root, files = place, [path for path in place.rglob("*") if path.suffix not in _UNREAD]
    elif kind == "suite":
        root, files = _suite(place)
    else:
        root, files = place.parent, [place]
    names = sorted((file.relative_to(root).as_posix(), file) for file in files if file.is_file())
    return Input(
        kind,
        path,
        str(root),
        place.relative_to(root).as_posix(),
        tuple(
            InputFile(name, remembered_sha256(file), file.stat().st_size) for name, file in names
        ),
    )


def _suite(path: Path) -> tuple[Path, list[Path]]:
    """The folder that holds all of a suite, and its files."""
    places = _suite_places(path)
    inside = [
        path
        for place in places
        for path in ([place] if place.is_file() else place.rglob("*"))
        if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(place).parts)
    ]
    around = [place if place.is_dir() else place.parent for place in places]
    return Path(os.path.commonpath(around)), inside


def _suite_places(path: Path) -> list[Path]:
    """A suite's file, and files and folders that it names."""
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    mirrors = (declared.get("mirrors") or {}).values()
    names = [mirror if isinstance(mirror, str) else mirror["path"] for mirror in mirrors]
    named = [declared["include"], *names] if declared.get("include") else names
    places = [path, *(_beside(path, name) for name in named)]
    extended = str(declared.get("extends") or "")
    # One that is extended by its name is part of the package, there as here.
    if is_suite_file(extended):
        places += _suite_places(_beside(path, extended))
    return places


def _beside(path: Path, name: str) -> Path:
    return Path(os.path.normpath(path.parent / Path(name).expanduser()))


def remembered_sha256(path: Path) -> str:
    """SHA-256 of a file.

    That of a large one is remembered in the cache under its path, size and time of change: weights
    are read once for it, not for every trial.
    """
    status = path.stat()
    if status.st_size <= _REMEMBERED_ABOVE:
        return file_sha256(path)
    seal = content_hash([str(path.absolute()), status.st_size, status.st_mtime_ns], 40)
    memory = cache_folder() / "cluster" / "digests" / seal
    if memory.exists():
        return memory.read_text(encoding="utf-8")
    digest = file_sha256(path)
    write_whole(memory, digest)
    return digest


def file_parts(path: Path, chunk: int = CHUNK) -> Iterator[bytes]:
    """The file in parts of ``chunk`` bytes; an empty file is one empty part."""
    with path.open("rb") as file:
        yield file.read(chunk)
        while part := file.read(chunk):
            yield part


@dataclass(frozen=True, slots=True)
class NodeInputs:
    """Finds inputs on this machine."""

    at_hand: frozenset[str]
    """SHA-256 of the files that ``fetch`` can give."""
    fetch: Fetch
    """Gives the parts of a file by its SHA-256."""
    in_place: bool = True
    """Files at the driver's own paths are used where their content is the same."""

    def localise(self, spec: TrialSpec, inputs: Iterable[Input]) -> TrialSpec:
        """The specification with paths of this machine.

        Raises:
            LackingError: content is neither here nor at hand; nothing was fetched.
            OSError: the cache cannot be written, or what arrived is not what was sent.
        """
        place_of = {input_.path: self._here(input_) for input_ in inputs}
        away = [input_ for input_ in inputs if place_of[input_.path] is None]
        lacking = {file.sha256 for input_ in away for file in input_.files} - self.at_hand
        if lacking:
            raise LackingError(sorted(lacking))
        places = {path: place for path, place in place_of.items() if place is not None}
        places |= {input_.path: self._bring(input_) for input_ in away}
        return with_paths(spec, places | (laid_out(spec.command, places) if spec.command else {}))

    def _here(self, input_: Input) -> str | None:
        places = [Path(input_.path)] if self.in_place else []
        for place in [*places, _cached(input_) / input_.entry]:
            if _holds(place, input_):
                return str(place)
        return None

    def _bring(self, input_: Input) -> str:
        """Fetch into the cache, whole or not at all; one process of a machine does it for all."""
        folder = _cached(input_)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not _holds(folder / input_.entry, input_):
                partial = folder.with_name(f"{folder.name}.partial")
                for leftover in (partial, folder):
                    shutil.rmtree(leftover, ignore_errors=True)
                for file in input_.files:
                    self._fetch_file(file, partial / file.name)
                partial.rename(folder)
        return str(folder / input_.entry)

    def _fetch_file(self, input_file: InputFile, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with place.open("wb") as file:
            for part in self.fetch(input_file.sha256):
                digest.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != input_file.sha256:
            raise OSError(f"{input_file.name} arrived altered: it changed while the study ran")


def _cached(input_: Input) -> Path:
    return cache_folder() / "cluster" / "inputs" / input_.identity


def _holds(place: Path, input_: Input) -> bool:
    """Whether exactly the wanted files lie there."""
    try:
        there = gather(str(place), input_.kind)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, yaml.YAMLError):
        # No such file, no text, or no suite: whatever lies there is something else.
        return False
    return (there.entry, there.files) == (input_.entry, input_.files)
