"""What is free: of the machine, or of the container that the process is in."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

import numpy as np
import psutil
import pytest

from harness.models import memory

MIB = 2**20


def container(folder: Path, limit: str, used: int, of_files: int) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used * MIB}\n")
    (folder / "memory.stat").write_text(f"anon {(used - of_files) * MIB}\nfile {of_files * MIB}\n")


def test_a_containers_limit_counts_without_pages_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    container(tmp_path, str(100 * MIB), used=70, of_files=30)
    assert memory.available_mib("cpu") == 60
    container(tmp_path, str(30 * MIB), used=70, of_files=30)
    assert memory.available_mib("cpu") == 0


@pytest.mark.parametrize("limit", ["max", str(2**60)])
def test_without_a_lower_limit_it_is_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    container(tmp_path, limit, used=70, of_files=30)
    found = memory.available_mib("cpu")
    assert found == pytest.approx(psutil.virtual_memory().available / MIB, rel=0.2)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "none")
    assert memory.available_mib("cpu") == pytest.approx(found, rel=0.2)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_what_is_freed_stays_for_the_next_use_and_goes_back_afterwards() -> None:
    size = 48 * MIB

    def pages_taken() -> int:
        """Pages that the system fills for a block like one that was just freed."""
        np.ones(size, dtype=np.uint8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.ones(size, dtype=np.uint8)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    usual = pages_taken()
    with memory.keeping_freed_memory(size):
        assert pages_taken() < usual / 10
    assert pages_taken() > usual / 2
    with memory.keeping_freed_memory(MIB):
        assert pages_taken() > usual / 2
