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
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from harness.errors import TrialError
from harness.records import Runtime, from_json, to_plain
from harness.training.job import TrainingJob, run_job

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

JOB = "job.json"
TRAINED = "trained.safetensors"
RENDEZVOUS = "rendezvous"
# Gradients are summed so many at a time: few calls, little memory beside the weights.
BUCKET = 2**24


class Accelerated:
    """This process among its peers, joined by accelerate (NCCL on GPUs, Gloo on CPUs)."""

    def __init__(self, folder: Path, rank: int, count: int, device: str) -> None:
        from accelerate import PartialState  # type: ignore[import-untyped]

        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        os.environ.update(WORLD_SIZE=str(count), LOCAL_WORLD_SIZE=str(count))
        # A file to meet at needs no free port.
        where = f"file://{(folder / RENDEZVOUS).resolve()}"
        cpu = not device.startswith("cuda")
        self._state = state = PartialState(cpu=cpu, init_method=where, rank=rank, world_size=count)
        self._rank, self._count, self._device = rank, count, state.device
        self.first = state.is_main_process

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        """Every count-th element: batches are sorted by length, so shares are alike."""
        return whole[self._rank :: self._count]

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum each gradient over all processes, in float32."""
        import torch

        bucket: list[torch.nn.Parameter] = []
        size = 0
        for parameter in parameters:
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:  # nothing of the batch fell to this process
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter)
            size += parameter.numel()
            if size >= BUCKET:
                _sum_together(bucket)
                bucket, size = [], 0
        if bucket:
            _sum_together(bucket)

    def totals(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all processes, in float64."""
        import torch
        from accelerate.utils import reduce  # type: ignore[import-untyped]

        mine = torch.tensor(values, dtype=torch.float64, device=self._device)
        return [float(value) for value in reduce(mine, "sum")]

    def part(self) -> None:
        """Leave the others."""
        self._state.destroy_process_group()


def _sum_together(parameters: Sequence[torch.nn.Parameter]) -> None:
    import torch
    from accelerate.utils import reduce

    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten().float() for gradient in gradients])
    start = 0
    summed: torch.Tensor = reduce(flat, "sum")
    for gradient in gradients:
        end = start + gradient.numel()
        gradient.copy_(summed[start:end].view_as(gradient))
        start = end


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
    from harness.models.load import load_base
    from harness.models.memory import peak_device_mib, peak_memory_mib

    runtime = _own_part(job.runtime, rank, count)
    torch.set_num_threads(max(1, runtime.threads))
    peers = Accelerated(folder, rank, count, runtime.device)
    loaded = load_base(
        job.model,
        runtime,
        job.params["quantisation"] if job.kind == "qlora" else "none",
        double_quantisation=job.params.get("double_quantisation", True),
    )
    loaded = make_trainable(loaded, job.kind, job.params, job.seed)
    # Dropout must differ between shares; everything else is drawn from the job's own seed.
    torch.manual_seed(job.seed + rank)
    for step in run_job(job, loaded.model, peers):
        tell(memory=[peak_memory_mib(), peak_device_mib(runtime.device)])
        if peers.first:
            tell(step=to_plain(step))
    if peers.first:
        weights = trainable_weights(loaded.model)
        save_file({name: w.cpu().contiguous() for name, w in weights.items()}, folder / TRAINED)
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
