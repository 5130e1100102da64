"""Choose device and dtype from what the machine has; the choice is recorded with every trial."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import psutil

from harness.errors import SpecError
from harness.records import Runtime
from harness.spec import ModelSpec


def choose_runtime(spec: ModelSpec, score_batch_size: int, workers: int = 1) -> Runtime:
    """Device, dtype and thread count for this machine.

    Args:
        workers: trials that run side by side, and share its memory and its cores.

    Raises:
        SpecError: the experiment names a device that this machine does not have.
    """
    import torch

    device = spec.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SpecError(
            f"model.device: {spec.device!r} is not usable on this machine ({error}); "
            "use auto or cpu"
        ) from error
    dtype = _auto_dtype(device) if spec.dtype == "auto" else spec.dtype
    threads = max(1, _threads_at_most() // workers)
    return Runtime(device, dtype, score_batch_size, threads, memory_share=1 / workers)


def alone(runtime: Runtime) -> Runtime:
    """The same for a trial that no other runs beside."""
    threads = _threads_at_most() if runtime.threads else 0
    return replace(runtime, threads=threads, memory_share=1.0)


def _auto_dtype(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    # Elsewhere bfloat16 is emulated, which takes several times as long as float32.
    if device == "cpu" and computes_in_bfloat16(torch.cpu.get_capabilities()):
        return "bfloat16"
    return "float32"


def computes_in_bfloat16(capabilities: Mapping[str, object]) -> bool:
    """Whether a processor multiplies bfloat16 itself (AVX-512 BF16, AMX, Arm's BF16).

    Args:
        capabilities: what ``torch.cpu.get_capabilities`` says of it.
    """
    return any(bool(has) and name.endswith("bf16") for name, has in capabilities.items())


def _threads_at_most() -> int:
    """Physical cores that this process may use; fewer where ``OMP_NUM_THREADS`` says so."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = min(psutil.cpu_count(logical=False) or 1, allowed or 1)
    # A list names the threads of each level of nested loops; the first is the outermost.
    declared = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores, int(declared)) if declared.isdecimal() and int(declared) else cores
