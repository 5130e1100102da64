"""Memory of training beside what was expected of it, as texts and micro-batches grow.

    python -m lab.benchmarks.memory [--kinds full,lora,qlora] [--tokens 128,512] [--sizes 1,8]

For each way of training, length of text and micro-batch size, with activations kept and computed
again: a process of its own takes two optimiser steps on examples drawn at random, which share
nothing. It prints the peak resident memory beyond the loaded model (on a GPU: the peak allocation),
what ``harness.training.fitting`` expected before the first step, and the second step's seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Case:
    """What one process trains on, and how."""

    kind: str
    """Kind of the arm."""
    tokens: int
    """Tokens of each example, the last ``ANSWER`` of them its answer."""
    size: int
    """Examples of a micro-batch."""
    checkpointing: bool
    """Activations are computed again in the backward pass."""


ANSWER = 12


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kinds", default="full,lora,qlora")
    parser.add_argument("--tokens", default="128,512")
    parser.add_argument("--sizes", default="1,8")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(Case(**json.loads(options.one)))))
        return
    from lab.benchmarks.pairs import machine

    print(f"{machine()}\n")
    print(
        "| training | tokens | examples | activations | expected, MiB | measured, MiB | step, s |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in options.kinds.split(","):
        for tokens in map(int, options.tokens.split(",")):
            for size in map(int, options.sizes.split(",")):
                for checkpointing in (False, True):
                    case = Case(kind, tokens, size, checkpointing)
                    found = alone(case)
                    how = "computed again" if checkpointing else "kept"
                    print(
                        f"| {kind} | {tokens} | {size} | {how} | {found['expected']:,.0f} "
                        f"| {found['measured']:,.0f} | {found['seconds']:.1f} |",
                        flush=True,
                    )


def alone(case: Case) -> dict[str, float]:
    """Measure in a process of its own, whose memory nothing was in before.

    Raises:
        RuntimeError: the process failed.
    """
    text = json.dumps({name: getattr(case, name) for name in case.__dataclass_fields__})
    # Freed memory goes back to the system, so that the resident set is what is in use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-m", "lab.benchmarks.memory", "--one", text]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(case: Case) -> dict[str, float]:
    """MiB expected and measured, seconds of the second step."""
    import gc

    import numpy as np
    import psutil
    import torch
    from pydantic import TypeAdapter

    from harness.models.adapters import make_trainable
    from harness.models.load import load_arms_base
    from harness.models.memory import peak_device_mib, peak_memory_mib, reset_peak_memory
    from harness.models.resolve import resolve_model
    from harness.models.runtime import choose_runtime
    from harness.prompting import TokenisedExample
    from harness.spec import ModelSpec
    from harness.spec.arms import Arm
    from harness.spec.settings import TrainedSettings
    from harness.training.fitting import fit
    from harness.training.job import TrainingJob, run_job

    spec = ModelSpec(reference="smollm2-135m-instruct")
    runtime, resolved = choose_runtime(spec, 8), resolve_model(spec)
    torch.set_num_threads(runtime.threads)
    given = {"kind": case.kind, "learning_rate": 1e-4, "batch_size": case.size, "epochs": 2}
    given |= {"micro_batch_size": case.size, "gradient_checkpointing": case.checkpointing}
    settings: TrainedSettings = TypeAdapter[Any](Arm).validate_python(given).resolve({})
    loaded = load_arms_base(resolved, runtime, settings)
    model = make_trainable(loaded, settings, seed=0).model
    draw = np.random.default_rng(0)
    drawn = draw.integers(100, 40_000, (case.size, case.tokens)).tolist()
    examples = tuple(
        TokenisedExample(str(n), tuple(row[:-ANSWER]), tuple(row[-ANSWER:]))
        for n, row in enumerate(drawn)
    )
    job = TrainingJob(resolved, runtime, settings, 0, examples, (), (), 1, 0)
    expected = fit(model, job, float("inf")).needed_mib
    gc.collect()
    on_gpu = runtime.device.startswith("cuda")
    before = torch.cuda.memory_allocated() if on_gpu else psutil.Process().memory_info().rss
    reset_peak_memory()
    began = seconds = 0.0
    for _ in run_job(job, model):
        seconds, began = time.perf_counter() - began, time.perf_counter()
    peak = peak_device_mib(runtime.device) if on_gpu else peak_memory_mib()
    return {"expected": expected, "measured": (peak or 0.0) - before / MIB, "seconds": seconds}


if __name__ == "__main__":
    main()
