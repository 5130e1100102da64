"""The disk fills up in the middle of a study: a clear word, exit code 1, and no other outcome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
UNSHARE = shutil.which("unshare")
PRIVATELY = [UNSHARE or "", "--map-root-user", "--mount"]


def attempt(
    folder: Path, how: str, free: int, engine: str
) -> tuple[list[int], list[Any], list[str]]:
    """Exit codes without and with room, the trials then in the store, and what stderr said."""
    folder.mkdir()
    place = PRIVATELY if how == "disk" else []
    done = subprocess.run(
        [*place, sys.executable, "-m", "end_to_end.full_disk", how, str(free), engine, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        cwd=TESTS,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "500"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return found["codes"], found["trials"], done.stderr.splitlines()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The trials of the same study where there is room from the start."""
    folder = tmp_path_factory.mktemp("roomy") / "study"
    codes, trials, _ = attempt(folder, "limit", 10**6, "in-process")
    assert codes == [0, 0]
    assert len(trials) == 6
    return trials


def check(told: list[str], place: Path) -> None:
    """One error, that names a place on the disk and says how to go on; no traceback."""
    assert not any("Traceback" in line for line in told), told
    (error,) = [line for line in told if line.startswith("error: ")]
    assert f"error: {place}" in error
    assert "make room and run again" in error
    assert "the study goes on where it stopped" in error


def mounting_is_allowed() -> bool:
    if UNSHARE is None:
        return False
    tried = subprocess.run(
        [*PRIVATELY, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    return tried.returncode == 0


@pytest.mark.skipif(
    not mounting_is_allowed(),
    reason="NOT TESTED: a full disk, since this machine lets nobody mount a small file system "
    "(unshare --map-root-user --mount)",
)
# Free KiB: none for the item sets, nor for the store, nor for trials, and some way into them.
@pytest.mark.parametrize(
    ("free", "engine"),
    [(0, "in-process"), (60, "in-process"), (3000, "child"), (5000, "in-process")],
)
def test_a_full_disk(tmp_path: Path, expected: list[Any], free: int, engine: str) -> None:
    codes, trials, told = attempt(tmp_path / "study", "disk", free, engine)
    assert codes == [1, 0], told
    assert trials == expected
    check(told, tmp_path / "study" / "disk")


@pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: Windows limits no file's size")
@pytest.mark.parametrize(("free", "engine"), [(1, "in-process"), (60, "child")])
def test_a_limit_on_the_size_of_files(
    tmp_path: Path, expected: list[Any], free: int, engine: str
) -> None:
    codes, trials, told = attempt(tmp_path / "study", "limit", free, engine)
    assert codes == [1, 0], told
    assert trials == expected
    check(told, tmp_path / "study" / "disk")
