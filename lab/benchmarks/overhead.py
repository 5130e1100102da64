"""What a study takes beside the model: the time outside of forward, backward and generation.

    python -m lab.benchmarks.overhead [--scale 0.25] [--trials 1] [--arms NAMES]

Runs ``experiments/product-feedback.yaml``, its examples cut to ``--scale``, in this one process,
from an empty store to its report, and takes down how long the model itself is busy: forward and
backward passes, generation, optimiser steps. What is left is reading data, its audit, loading
weights, tokenising, lm-eval, metrics, the store, the analysis and the report. Imports are told
apart: `harness run` pays them once, in the server that its trials are forked from. The goal is a
share under 3 %; there is no peer.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()


@dataclass(slots=True)
class Stopwatch:
    """Seconds inside watched functions, by the outermost one."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Label of a watched function -> seconds inside it."""
    depth: int = 0
    """Number of watched functions, one within another, that run now."""

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Count the time that ``owner.name`` takes, unless it runs inside another watched one."""
        whole: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(whole)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.depth += 1
            began = time.perf_counter()
            try:
                return whole(*args, **kwargs)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    took = time.perf_counter() - began
                    self.seconds[label] = self.seconds.get(label, 0.0) + took

        setattr(owner, name, watched)


def main() -> None:
    """Run the study and print where its time went."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--arms", default="", help="names parted by commas; all if not given")
    options = parser.parse_args()

    import torch
    from peft import PeftModel
    from transformers import GenerationMixin, PreTrainedModel

    from harness.engine.child import PRELOADED
    from harness.evaluation.local import candidate_lm
    from harness.review.studies import load_study, write_reports
    from harness.spec import load_experiment
    from harness.study import executing
    from harness.study import run as pipeline
    from harness.training.master_weights import MasterWeightAdamW
    from lab.benchmarks.pairs import machine
    from lab.benchmarks.study import scaled

    for module in PRELOADED:
        importlib.import_module(module)
    stopwatch = Stopwatch()
    for owner, name, label in (
        (PreTrainedModel, "__call__", "forward"),
        (PeftModel, "__call__", "forward"),
        (torch.Tensor, "backward", "backward"),
        (MasterWeightAdamW, "step", "optimiser"),
        (GenerationMixin, "generate", "generation"),
        (candidate_lm, "greedy_replies", "generation"),
        (candidate_lm, "greedy_tree_replies", "generation"),
    ):
        stopwatch.watch(owner, name, label)
    imports = time.perf_counter() - STARTED
    in_trials = Stopwatch()
    in_trials.watch(executing, "run_trial", "trials")
    with tempfile.TemporaryDirectory() as folder:
        path = scaled(
            options.scale, options.trials, options.arms, Path(folder), "auto", elsewhere=False
        )
        # As a trial's process does: what was imported is not looked through after each trial.
        gc.freeze()
        began = time.perf_counter()
        results = Path(folder) / "results"
        done = pipeline.run_study(load_experiment(path), results, engine="in-process")
        run = time.perf_counter() - began
        write_reports(load_study(results, done.experiment_id), done.folder)
        whole = time.perf_counter() - began
    busy = sum(stopwatch.seconds.values())
    trials = in_trials.seconds["trials"]
    print(f"{machine()}; product-feedback at {options.scale:g}, {done.trials_run} trials\n")
    print("| seconds in | s | share of the study |\n| --- | --- | --- |")
    rows = {
        **stopwatch.seconds,
        "trials beside these": trials - busy,
        "between trials, before and after": run - trials,
        "report": whole - run,
        "**all but the model**": whole - busy,
        "**study**": whole,
    }
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.2f} | {seconds / whole:.1%} |")
    print(f"\nImports, once for a process: {imports:.2f} s.")


if __name__ == "__main__":
    main()
