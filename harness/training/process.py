"""One of several processes that train together; started by :mod:`harness.training.multiprocess`.

    python -m harness.training.process FOLDER RANK COUNT

FOLDER holds the job; the first process leaves the trained weights there, of the last step and of
the best check. What a process has to say goes to its standard output, one JSON object a line: after
each step its peak so far,
``{"memory": [MiB, MiB of its GPU or null]}``, and from the first process ``{"step": ...}``; at the
end, from the first process, ``{"best": [step, loss]}`` where the best weights were held,
``{"resumption": [steps done before, note]}`` where the training was written down, and
``{"done": true}`` or ``{"failed": [kind, message]}``.
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
from harness.spec.settings import AdapterSettings
from harness.training.job import TrainingJob, resumption_of, run_job

if TYPE_CHECKING:
    from harness.training.parallel import DataParallel

JOB = "job.json"
# Weights after the last step, and those of the best check where they are others.
TRAINED = "trained.safetensors"
BEST = "best.safetensors"


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

    from harness.models.adapters import make_trainable
    from harness.models.load import load_arms_base
    from harness.models.memory import peak_device_mib, peak_memory_mib
    from harness.models.tree_pass import takes_trees
    from harness.training.best_weights import BestWeights
    from harness.training.losses import Predictions, predictions_of
    from harness.training.parallel import DataParallel, FullyShardedParallel

    runtime = _own_part(job.runtime, rank, count)
    torch.set_num_threads(max(1, runtime.threads))
    # An adapter is small, and its frozen base may be quantised: only full training is divided.
    divided = not isinstance(job.settings, AdapterSettings)
    peers = (FullyShardedParallel if divided else DataParallel)(folder, rank, count, runtime.device)
    model = make_trainable(
        load_arms_base(job.model, runtime, job.settings), job.settings, job.seed
    ).model
    # Asked while the model is whole: a pass without gradients must not be its first in parts.
    trees = takes_trees(model)
    base: Predictions | None = None
    if isinstance(peers, FullyShardedParallel):
        peers.divide(model)
        if job.settings.kl_weight:
            frozen = load_arms_base(job.model, runtime, job.settings).model
            peers.divide(frozen)
            base = predictions_of(frozen)
    best = BestWeights() if job.keeps_best else None
    resumption = resumption_of(job, peers)
    for step in run_job(job, model, peers, base, trees, best, resumption):
        tell(memory=[peak_memory_mib(), peak_device_mib(runtime.device)])
        if peers.first:
            tell(step=to_plain(step))
    _leave(model, folder / TRAINED, peers)
    if best is not None and best.weights:
        best.put_back(model)
        _leave(model, folder / BEST, peers)
    if peers.first and best is not None and best.step is not None:
        tell(best=[best.step, best.loss])
    if peers.first and resumption is not None:
        tell(resumption=[resumption.done, resumption.note])
    peers.part()


def _leave(model: Any, file: Path, peers: DataParallel) -> None:
    """Write the trained weights, which the first process does for all."""
    from safetensors.torch import save_file

    from harness.training.best_weights import trainable_weights
    from harness.training.master_weights import whole

    weights = {name: whole(w).cpu().contiguous() for name, w in trainable_weights(model).items()}
    if peers.first:
        save_file(weights, file)


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
