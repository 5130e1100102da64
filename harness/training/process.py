"""One of several processes that train together; started by :mod:`harness.training.side_by_side`.

    python -m harness.training.process FOLDER RANK COUNT

FOLDER holds the job; the first process leaves the trained weights there. What a process has to say
goes to its standard output, one JSON object a line: after each step its peak so far,
``{"memory": [MiB, MiB of its GPU or null]}``, and from the first process ``{"step": ...}``; at the
end ``{"done": true}`` or ``{"failed": [kind, message]}``.
It ends itself when its standard input closes, which happens whenever the trial's process ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.errors import TrialError
from harness.records import Runtime, from_json, to_plain
from harness.training.job import TrainingJob, run_job

if TYPE_CHECKING:
    import torch


JOB = "job.json"
TRAINED = "trained.safetensors"


def trainable_weights(model: Any) -> dict[str, torch.Tensor]:
    """Name -> weight that training changes."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def main(folder: Path, rank: int, count: int, say: IO[str]) -> None:
    """Train this process's share of the job in ``folder``, saying how it goes."""

    def tell(**message: object) -> None:
        print(json.dumps(message), file=say, flush=True)

    try:
        job = from_json(TrainingJob, (folder / JOB).read_bytes())
        _train(job, folder, rank, count, tell)
        tell(done=True)
    except TrialError as error:
        tell(failed=[error.kind, str(error)])
    except Exception as error:  # noqa: BLE001 - any fault is the trial's result
        text = f"{type(error).__name__}: {error}"
        memory = isinstance(error, MemoryError) or "out of memory" in text.lower()
        tell(failed=["out_of_memory" if memory else "error", text[:2000]])


def _train(job: TrainingJob, folder: Path, rank: int, count: int, tell: Any) -> None:
    import torch
    from safetensors.torch import save_file

    from harness.models.adapters import make_trainable
    from harness.models.load import load_arms_base
    from harness.models.memory import peak_device_mib, peak_memory_mib
    from harness.prompting.tree_pass import takes_trees
    from harness.training.joined import Copies, Parts
    from harness.training.losses import Predictions, predictions_of
    from harness.training.master_weights import whole

    runtime = _own_part(job.runtime, rank, count)
    torch.set_num_threads(max(1, runtime.threads))
    # An adapter is small, and its frozen base may be quantised: only full training is divided.
    divided = job.kind == "full"
    peers = (Parts if divided else Copies)(folder, rank, count, runtime.device)
    model = make_trainable(
        load_arms_base(job.model, runtime, job.kind, job.params), job.kind, job.params, job.seed
    ).model
    # Asked while the model is whole: a pass without gradients must not be its first in parts.
    trees = takes_trees(model)
    base: Predictions | None = None
    if isinstance(peers, Parts):
        peers.divide(model)
        if job.params["kl_weight"]:
            frozen = load_arms_base(job.model, runtime, job.kind, job.params).model
            peers.divide(frozen)
            base = predictions_of(frozen)
    # Dropout must differ between shares; everything else is drawn from the job's own seed.
    torch.manual_seed(job.seed + rank)
    for step in run_job(job, model, peers, base, trees):
        tell(memory=[peak_memory_mib(), peak_device_mib(runtime.device)])
        if peers.first:
            tell(step=to_plain(step))
    weights = {name: whole(w).cpu() for name, w in trainable_weights(model).items()}
    if peers.first:
        save_file({name: w.contiguous() for name, w in weights.items()}, folder / TRAINED)
    peers.part()


def _own_part(runtime: Runtime, rank: int, count: int) -> Runtime:
    """One GPU for each process, or an equal share of the threads."""
    device = f"cuda:{rank}" if runtime.device.startswith("cuda") else runtime.device
    return replace(runtime, device=device, threads=max(1, runtime.threads // count))


def _end_with_trial() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_trial, daemon=True).start()
    # Libraries may print: only what this module says is to reach the trial.
    with os.fdopen(os.dup(1), "w") as reports:
        os.dup2(2, 1)
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), reports)
    # What is left of a group whose members failed could hang, or abort, on the way out.
    os._exit(0)
