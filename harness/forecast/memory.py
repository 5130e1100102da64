"""Memory that a trial needs, and how much memory, disk and processor time is free."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from harness.analysis.arms.memory_estimate import bytes_per_parameter
from harness.forecast.estimate import Estimate, greatest
from harness.forecast.measured import Measured
from harness.forecast.workload import Workload, computes_alike
from harness.models.memory import parameters_of
from harness.records import TrialSpec
from harness.spec.kinds import kind_info

MIB = 2**20
# Share of weights that adapters add, for the least memory that they can take.
FEW = 0.005


def least_mib(spec: TrialSpec) -> float:
    """MiB without which the trial cannot run: weights, gradients and optimiser state."""
    if not kind_info(spec.kind).language_model:
        return 0.0
    parameters = parameters_of(spec.model.path)
    if not kind_info(spec.kind).trains or kind_info(spec.kind).commanded:
        return parameters * (4 if spec.runtime.dtype == "float32" else 2) / MIB
    return parameters * bytes_per_parameter(spec.kind, spec.runtime.dtype, FEW) / MIB


def peak_mib(load: Workload, alike: Iterable[Measured]) -> Estimate | None:
    """Peak memory of the whole trial, from small ones; None where none ran to its end.

    What grows with the largest batch is taken to be all beyond weights and optimiser state.
    """
    peaks = []
    for small in alike:
        if small.failure or not computes_alike(small.whole.spec, load.spec):
            continue
        growing = max(0.0, small.peak_mib - least_mib(load.spec))
        larger = 1.0
        if load.training and small.largest_step:
            larger = max(1.0, load.training.largest_step / small.largest_step)
        peaks.append(
            Estimate(small.peak_mib, small.peak_mib, small.peak_mib + growing * (larger - 1))
        )
    return greatest(peaks) if peaks else None


def busy_share(seconds: float = 1.0) -> float:
    """Share of the processors that other programs use now, 0 to 1; watches for ``seconds``."""
    return psutil.cpu_percent(interval=seconds) / 100


def free_mib(folder: Path) -> float:
    """Space on the disk that ``folder`` is, or will be, on."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free / MIB
