"""The disk fills up in the middle of a study: a clear word, exit code 1, and no other outcome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNSHARE = shutil.which("unshare")
PRIVATELY = [UNSHARE or "", "--map-root-user", "--mount"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A study that ran out of room, and was run again with room."""

    codes: list[int]
    """Exit codes of both runs."""
    trials: list[Any]
    """What the store then has."""
    told: list[str]
    """Lines of standard error."""
    disk: Path
    """Where the results lie."""


def attempts(folder: Path, cases: Sequence[str], *, privately: bool) -> dict[str, Attempt]:
    done = subprocess.run(
        [*(PRIVATELY if privately else []), sys.executable, "-m", "tests.end_to_end.full_disk",
         str(folder), *cases],
        check=False, capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "500"}, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = {}
    for case in cases:
        told = (folder / case / "errors.txt").read_text(encoding="utf-8")
        assert (folder / case / "said.json").exists(), told
        said = json.loads((folder / case / "said.json").read_text(encoding="utf-8"))
        made[case] = Attempt(**said, told=told.splitlines(), disk=folder / case / "disk")
    return made


# Free KiB: none for the item sets, nor for the store, nor for trials, and some way into them.
DISKS = ("disk-0-in-process", "disk-60-in-process", "disk-3000-child", "disk-5000-in-process")
LIMITS = ("limit-1-in-process", "limit-60-child")
# The same study where there is room from the start.
ROOMY = f"limit-{10**6}-in-process"


@cache
def mounting_is_allowed() -> bool:
    if UNSHARE is None:
        return False
    tried = subprocess.run(
        [*PRIVATELY, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    return tried.returncode == 0


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Attempt]:
    """All cases, of one process that loads what they need."""
    folder, mounted = tmp_path_factory.mktemp("cramped"), mounting_is_allowed()
    cases = (ROOMY, *LIMITS, *(DISKS if mounted else ()))
    return attempts(folder, cases, privately=mounted)


@pytest.fixture(scope="module")
def expected(tried: dict[str, Attempt]) -> list[Any]:
    """The trials of the study that had room."""
    roomy = tried[ROOMY]
    assert roomy.codes == [0, 0]
    assert len(roomy.trials) == 6
    return roomy.trials


def check(attempt: Attempt, expected: list[Any]) -> None:
    """One error, that names a place on the disk and says how to go on; no traceback."""
    assert attempt.codes == [1, 0], attempt.told
    assert attempt.trials == expected
    assert not any("Traceback" in line for line in attempt.told), attempt.told
    (error,) = [line for line in attempt.told if line.startswith("error: ")]
    assert f"error: {attempt.disk}" in error
    assert "make room and run again" in error
    assert "the study goes on where it stopped" in error


@pytest.mark.skipif(
    not mounting_is_allowed(),
    reason="NOT TESTED: a full disk, since this machine lets nobody mount a small file system "
    "(unshare --map-root-user --mount)",
)
@pytest.mark.parametrize("case", DISKS)
def test_a_full_disk(tried: dict[str, Attempt], expected: list[Any], case: str) -> None:
    check(tried[case], expected)


@pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: Windows limits no file's size")
@pytest.mark.parametrize("case", LIMITS)
def test_a_limit_on_the_size_of_files(
    tried: dict[str, Attempt], expected: list[Any], case: str
) -> None:
    check(tried[case], expected)
