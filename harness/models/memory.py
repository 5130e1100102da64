"""Peak memory of this process and its device."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_MIB = 2**20


def reset_peak_memory() -> None:
    """Start measuring anew. Where the system cannot (not Linux), the peak is since birth."""
    clear = Path("/proc/self/clear_refs")
    try:
        clear.write_text("5")
    except OSError:
        # Not Linux, or forbidden in a sandbox: the process's own peak stands in.
        return


def peak_memory_mib() -> float:
    """Largest resident set (MiB) since :func:`reset_peak_memory`."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MIB if sys.platform == "darwin" else peak / 1024


def peak_device_mib(device: str) -> float | None:
    """Largest allocation (MiB) on a CUDA device; None on the CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return float(torch.cuda.max_memory_allocated(device)) / _MIB
