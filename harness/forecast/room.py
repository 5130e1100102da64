"""What the machine has left: memory, disk, processors."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil

from harness.analysis.memory_estimate import bytes_per_parameter
from harness.forecast.estimate import Estimate
from harness.forecast.samples import Measured
from harness.forecast.trial_work import TrialWork
from harness.records import TrialSpec

MIB = 2**20
# Share of weights that adapters add, for the least memory that they can take.
FEW = 0.005


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
                header = json.loads(file.read(size))
            except ValueError:
                # Not a weight file after all; loading it will say so.
                continue
        total += sum(
            math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
        )
    return total


def least_mib(spec: TrialSpec) -> float:
    """MiB without which the trial cannot run: weights, gradients and optimiser state."""
    parameters = parameters_of(spec.model.path)
    if spec.kind == "prompt":
        return parameters * (4 if spec.runtime.dtype == "float32" else 2) / MIB
    return parameters * bytes_per_parameter(spec.kind, spec.runtime.dtype, FEW) / MIB


def peak_mib(work: TrialWork, alike: Iterable[Measured]) -> Estimate | None:
    """Peak memory of the whole trial, from small ones; None where none ran to its end.

    What grows with the largest batch is taken to be all beyond weights and optimiser state.
    """
    found = []
    for one in alike:
        if one.failure or one.form != work.form:
            continue
        growing = max(0.0, one.peak_mib - least_mib(work.spec))
        larger = 1.0
        if work.training and one.peak_step:
            larger = max(1.0, max(work.training.steps) / one.peak_step)
        found.append(Estimate(one.peak_mib, one.peak_mib, one.peak_mib + growing * (larger - 1)))
    if not found:
        return None
    return Estimate(
        max(one.expected for one in found),
        min(one.low for one in found),
        max(one.high for one in found),
    )


def busy_share(seconds: float = 1.0) -> float:
    """Share of the processors that other programs use now, 0 to 1; watches for ``seconds``."""
    return psutil.cpu_percent(interval=seconds) / 100


def free_mib(folder: Path) -> float:
    """Room on the disk that ``folder`` is, or will be, on."""
    existing = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    return shutil.disk_usage(existing).free / MIB
