"""Choose device and dtype from what the machine has; the choice is recorded with every trial."""

from __future__ import annotations

import os

import psutil

from harness.errors import SpecError
from harness.records import Runtime
from harness.spec import ModelSpec


def choose_runtime(spec: ModelSpec, score_batch_size: int) -> Runtime:
    """Device, dtype and thread count for this machine.

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
    return Runtime(device, dtype, score_batch_size, threads=_physical_cores())


def _auto_dtype(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "bfloat16"
    return "float32"


def _physical_cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(psutil.cpu_count(logical=False) or 1, allowed or 1)
