"""What a trial claims of a machine, and how many trials a machine can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.errors import InputError
from harness.records import TrialSpec
from harness.spec import ExecutionSpec
from harness.wording import file_size


def claims_of(limits: ExecutionSpec, spec: TrialSpec | None = None) -> dict[str, float]:
    """What a trial claims of a machine, by Ray's names; of a trial that is not known yet, no GPU.

    Raises:
        InputError: Ray cannot give so much of a GPU.
    """
    gpus = limits.gpus
    if gpus is None:
        on_gpu = spec is not None and spec.runtime.device.startswith("cuda")
        gpus = spec.params.get("processes", 1) if spec is not None and on_gpu else 0
    if gpus > 1 and gpus % 1:
        raise InputError(f"execution.gpus: {gpus:g}; write a whole number, or a part of one GPU")
    memory = math.ceil(limits.memory_gib * 2**30) if limits.memory_gib else 0
    return {"CPU": limits.cpus, "GPU": gpus, "memory": memory}


def room_for(machine: Mapping[str, float], claims: Mapping[str, float]) -> int:
    """How many trials a machine can hold."""
    # Claims may be fractions: 0.1 goes ten times into 1.
    return min(
        math.floor(machine.get(name, 0.0) / claim + 1e-9) for name, claim in claims.items() if claim
    )


def in_words(resources: Mapping[str, float]) -> str:
    """Resources as a person reads them."""
    memory = resources.get("memory", 0.0)
    words = [f"{resources.get('CPU', 0):g} CPU", f"{resources.get('GPU', 0):g} GPU"]
    return ", ".join([*words, file_size(memory)] if memory else words)
