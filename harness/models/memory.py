"""Memory of this process and its device: its peak, what is free, and how to give some back."""

from __future__ import annotations

import ctypes
import gc
import json
import math
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psutil

_MIB = 2**20
_CGROUP = Path("/sys/fs/cgroup")
# Larger blocks glibc always takes from the system, and gives back once they are freed.
_MAPPED = 32 * _MIB
# Numbers of glibc's settings (malloc.h), and how many blocks it may take so by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MAPS = 65536


@cache
def parameters_of(folder: str) -> int:
    """Number of weights in a model's safetensors files, read from their headers.

    Packed weights count as stored. 0 where there is no such file.
    """
    total = 0
    for path in Path(folder).glob("*.safetensors"):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            try:
                # What is no weight file may begin with any number.
                header = json.loads(file.read(min(size, path.stat().st_size)))
            except ValueError:
                # Not a weight file after all; loading it will say so.
                continue
        total += sum(
            math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
        )
    return total


def reset_peak_memory(device: str = "cpu") -> None:
    """Start measuring the peak anew, of this process and of the device.

    Where the system cannot (not Linux), the process's peak is since its birth.
    """
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    clear = Path("/proc/self/clear_refs")
    try:
        clear.write_text("5")
    except OSError:
        # Not Linux, or forbidden in a sandbox: the process's own peak stands in.
        return


def peak_memory_mib() -> float:
    """Largest resident set (MiB) since :func:`reset_peak_memory`."""
    kept = peak_of("self")
    return most_resident(resource.RUSAGE_SELF) if kept is None else kept


def peak_of(process: int | Literal["self"]) -> float | None:
    """Largest resident set (MiB) of a process that runs, since it began its program.

    None where the system keeps none (not Linux), or the process is gone.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None


def most_resident(who: int) -> float:
    """Largest resident set (MiB) since birth: of this process, or of any child that has ended.

    A child counts with what this process held when it was started, of which it began as a copy.

    Args:
        who: ``resource.RUSAGE_SELF`` or ``resource.RUSAGE_CHILDREN``.
    """
    peak = resource.getrusage(who).ru_maxrss
    return peak / _MIB if sys.platform == "darwin" else peak / 1024


def peak_device_mib(device: str) -> float | None:
    """Largest allocation (MiB) on a CUDA device; None on the CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return float(torch.cuda.max_memory_allocated(device)) / _MIB


def release_memory(device: str = "cpu") -> None:
    """Give back to the system, and to the device, what nothing refers to any more.

    Models refer to themselves in circles, and allocators keep what was freed for a later use.
    """
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    """A function of glibc; None under another C library, which keeps little and has none such."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


@contextmanager
def keeping_freed_memory(largest: int) -> Iterator[None]:
    """Within this context, large blocks that are freed stay with the process for the next use.

    The system fills the pages of each block that is taken from it with zeros, which may take longer
    than what is computed in it. It is glibc that is asked; other C libraries do as they do.

    Args:
        largest: bytes of the largest block that is taken again and again. Nothing is done where
            that is one that stays anyway, as it costs some memory.
    """
    setting = _of_glibc("mallopt")
    if setting is None or largest <= _MAPPED:
        yield
        return
    setting(_MMAP_MAX, 0)
    setting(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        # To where glibc comes by itself once a large block was freed.
        setting(_MMAP_MAX, _MAPS)
        setting(_MMAP_THRESHOLD, _MAPPED)
        setting(_TRIM_THRESHOLD, 2 * _MAPPED)
        release_memory()


def available_mib(device: str) -> float:
    """Memory (MiB) that is free now: of the GPU where one is used, else of the machine.

    A container's own limit counts where it is lower than what the machine has free.
    """
    if device.startswith("cuda"):
        import torch

        # What this process holds in reserve is free to it, too.
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + spare) / _MIB
    free = psutil.virtual_memory().available
    limit = _words(_CGROUP / "memory.max")
    # It reads "max" where there is none.
    if limit and limit[0].isdecimal():
        statistics = _words(_CGROUP / "memory.stat")
        # Pages of files are given up when memory is short.
        used = int(_words(_CGROUP / "memory.current")[0]) - int(
            statistics[statistics.index("file") + 1]
        )
        free = min(free, max(0, int(limit[0]) - used))
    return free / _MIB


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
